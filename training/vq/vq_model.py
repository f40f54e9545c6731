"""The VQ tokenizer in the published structure and names (facts 2.6: diffusers' VQModel, factor 16), small channels."""
import torch
import torch.nn as nn
import torch.nn.functional as F

# One group: in a picture that is mostly plain ground, a norm over two channels would leave only their sign.
CONFIG = {
    "_class_name": "VQModel", "act_fn": "silu", "block_out_channels": [8, 16, 32, 64, 128],
    "down_block_types": ["DownEncoderBlock2D"] * 5, "up_block_types": ["UpDecoderBlock2D"] * 5,
    "in_channels": 3, "out_channels": 3, "latent_channels": 64, "layers_per_block": 1, "norm_num_groups": 1,
    "norm_type": "group", "num_vq_embeddings": 17520, "vq_embed_dim": 64, "mid_block_add_attention": False,
    "lookup_from_codebook": True, "scaling_factor": 1.0, "sample_size": 256,
}


class Resnet(nn.Module):
    def __init__(self, a, b, groups):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, a, eps=1e-6), nn.Conv2d(a, b, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(groups, b, eps=1e-6), nn.Conv2d(b, b, 3, padding=1)
        if a != b:
            self.conv_shortcut = nn.Conv2d(a, b, 1)

    def forward(self, x):
        h = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x) + h


class Conv(nn.Module):
    """`downsamplers.0.conv` / `upsamplers.0.conv`."""

    def __init__(self, c, down):
        super().__init__()
        self.down = down
        self.conv = nn.Conv2d(c, c, 3, stride=2 if down else 1, padding=0 if down else 1)

    def forward(self, x):
        if self.down:
            return self.conv(F.pad(x, (0, 1, 0, 1)))
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Block(nn.Module):
    def __init__(self, a, b, layers, groups, resample):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(a if i == 0 else b, b, groups) for i in range(layers)])
        if resample:
            setattr(self, resample + "samplers", nn.ModuleList([Conv(b, resample == "down")]))

    def forward(self, x):
        for resnet in self.resnets:
            x = resnet(x)
        for sampler in getattr(self, "downsamplers", getattr(self, "upsamplers", [])):
            x = sampler(x)
        return x


class Mid(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(c, c, groups) for _ in range(2)])

    def forward(self, x):
        return self.resnets[1](self.resnets[0](x))


class Encoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        widths, groups = cfg["block_out_channels"], cfg["norm_num_groups"]
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            [Block(widths[max(i - 1, 0)], w, cfg["layers_per_block"], groups, "down" if i < len(widths) - 1 else None)
             for i, w in enumerate(widths)])
        self.mid_block = Mid(widths[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], cfg["latent_channels"], 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        widths, groups = cfg["block_out_channels"][::-1], cfg["norm_num_groups"]
        self.conv_in = nn.Conv2d(cfg["latent_channels"], widths[0], 3, padding=1)
        self.mid_block = Mid(widths[0], groups)
        self.up_blocks = nn.ModuleList(
            [Block(widths[max(i - 1, 0)], w, cfg["layers_per_block"] + 1, groups, "up" if i < len(widths) - 1 else None)
             for i, w in enumerate(widths)])
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, x):
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class Quantize(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embedding = nn.Embedding(cfg["num_vq_embeddings"], cfg["vq_embed_dim"])


class VQ(nn.Module):
    def __init__(self, cfg=CONFIG):
        super().__init__()
        self.config = cfg
        self.encoder, self.decoder, self.quantize = Encoder(cfg), Decoder(cfg), Quantize(cfg)
        self.quant_conv = nn.Conv2d(cfg["latent_channels"], cfg["vq_embed_dim"], 1)
        self.post_quant_conv = nn.Conv2d(cfg["vq_embed_dim"], cfg["latent_channels"], 1)
        self.start_open()

    def start_open(self):
        """Lets the signal through from the first step: resampling and inner convolutions start as identities, residual
        branches at a tenth. PyTorch's own start shrinks it by half at every convolution, which costs thousands of
        pictures here."""
        for name, module in self.named_modules():
            if not isinstance(module, nn.Conv2d):
                continue
            nn.init.zeros_(module.bias)
            weight = module.weight.data
            noise = torch.randn_like(weight) * (0.1 / weight[0].numel() ** 0.5)
            if name.endswith(("conv_in", "conv_shortcut", "quant_conv")):
                nn.init.zeros_(weight)
                nn.init.orthogonal_(weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2])
            elif "samplers" in name:
                nn.init.dirac_(weight)
            elif name.endswith("conv2"):
                weight.mul_(0.1)
            elif name.endswith("conv1"):
                nn.init.normal_(weight, std=1 / weight[0].numel() ** 0.5)
            weight.add_(noise)

    def latent(self, pixels):
        """fp32 [B,3,H,W] in 0..1 -> [B,h,w,dim] before quantisation."""
        return self.quant_conv(self.encoder(pixels)).permute(0, 2, 3, 1)

    def distances(self, z):
        e = self.quantize.embedding.weight
        flat = z.reshape(-1, z.shape[-1])
        return (flat * flat).sum(1, keepdim=True) - 2 * flat @ e.T + (e * e).sum(1)

    def encode(self, pixels):
        z = self.latent(pixels)
        return self.distances(z).argmin(1).view(z.shape[:3])

    def decode(self, ids):
        """[B,h,w] -> fp32 [B,3,H,W], not clipped."""
        e = self.quantize.embedding(ids).permute(0, 3, 1, 2)
        return self.decoder(self.post_quant_conv(e))
