"""How edits keep what they do not change: heads that look at a cell's own place, and write what stands there.

By the loss of pictures alone nothing was copied for the first 15 thousand edits: no cell knew its place (a linear map of
states found the column in 0.15, chance being 0.13, since drawing needs distances alone), and the distance between a cell
and the same one in the source depends on the instruction's length. So heads that drawing does without (its loss on 240
pictures, 1.75, moves by 0.01 or less without one of them) are made anew: those of the joint layers tell each cell of a
source, and of what is drawn, its place, and one of each of three split layers looks from there at the same place (in the
source, or, where none is shown, in the picture itself). Then the values of the latter start as a part of what stands
there, as loud as the stream: what a head brought otherwise (2, into a stream of 80) was too soft to be read. The shared
output projection stays as it is: texts read it too.
"""
import torch

PLACERS = {0: (0, 1), 1: (1, 3), 2: (3,)}  # joint layer: heads that tell places
COPIERS = {4: 1, 5: 1, 6: 2}  # split layer: its head that looks at the same place


def rows_of(net, head):
    """Rows of a head in q_proj, k_proj and v_proj, its columns in attn_out."""
    size = net.c["d_model"] // net.c["n_heads"]
    return slice(head * size, (head + 1) * size)


def looking_parts(net):
    """{parameter: its rows [d_model, 1] that say where the heads look and what the placers bring}."""
    parts = {}
    for layer, heads in {**PLACERS, **{layer: (head,) for layer, head in COPIERS.items()}}.items():
        block = net.transformer.blocks[layer]
        read = [block.q_proj_vision, block.k_proj_vision] + ([block.v_proj_vision] if layer in PLACERS else [])
        for weight in (each.weight for each in read):
            parts[weight] = torch.zeros(len(weight), 1)
            for head in heads:
                parts[weight][rows_of(net, head)] = 1
    return parts


@torch.no_grad()
def begin_looks(net):
    """Makes the heads anew: what they looked at for drawing is in the way (a loss of 170 nats)."""
    for weight, part in looking_parts(net).items():
        weight.lerp_(torch.randn(weight.shape) / weight.shape[1] ** 0.5, part)


@torch.no_grad()
def write_copies(net, layers, gain):
    """Values of the copying heads, such that each writes `gain` times that part of a state that its columns of attn_out can
    write. `layers`: states [N, cells, d_model_gen] that leave each layer, for their size."""
    g = net.c["d_model_gen"]
    for layer, head in COPIERS.items():
        block, at = net.transformer.blocks[layer], rows_of(net, head)
        size = layers[layer - 1].float().pow(2).mean().sqrt()
        back = torch.linalg.pinv(block.attn_out.weight[:g, at])
        block.v_proj_vision.weight[at] = gain * size * back / block.attn_norm_vision.weight


def looking_loss(looked, shown=None, kept=None):
    """Cross-entropy of the copying heads' looks [N, cells, shown + cells] each (logarithms) at the same place: where `shown`
    [N] in the source, for the cells that are `kept` [N, cells], else in the picture itself."""
    total = 0
    for each in looked:
        cells = each.shape[1]
        here = -each[..., -cells:].diagonal(dim1=1, dim2=2)
        if shown is None:
            total = total + here.mean()
            continue
        there = -each[..., :cells].diagonal(dim1=1, dim2=2)
        total = total + torch.where(shown[:, None], there, here)[kept | ~shown[:, None]].mean()
    return total


def copier_parameters(net):
    """((their values, none for Adam), {parameter id: the part that is theirs})."""
    values, parts = [], {}
    for layer, head in COPIERS.items():
        weight = net.transformer.blocks[layer].v_proj_vision.weight
        part = torch.zeros(len(weight), 1)
        part[rows_of(net, head)] = 1
        values.append(weight)
        parts[id(weight)] = part
    return (values, []), parts
