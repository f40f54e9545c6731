"""What answers, points, plans and judges: a SigLIP-shaped tower, its projector, and the text side of all layers.

Nothing that drawing reads is trained here (`trained`), so the pictures of a checkpoint stay what they were, to the bit:
the text side's joint layers keep what drawing taught them, and what is new lives in the split layers, the LM head, the
tower, and the embeddings of words that no drawing prompt holds.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from config import CONFIG, VISION
from network import rms, rope_table, rotate


class Affine(nn.Module):
    def __init__(self, out, inn, gain=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, inn) * gain / inn ** 0.5)
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class TowerLayer(nn.Module):
    def __init__(self, v):
        super().__init__()
        d, small = v["hidden_size"], (2 * v["num_hidden_layers"]) ** -0.5
        self.layer_norm1, self.layer_norm2 = (nn.LayerNorm(d, eps=v["layer_norm_eps"]) for _ in range(2))
        self.self_attn = nn.Module()
        for name in ("q_proj", "k_proj", "v_proj"):
            setattr(self.self_attn, name, Affine(d, d))
        self.self_attn.out_proj = Affine(d, d, small)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = Affine(v["intermediate_size"], d), Affine(d, v["intermediate_size"], small)
        self.heads = v["num_attention_heads"]

    def forward(self, x):
        a = self.self_attn
        h = self.layer_norm1(x)
        q, k, v = (p(h).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (a.q_proj, a.k_proj, a.v_proj))
        score = (q * (q.shape[-1] ** -0.5)) @ k.transpose(-1, -2)
        x = x + a.out_proj((score.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.layer_norm2(x)), approximate="tanh"))


class Sight(nn.Module):
    """`model.vision_tower...`, `model.vision_resampler.pool`, `model.mm_projector`, `model.image_newline` (facts 2.4-2.5)."""

    def __init__(self, v=VISION, width=CONFIG["d_model"]):
        super().__init__()
        d, p = v["hidden_size"], v["patch_size"]
        self.across = v["image_size"] // p
        self.patch = Affine(d, 3 * p * p)
        self.position = nn.Parameter(torch.randn(self.across ** 2, d) * 0.3)
        self.layers = nn.ModuleList([TowerLayer(v) for _ in range(v["num_hidden_layers"] - 1)])  # the last is never built
        self.pool = Affine(d, 4 * d)
        self.project = nn.ModuleList([Affine(width, d), Affine(width, width)])
        self.newline = nn.Parameter(torch.randn(width) * 0.3)
        self.side = p

    @torch.no_grad()
    def start(self, pixels):
        """The patch embedding as whitened principal components of those patches of `pixels` that show more than a ground."""
        x = self.cut(pixels)
        x = x[x.std(-1) > 0.05]
        mean = x.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((x - mean).T))
        count = len(self.patch.weight)
        self.patch.weight.copy_(vectors[:, -count:].T / (values[-count:, None] + 1e-3 * values[-1]).sqrt())
        self.patch.bias.copy_(-self.patch.weight @ mean)

    def forward(self, pixels):
        """uint8 [B, side, side, 3] -> [B, tokens, width]: the base view, then the same view again as the one tile with a
        newline behind each row, as a picture of the native size is cut (facts 7)."""
        return self.tiles(self.cells(self.patches(pixels)))

    def tiles(self, x):
        """`forward` from `cells` on."""
        n = self.across // 2
        rows = x.unflatten(1, (n, n))
        rows = torch.cat([rows, self.newline.expand(*rows.shape[:2], 1, -1).to(rows.dtype)], 2).flatten(1, 2)
        return torch.cat([x, rows], 1)

    def single(self, pixels):
        """As `forward`, of a picture that is one of several in its prompt: the base view and a newline."""
        x = self.cells(self.patches(pixels))
        return torch.cat([x, self.newline.expand(len(x), 1, -1).to(x.dtype)], 1)

    def patches(self, pixels):
        """uint8 [B, side, side, 3] -> states of the last layer [B, patches, hidden], row by row."""
        x = self.patch(self.cut(pixels)) + self.position
        for layer in self.layers:
            x = layer(x)
        return x

    def cut(self, pixels):
        """uint8 [B, side, side, 3] -> patches of numbers from -1 to 1 [B, patches, 3 * patch * patch]."""
        p, n = self.side, self.across
        x = (pixels.float() / 255 - 0.5) / 0.5
        return x.unflatten(2, (n, p)).unflatten(1, (n, p)).permute(0, 1, 3, 5, 2, 4).flatten(1, 2).flatten(2)

    def cells(self, patches):
        """[B, patches, hidden] -> [B, cells, width], row by row, a cell being 2x2 patches."""
        n = self.across // 2
        x = patches.unflatten(1, (n, 2, n, 2)).permute(0, 1, 3, 5, 2, 4).flatten(1, 2).flatten(2)  # [cells, d * 4]
        return self.project[1](F.gelu(self.project[0](self.pool(x))))

    def published(self):
        """fp32 tensors under the published names."""
        p, d = self.side, self.pool.weight.shape[0]
        tower = "model.vision_tower.vision_tower.vision_model."
        out = {
            f"{tower}embeddings.patch_embedding.weight": self.patch.weight.view(-1, 3, p, p),
            f"{tower}embeddings.patch_embedding.bias": self.patch.bias,
            f"{tower}embeddings.position_embedding.weight": self.position,
            "model.vision_resampler.pool.weight": self.pool.weight.view(d, d, 2, 2),
            "model.vision_resampler.pool.bias": self.pool.bias,
            "model.image_newline": self.newline,
        }
        for index, name in ((0, "0"), (1, "2")):
            out |= {f"model.mm_projector.{name}.{part}": getattr(self.project[index], part) for part in ("weight", "bias")}
        for i, layer in enumerate(self.layers):
            out |= {f"{tower}encoder.layers.{i}.{name}": value for name, value in layer.named_parameters()}
        return {name: value.detach().clone() for name, value in out.items()}

    @torch.no_grad()
    def take(self, weights):
        """From tensors under the published names."""
        tower = "model.vision_tower.vision_tower.vision_model."
        self.patch.weight.copy_(weights[f"{tower}embeddings.patch_embedding.weight"].flatten(1))
        self.patch.bias.copy_(weights[f"{tower}embeddings.patch_embedding.bias"])
        self.position.copy_(weights[f"{tower}embeddings.position_embedding.weight"])
        self.pool.weight.copy_(weights["model.vision_resampler.pool.weight"].flatten(1))
        self.pool.bias.copy_(weights["model.vision_resampler.pool.bias"])
        self.newline.copy_(weights["model.image_newline"])
        for index, name in ((0, "0"), (1, "2")):
            for part in ("weight", "bias"):
                getattr(self.project[index], part).copy_(weights[f"model.mm_projector.{name}.{part}"])
        for i, layer in enumerate(self.layers):
            for name, value in layer.named_parameters():
                value.copy_(weights[f"{tower}encoder.layers.{i}.{name}"])


def embed(net, ids, features=None):
    """ids [B, T] with -1 at picture tokens, `features` [pictures, tokens, d_model] for those in order -> [B, T, d_model]."""
    words = F.embedding(ids.clamp(min=0), net.transformer.wte.weight)
    if features is None:
        return words
    out = words.clone()
    out[ids < 0] = features.flatten(0, 1).to(words.dtype)
    return out


def text_states(net, x, bias, asked, pointing=None, told=None):
    """Embeddings [B, T, d], `attention_bias`, places [K] in B * T -> their states after the final norm [K, d].
    `pointing`: names [N, 2], looks bool [N, T] and about [M, 3] of records.py, for which `told` gets cross-entropies: in the
    first two split layers of the first head's looks from names at what they name, in the next two of the second head's
    from what is asked at the name that it is about."""
    c = net.c
    length, head = x.shape[1], c["d_model"] // c["n_heads"]
    cos, sin = rope_table(torch.arange(length), head, c["rope_theta"])
    for index, b in enumerate(net.transformer.blocks):
        h = rms(x, b.attn_norm.weight, c["rms_norm_eps"])
        w = torch.cat([b.q_proj.weight * head ** -0.5, b.k_proj.weight, b.v_proj.weight])
        q, k, v = (net.split_heads(t) for t in (h @ w.T).chunk(3, -1))
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        behind = index - c["dual_tower_layers"] - 1
        if pointing is not None and behind >= 0:
            names, looks, about = pointing
            head_at = behind // 2
            row, at = (names if head_at == 0 else about).T[:2]
            if len(row):
                score = (q[row, head_at, at][:, None] @ k[row, head_at].transpose(-1, -2))[:, 0] + bias[row, 0, at]
                seen = looks if head_at == 0 else F.one_hot(about[:, 2], length).bool()
                told.append(-score.float().log_softmax(-1).masked_fill(~seen, -1e9).logsumexp(-1).mean())
        a = (q @ k.transpose(-1, -2) + bias).softmax(-1).to(v.dtype) @ v
        x = x + a.transpose(1, 2).flatten(2) @ b.attn_out.weight.T
        h = rms(x, b.ff_norm.weight, c["rms_norm_eps"])
        gate, up = (h @ torch.cat([b.ff_proj.weight, b.up_proj.weight]).T).chunk(2, -1)
        x = x + (F.silu(gate) * up) @ b.ff_out.weight.T
    return rms(x.flatten(0, 1)[asked], net.transformer.ln_f.weight, c["rms_norm_eps"])


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


def sight_parameters(sight):
    """(hidden matrices for Muon, the rest for Adam), without the last of the projector, which writes too."""
    matrices, rest = [], []
    for name, p in sight.named_parameters():
        if name.startswith("project.1"):
            continue
        (matrices if p.ndim == 2 and name.startswith(("patch", "layers", "pool", "project")) else rest).append(p)
    return matrices, rest
