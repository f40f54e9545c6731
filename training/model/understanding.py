"""What answers, points, plans and judges: the text side of all layers (the tower is in sight.py).

Nothing that drawing reads is trained here (`trained`), so the pictures of a checkpoint stay what they were, to the bit:
the text side's joint layers keep what drawing taught them, and what is new lives in the split layers, the LM head, the
tower, and the embeddings of words that no drawing prompt holds.
"""
import torch
import torch.nn.functional as F
from config import CONFIG
from network import rms, rope_table, rotate


def embed(net, ids, features=None):
    """ids [B, T] with -1 at picture tokens, `features` [pictures, tokens, d_model] for those in order -> [B, T, d_model]."""
    words = F.embedding(ids.clamp(min=0), net.transformer.wte.weight)
    if features is None:
        return words
    out = words.clone()
    out[ids < 0] = features.flatten(0, 1).to(words.dtype)
    return out


# Which head of which split layer is told where to look, in the order in which a question is answered: from a name at what it
# names, from what is asked at the name that it is about, and from there at the things that it is about (looks.py).
POINTING = {
    0: (("names", 0),),
    1: (("names", 0), ("about", 3)),
    2: (("about", 1), ("subjects", 2), ("tints", 0)),
    3: (("about", 1), ("subjects", 2), ("tints", 0)),
}


def text_states(net, x, bias, asked, pointing=None, told=None, settled=False):
    """Embeddings [B, T, d], `attention_bias`, places [K] in B * T -> their states after the final norm [K, d].
    `pointing`: {kind: (rows and places [N, 2], where each shall look, bool [N, T])}, for which `told` gets cross-entropies of
    the looks of POINTING's heads. `settled`: what precedes the layers that are trained here gets no gradient."""
    c, first = net.c, net.c["dual_tower_layers"]
    for index, block in enumerate(net.transformer.blocks):
        kinds = POINTING.get(index - first - 1, ()) if pointing else ()
        with torch.set_grad_enabled(torch.is_grad_enabled() and not (settled and index < first)):
            x, scores = text_block(net, block, x, bias)
            for kind, head_at in kinds:
                places, seen = pointing[kind]
                if len(places):
                    row, at = places.T
                    looks = scores[row, head_at, at].float().log_softmax(-1)
                    told.append(-looks.masked_fill(~seen, -1e9).logsumexp(-1).mean())
    return rms(x.flatten(0, 1)[asked], net.transformer.ln_f.weight, c["rms_norm_eps"])


def text_block(net, b, x, bias):
    """-> (what leaves the block [B, T, d], scores of its heads [B, heads, T, T])."""
    eps, head = net.c["rms_norm_eps"], net.c["d_model"] // net.c["n_heads"]
    cos, sin = rope_table(torch.arange(x.shape[1]), head, net.c["rope_theta"])
    h = rms(x, b.attn_norm.weight, eps)
    w = torch.cat([b.q_proj.weight * head ** -0.5, b.k_proj.weight, b.v_proj.weight])
    q, k, v = (net.split_heads(t) for t in (h @ w.T).chunk(3, -1))
    q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
    scores = q @ k.transpose(-1, -2) + bias
    a = scores.softmax(-1).to(v.dtype) @ v
    x = x + a.transpose(1, 2).flatten(2) @ b.attn_out.weight.T
    h = rms(x, b.ff_norm.weight, eps)
    gate, up = (h @ torch.cat([b.ff_proj.weight, b.up_proj.weight]).T).chunk(2, -1)
    return x + (F.silu(gate) * up) @ b.ff_out.weight.T, scores


def attention_bias(prompt, whole, length):
    """Lengths [B] of prompts and of whole sequences -> additive bias [B, 1, T, T]: a prompt sees itself, what follows sees
    all of the sequence (`prefix` attention); with `prompt` == `whole`, all see all."""
    at = torch.arange(length)
    limit = torch.where(at[None] < prompt[:, None], prompt[:, None], whole[:, None])
    return torch.zeros(len(prompt), length, length).masked_fill_(at >= limit[..., None], -1e9)[:, None]


# States of words have a standard deviation of about 1,600 from the first MLP on, where bind.py's products are. What is
# written next to them as softly as by usual weights is lost in the norms: texts learned nothing of pictures in 4 thousand
# batches. So what writes into the text side behind drawing starts this many times louder, and is trained at rates as much
# higher, which is the same as a smaller unit.
LOUD = 800.0


def writers(net):
    """Matrices of what writes into the text side and only understanding reads: values and MLPs."""
    joint, blocks = CONFIG["dual_tower_layers"] + 1, net.transformer.blocks
    out = [blocks[joint - 1].ff_out.weight]
    for block in blocks[joint:]:
        out += [block.v_proj.weight, block.ff_out.weight]
    return out


def trained(net, fresh_rows):
    """Of the network, what only understanding reads, without `writers`: ((hidden matrices for Muon, the rest for Adam),
    {parameter id: mask of the part that may change}).

    `fresh_rows` bool [vocabulary]: words that no prompt of a drawing or an edit holds."""
    g = CONFIG["d_model_gen"]
    joint, matrices, rest, parts = CONFIG["dual_tower_layers"] + 1, [], [], {}
    for index, b in enumerate(net.transformer.blocks):
        if index < joint - 1:
            continue
        names = ["q_proj", "ff_proj", "up_proj"] + (["k_proj"] if index >= joint else [])
        matrices += [getattr(b, name).weight for name in names]
        rest += [b.ff_norm.weight] + ([b.attn_norm.weight] if index >= joint else [])
        # The generation branch uses the first rows.
        rest.append(b.attn_out.weight)
        parts[id(b.attn_out.weight)] = (torch.arange(CONFIG["d_model"]) >= g)[:, None]
    rest += [net.transformer.wte.weight, net.transformer.ff_out.weight]
    parts[id(net.transformer.wte.weight)] = fresh_rows[:, None]
    return (matrices, rest), parts
