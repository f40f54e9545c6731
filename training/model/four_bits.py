"""Weights as int4 conversions have them (kernels/onnx/quantize.ts), for a while: gradients are taken there and applied to
what the weights really are, so that training goes where rounding costs little.

Rounding the layers alone cost scenes a sixth of its strict score, spread over all of them (the gen MLPs most).
"""
import contextlib

import torch
from config import CONFIG

BLOCK, ZERO = 32, 8
EXTREMES = (-8.0, -8.5)


def rounded(weight):
    """[rows, columns] as int4 stores them: the better of two scales for each block of 32 along a row."""
    rows, columns = weight.shape
    blocks = torch.zeros(rows, -(-columns // BLOCK) * BLOCK)
    blocks[:, :columns] = weight
    blocks = blocks.view(rows, -1, BLOCK)
    extreme = blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True))
    best = least = None
    for at in EXTREMES:
        scale = extreme / at
        inverse = torch.where(scale == 0, 0.0, 1 / scale)
        stored = ((blocks * inverse + ZERO + 0.5).floor().clamp(0, 15) - ZERO) * scale
        error = (blocks - stored).square().sum(-1, keepdim=True)
        best = stored if best is None else torch.where(error < least, stored, best)
        least = error if least is None else torch.minimum(error, least)
    return best.view(rows, -1)[:, :columns]


def rounded_out(weight):
    """As `rounded`, of what an MLP writes: its hidden units are made to write alike before (evened_units.ts)."""
    loud = weight.double().square().mean(0).sqrt().float()
    loud = torch.where(loud > 0, loud, 1.0)
    return rounded(weight / loud) * loud


def read_by_drawing(name):
    """Whether int4 rounds that parameter of the network, and drawing reads it: linear maps of layers (formats.ts). The head is
    stored as numbers that int4 holds (rounded_head.py)."""
    part = name.split(".")
    if part[:2] != ["transformer", "blocks"]:
        return False
    linear = not part[3].startswith(("attn_norm", "ff_norm"))
    return linear and (part[3] == "attn_out" or part[3].endswith("_vision") or int(part[2]) <= CONFIG["dual_tower_layers"])


@contextlib.contextmanager
def in_four_bits(net, rounding=True, pull=0.0, pulled=()):
    """Within, what drawing reads of `net` is rounded; without `rounding` nothing is. Behind it the parameters `pulled` have
    gone the share `pull` of the way to what they were rounded to, so that rounding costs less each time."""
    held = {name: p for name, p in net.named_parameters() if rounding and read_by_drawing(name)}
    exact = {name: p.detach().clone() for name, p in held.items()}
    try:
        with torch.no_grad():
            for name, p in held.items():
                p.copy_((rounded_out if ".ff_out" in name else rounded)(p))
        yield
    finally:
        with torch.no_grad():
            ids = {id(p) for p in pulled}
            for name, p in held.items():
                p.copy_(exact[name].lerp_(p, pull) if pull and id(p) in ids else exact[name])
