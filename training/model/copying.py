"""How edits keep what they do not change: heads that look at a cell's own place, and write what stands there.

By the loss of pictures alone nothing was copied for the first 15 thousand edits, and once a head had been told where to
look, what it brought (2, into a stream of 80) was too soft to be read. So one head of each split layer but the
last, the one that drawing needs least, is told to look at the same place (in the source, or, where none is shown, in the picture itself),
and its values start as a part of what stands there, as loud as the stream. The shared output projection stays as it is:
texts read it too.
"""
import torch

# Split layer: its head, that without which drawing loses least (0.003 to 0.005 of a loss of 1.03; the last layer has none
# such, at 0.03 to 0.6).
COPIERS = {4: 3, 5: 1, 6: 2}


def rows_of(net, layer):
    """Rows of the copying head in q_proj, k_proj and v_proj, its columns in attn_out."""
    size = net.c["d_model"] // net.c["n_heads"]
    return slice(COPIERS[layer] * size, (COPIERS[layer] + 1) * size)


@torch.no_grad()
def write_copies(net, layers, gain):
    """Values of the copying heads, such that each writes `gain` times that part of a state that its columns of attn_out can
    write. `layers`: states [N, cells, d_model_gen] that leave each layer, for their size."""
    g = net.c["d_model_gen"]
    for layer in COPIERS:
        block, at = net.transformer.blocks[layer], rows_of(net, layer)
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
    for layer in COPIERS:
        weight = net.transformer.blocks[layer].v_proj_vision.weight
        part = torch.zeros(len(weight), 1)
        part[rows_of(net, layer)] = 1
        values.append(weight)
        parts[id(weight)] = part
    return (values, []), parts
