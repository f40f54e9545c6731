"""Prompts that hold pictures, as the runtime computes them (core/model/graphs/source_prompt.ts).

Tokens of the tower are text-side tokens like words. VQ tokens of a picture that is edited run in the generation branch,
through all layers: in joint layers text and source see each other, in split layers the source sees itself, and what is
drawn sees it in both. The prompt does not see what is drawn (`prefix` attention), so all of this is computed once for
all pictures that are drawn from a prompt.
"""
import torch
import torch.nn.functional as F
from network import attention, rms, rope_table, rotate


class Side:
    """The block of facts 1.2 for one of the branches, over tokens at `places` [P, T]."""

    def __init__(self, net, suffix, places):
        c = net.c
        self.net, self.suffix, self.eps, self.head = net, suffix, c["rms_norm_eps"], c["d_model"] // c["n_heads"]
        self.cos, self.sin = (t[:, None] for t in rope_table(places, self.head, c["rope_theta"]))

    def projected(self, block, x, names):
        """Of `names`, q_proj, k_proj or v_proj: [P, heads, T, head] each, queries and keys rotated."""
        h = rms(x, getattr(block, "attn_norm" + self.suffix).weight, self.eps)
        w = [getattr(block, name + self.suffix).weight * (self.head ** -0.5 if name == "q_proj" else 1) for name in names]
        parts = (self.net.split_heads(t) for t in (h @ torch.cat(w).T).chunk(len(w), -1))
        return [part if name == "v_proj" else rotate(part, self.cos, self.sin) for name, part in zip(names, parts)]

    def finished(self, block, x, attended):
        """What leaves the block. Both branches share its output projection; the narrower one uses its first rows."""
        x = x + attended.transpose(1, 2).flatten(2) @ block.attn_out.weight[:x.shape[-1]].T
        h = rms(x, getattr(block, "ff_norm" + self.suffix).weight, self.eps)
        w = torch.cat([getattr(block, name + self.suffix).weight for name in ("ff_proj", "up_proj")])
        gate, up = (h @ w.T).chunk(2, -1)
        return x + (F.silu(gate) * up) @ getattr(block, "ff_out" + self.suffix).weight.T


QUERY, MEMORY = ["q_proj"], ["k_proj", "v_proj"]


def hidden(real):
    """bool [P, T] -> additive bias [P, 1, 1, T] that hides what is not real."""
    return torch.zeros(real.shape).masked_fill_(~real, -1e9)[:, None, None]


def picture_prompt(net, x, places, real, source=None, middle=None):
    """Text-side embeddings x [P, T, d_model] at `places` [P, T] of their prompts, padding where `real` [P, T] is false.
    `source`: (tokens [P, S, d_model_gen], places [P, S], shown bool [P]); where it is not shown, its places in the prompt
    are text (masks), and these tokens are seen by nothing.

    -> (rotated (k, v) [P, heads, T + S, head] of each joint layer, their bias, (k, v, bias) of the source in each split
    layer), as `Network.gen_and_middle` takes them. `middle`: a list that gets the source's states behind the joint
    layers."""
    joint, last = net.c["dual_tower_layers"], len(net.transformer.blocks) - 1
    text, cache, split, bias = Side(net, "", places), [], [], hidden(real)
    if source is not None:
        y, source_places, shown = source
        gen = Side(net, "_vision", source_places)
        of_source = hidden(shown[:, None].expand(y.shape[:2]))
        bias = torch.cat([bias, of_source], -1)
    for index, block in enumerate(net.transformer.blocks):
        if index > joint and source is None:
            break
        own = [] if source is None else gen.projected(block, y, MEMORY)
        if index <= joint:
            k, v = text.projected(block, x, MEMORY)
            k, v = (k, v) if source is None else (torch.cat([k, own[0]], 2), torch.cat([v, own[1]], 2))
            cache.append((k, v))
        else:
            k, v = own
            split.append((k, v, of_source))
        # Of the last joint layer only the text's keys and values are ever read, and of the last one the source's.
        if index < joint:
            x = text.finished(block, x, attention(*text.projected(block, x, QUERY), k, v, bias))
        if source is not None and index < last:
            seen = bias if index <= joint else of_source
            y = gen.finished(block, y, attention(*gen.projected(block, y, QUERY), k, v, seen))
            if index == joint and middle is not None:
                middle.append(y)
    return cache, bias, split


def sides(rows, source_token, multiple=1):
    """Prompts (lists of ids, `source_token` at VQ tokens of a source) as the text side's ids [P, T], 0 at padding, with
    their places in the prompts and which of them are real, and the source's places [P, S] (zeros where it is not
    shown) and in which prompts it is shown [P]. S is 0 without any, T is a multiple of `multiple`."""
    source = [[at for at, token in enumerate(row) if token == source_token] for row in rows]
    text = [[at for at, token in enumerate(row) if token != source_token] for row in rows]
    length, most = -(-max(map(len, text)) // multiple) * multiple, max(map(len, source))
    if any(len(at) not in (0, most) for at in source):
        raise ValueError("prompts with sources of different sizes")
    pad = lambda values, size: values + [0] * (size - len(values))
    return {
        "ids": torch.tensor([pad([row[i] for i in at], length) for row, at in zip(rows, text)]),
        "places": torch.tensor([pad(at, length) for at in text]),
        "real": torch.arange(length) < torch.tensor([len(at) for at in text])[:, None],
        "source_places": torch.tensor([pad(at, most) for at in source], dtype=torch.long),
        "shown": torch.tensor([len(at) > 0 for at in source]),
    }
