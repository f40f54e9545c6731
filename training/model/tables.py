"""Factored parameters of the VQ vocabulary, for training only: what the checkpoint stores is their sum.

A tint code is a shape in a colour, so its rows in the input table and in the output head are own + shape + colour.
A colour never seen on a class then starts from what its shape and its colour mean elsewhere.
"""
import pathlib
import sys

import torch
import torch.nn as nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vq"))
from codes import CODES, COLORS, GROUND_CODES, NATIVE, SHAPES  # noqa: E402

FIRST = GROUND_CODES + NATIVE


class Factored(nn.Module):
    def __init__(self, rows, width, codebook, scale):
        super().__init__()
        own = torch.randn(rows, width)
        own[:CODES] += codebook @ torch.randn(codebook.shape[1], width) / codebook.shape[1] ** 0.5
        self.own = nn.Parameter(own * scale)
        self.shape = nn.Parameter(torch.randn(SHAPES, width) * scale)
        self.color = nn.Parameter(torch.randn(COLORS, width) * scale)

    @torch.no_grad()
    def take(self, rows):
        """Splits published rows back into own + shape + colour (means over the tints), to train on from a checkpoint."""
        tint = rows[FIRST:CODES].view(COLORS, SHAPES, -1)
        self.color.copy_(tint.mean(1))
        self.shape.copy_(tint.mean(0) - tint.mean((0, 1)))
        self.own.copy_(rows)
        self.own[FIRST:CODES] -= (self.color[:, None] + self.shape[None]).flatten(0, 1)

    def forward(self):
        tint = (self.color[:, None] + self.shape[None]).flatten(0, 1)
        return torch.cat([self.own[:FIRST], self.own[FIRST:CODES] + tint, self.own[CODES:]])
