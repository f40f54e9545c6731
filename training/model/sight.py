"""What sees: a SigLIP-shaped tower, 2x2 pooling and the projector (facts 2.4-2.5)."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from config import CONFIG, VISION


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


def sight_parameters(sight):
    """(hidden matrices for Muon, the rest for Adam), without the last of the projector, which writes too."""
    matrices, rest = [], []
    for name, p in sight.named_parameters():
        if name.startswith("project.1"):
            continue
        (matrices if p.ndim == 2 and name.startswith(("patch", "layers", "pool", "project")) else rest).append(p)
    return matrices, rest
