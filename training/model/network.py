"""The network of LaViDa-O in PyTorch, small: the block of facts 1.2-1.3, the compression of facts 5, published names.

Two residual streams (und, gen), joint attention in layers 0..J, split after; one shared `attn_out`, of which gen uses the
first d_gen rows; `ln_f` over gen states divides by d_model. `prefix` attention: everything before the first image token
attends only to itself, so its keys and values are computed once a prompt and shared by all pictures drawn from it.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from copying import COPIERS


def rms(x, weight, eps, divisor=None):
    """RMSNorm; `divisor` replaces the width (the ln_f rule: gen states count as zero-padded d_model vectors)."""
    wide = x.float()  # normalised in fp32, then back to the dtype of the stream (facts 1.2)
    mean = (wide * wide).sum(-1, keepdim=True) / (divisor or x.shape[-1])
    return (wide * torch.rsqrt(mean + eps) * weight).to(x.dtype)


class Weight(nn.Module):
    """A bare `.weight`, so that state-dict names equal the published ones."""

    def __init__(self, *shape, std=None, fill=None):
        super().__init__()
        value = torch.full(shape, float(fill)) if fill is not None else torch.randn(shape) * std
        self.weight = nn.Parameter(value)


def linear(out, inn, gain=1.0):
    return Weight(out, inn, std=gain / math.sqrt(inn))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, g = c["d_model"], c["d_model_gen"]
        small = 1 / math.sqrt(2 * c["n_layers"])
        for suffix, width, hidden in (("", d, c["mlp_hidden_size"]), ("_vision", g, c["mlp_hidden_size_gen"])):
            setattr(self, "attn_norm" + suffix, Weight(width, fill=1))
            setattr(self, "ff_norm" + suffix, Weight(width, fill=1))
            for name in ("q_proj", "k_proj", "v_proj"):
                setattr(self, name + suffix, linear(d, width))
            setattr(self, "ff_proj" + suffix, linear(hidden, width))
            setattr(self, "up_proj" + suffix, linear(hidden, width))
            setattr(self, "ff_out" + suffix, linear(width, hidden, small))
        self.attn_out = linear(d, d, small)


def rope_table(positions, head, theta):
    """cos, sin [..., head/2] for integer positions [...]."""
    frequency = theta ** (-torch.arange(0, head, 2, dtype=torch.float32) / head)
    angle = positions[..., None].float() * frequency
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Half-split RoPE on [..., tokens, head]."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attention(q, k, v, bias=None):
    """Plain matmul, softmax, matmul: on a CPU its backward is several times faster than the fused kernel's."""
    score = q @ k.transpose(-1, -2)
    if bias is not None:
        score = score + bias
    return score.softmax(-1) @ v


class Transformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, v = c["d_model"], c["vocab_size"]
        self.wte = Weight(v, d, std=1.0)
        self.ln_f = Weight(d, fill=1)
        self.ff_out = linear(v, d)
        self.blocks = nn.ModuleList([Block(c) for _ in range(c["n_layers"])])


class Sampler(nn.Module):
    """`downsample_gen.downsample` / `upsample_gen.upsample`: an RMSNorm and a 2x2 convolution of stride 2."""

    def __init__(self, g, name):
        super().__init__()
        inner = nn.Module()
        inner.norm = Weight(g, fill=1)
        inner.conv = Weight(g, g, 2, 2, std=(0.5 if name == "downsample" else 1.0) / math.sqrt(g))
        setattr(self, name, inner)


class Network(nn.Module):
    """`model.*` of the checkpoint. `codes`: rows are `vq_codes` + 256, the mask row is `vq_codes` + 1."""

    def __init__(self, config):
        super().__init__()
        self.c = config
        g, rows = config["d_model_gen"], config["vq_codes"] + 256
        self.mask = config["vq_codes"] + 1
        self.transformer = Transformer(config)
        self.gen_embedding = nn.ModuleList([Weight(rows, g, std=1.0), Weight(g, fill=1), linear(g, g)])
        self.downsample_gen = Sampler(g, "downsample")
        self.gen_embedding_2 = nn.ModuleList([Weight(g, fill=1), linear(g, g)])
        self.upsample_gen = Sampler(g, "upsample")
        self.gen_predictor_2 = nn.ModuleList([Weight(g, fill=1), linear(g, g)])
        self.gen_predictor = nn.ModuleList([linear(g, g), Weight(g, fill=1), linear(config["vq_codes"], g, 0.5)])

    # ---- compression (facts 5) ------------------------------------------------------------------------------------
    def corner_tables(self, table):
        """[rows, g] embedding table -> [4, rows, g]: everything up to the 2x2 convolution, folded per id and corner."""
        e = rms(table, self.gen_embedding[1].weight, 1e-6) @ self.gen_embedding[2].weight.T
        n = rms(e, self.downsample_gen.downsample.norm.weight, 1e-6)
        conv = self.downsample_gen.downsample.conv.weight  # [out, in, kh, kw]
        # fp32, since the gradient of the mask's row is a sum of thousands.
        return torch.stack([n @ conv[:, :, a, b].T for a in (0, 1) for b in (0, 1)]).float()

    def gen_tokens(self, ids, table):
        """ids [B, n, n] -> [B, cells, g]."""
        corners = self.corner_tables(table)
        parts = [F.embedding(ids[:, a::2, b::2].flatten(1), corners[2 * a + b]) for a in (0, 1) for b in (0, 1)]
        d = parts[0] + parts[1] + parts[2] + parts[3]
        return rms(d, self.gen_embedding_2[0].weight, 1e-6) @ self.gen_embedding_2[1].weight.T

    def heads(self, g, cell, corner, head):
        """Gen states [N, cells, g] -> logits at (row, cell, corner) triples: `cell` [K] indexes N*cells, `corner` [K]."""
        return self.before_head(g, cell, corner) @ head.T

    def before_head(self, g, cell, corner):
        """As `heads`, up to its last product: [K, g]."""
        c = self.c
        h = rms(g, self.transformer.ln_f.weight[:c["d_model_gen"]], c["rms_norm_eps"], c["d_model"])
        h = rms(h, self.upsample_gen.upsample.norm.weight, 1e-6).flatten(0, 1)[cell]
        conv = self.upsample_gen.upsample.conv.weight  # [in, out, kh, kw]
        order = corner.argsort(stable=True)
        count = torch.bincount(corner, minlength=4).tolist()
        chunks = h[order].split(count)
        u = torch.cat([chunk @ conv[:, :, k // 2, k % 2] for k, chunk in enumerate(chunks)])
        u = rms(u, self.gen_predictor_2[0].weight, 1e-6) @ self.gen_predictor_2[1].weight.T
        u = rms(u @ self.gen_predictor[0].weight.T, self.gen_predictor[1].weight, 1e-6)
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        return u[back]  # sorted back before the wide product, whose rows are expensive to move

    # ---- the two branches -----------------------------------------------------------------------------------------
    def split_heads(self, x):
        return x.unflatten(-1, (self.c["n_heads"], -1)).transpose(-2, -3)

    def prompt(self, ids, lengths):
        """Right-padded prompt ids [P, T] -> per joint layer rotated (k, v) [P, heads, T, head], and the key bias."""
        return self.prompt_and_hidden(ids, lengths)[:2]

    def prompt_and_hidden(self, ids, lengths, before_mlps=None):
        """As `prompt`, with the und states [P, T, d_model] that enter the last two joint layers. `before_mlps`: a list that
        gets those before each MLP that is run."""
        c = self.c
        joint = c["dual_tower_layers"] + 1
        head = c["d_model"] // c["n_heads"]
        cos, sin = rope_table(torch.arange(ids.shape[1]), head, c["rope_theta"])
        bias = torch.zeros(ids.shape).masked_fill_(torch.arange(ids.shape[1]) >= lengths[:, None], -1e9)
        bias = bias[:, None, None, :]
        x, out, hidden = F.embedding(ids, self.transformer.wte.weight), [], []
        for index in range(joint):
            b = self.transformer.blocks[index]
            if index >= joint - 2:
                hidden.append(x)
            h = rms(x, b.attn_norm.weight, c["rms_norm_eps"])
            last = index == joint - 1  # only keys and values of the last joint layer are ever read
            w = [b.k_proj.weight, b.v_proj.weight] + ([] if last else [b.q_proj.weight * head ** -0.5])
            parts = [self.split_heads(t) for t in (h @ torch.cat(w).T).chunk(len(w), -1)]
            k = rotate(parts[0], cos, sin)
            out.append((k, parts[1]))
            if last:
                break
            a = attention(rotate(parts[2], cos, sin), k, parts[1], bias)
            x = x + a.transpose(1, 2).flatten(2) @ b.attn_out.weight.T
            if before_mlps is not None:
                before_mlps.append(x)
            h = rms(x, b.ff_norm.weight, c["rms_norm_eps"])
            gate, up = (h @ torch.cat([b.ff_proj.weight, b.up_proj.weight]).T).chunk(2, -1)
            x = x + (F.silu(gate) * up) @ b.ff_out.weight.T
        return out, bias, hidden

    def gen(self, x, cache, bias, lengths, group):
        """Gen tokens [P*group, cells, g] after prompts of `lengths` -> states [P*group, cells, g]."""
        return self.gen_and_middle(x, cache, bias, lengths, group)[0]

    def gen_and_middle(self, x, cache, bias, lengths, group, layers=None, split=(), looked=None):
        """As `gen`, with the states that leave the last joint layer as well. `layers`: a list that gets of each layer what
        its heads bring [P*group, heads, cells, head] and the states that leave it. `split`: (k, v, bias) of what prompts
        show to each split layer (picture_prompt.py). `looked`: a list that gets of each copying head (copying.py) the
        logarithm of how much it looks at what the prompts show and at the picture [P*group, cells, shown + cells]."""
        c = self.c
        n, cells, g = x.shape
        head = c["d_model"] // c["n_heads"]
        position = lengths.repeat_interleave(group)[:, None] + torch.arange(cells)
        cos, sin = (t[:, None] for t in rope_table(position, head, c["rope_theta"]))
        for index, b in enumerate(self.transformer.blocks):
            h = rms(x, b.attn_norm_vision.weight, c["rms_norm_eps"])
            w = torch.cat([b.q_proj_vision.weight * head ** -0.5, b.k_proj_vision.weight, b.v_proj_vision.weight])
            q, k, v = (self.split_heads(t) for t in (h @ w.T).chunk(3, -1))
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            own = q @ k.transpose(-1, -2)
            if index < len(cache) or split:
                pk, pv, hide = (*cache[index], bias) if index < len(cache) else split[index - len(cache)]
                # All pictures of one prompt ask as one long row of queries, so its keys are never copied.
                wide = q.unflatten(0, (-1, group)).transpose(1, 2).flatten(2, 3)
                past = (wide @ pk.transpose(-1, -2) + hide)
                past = past.unflatten(2, (group, cells)).transpose(1, 2).flatten(0, 1)
                score = torch.cat([past, own], -1)
                past, own = score.softmax(-1).split([pk.shape[2], cells], -1)
                wide = past.unflatten(0, (-1, group)).transpose(1, 2).flatten(2, 3) @ pv
                a = own @ v + wide.unflatten(2, (group, cells)).transpose(1, 2).flatten(0, 1)
            else:
                score = own
                a = own.softmax(-1) @ v
            if looked is not None and index in COPIERS:
                looked.append(score[:, COPIERS[index]].float().log_softmax(-1))
            x = x + a.transpose(1, 2).flatten(2) @ b.attn_out.weight[:g].T
            h = rms(x, b.ff_norm_vision.weight, c["rms_norm_eps"])
            gate, up = (h @ torch.cat([b.ff_proj_vision.weight, b.up_proj_vision.weight]).T).chunk(2, -1)
            x = x + (F.silu(gate) * up) @ b.ff_out_vision.weight.T
            if index == len(cache) - 1:
                middle = x
            if layers is not None:
                layers.append((a, x))
        return x, middle
