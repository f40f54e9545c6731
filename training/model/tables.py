"""Factored parameters of the VQ vocabulary, for training only: what the checkpoint stores is their sum.

An object code is a shape in a palette, and its row is `shape + palette + bind_shape * bind_palette`. The sum alone would
make shape and colour independent of each other at every position, which is wrong while a picture of a red car and a
blue dog is still undecided there; the product lets one state prefer red cars and blue dogs to blue cars. Nothing is
owned by one pair, so a colour never seen on a class is made of what its shapes and its colour mean elsewhere.
"""
import pathlib
import sys

import torch
import torch.nn as nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vq"))
from codes import CODES, GROUND_CODES, PALETTES, SHAPES  # noqa: E402


class Factored(nn.Module):
    """fp32 [rows, width]; rows beyond the codes (the mask and its unused neighbours) are free, as the grounds are.
    `pairs` [PALETTES * SHAPES, n]: fixed codes (pair_codes.py) whose learned map is added."""

    def __init__(self, rows, width, codebook, scale, pairs=None):
        super().__init__()
        free = torch.randn(GROUND_CODES + rows - CODES, width)
        shape = torch.randn(SHAPES, width)
        alike = torch.randn(codebook.shape[1], width) / codebook.shape[1] ** 0.5  # what looks alike starts alike
        free[:GROUND_CODES] += codebook[:GROUND_CODES] @ alike
        shape += codebook[GROUND_CODES:GROUND_CODES + SHAPES] @ alike
        self.free = nn.Parameter(free * scale)
        self.shape = nn.Parameter(shape * scale)
        self.palette = nn.Parameter(torch.randn(PALETTES, width) * scale)
        self.bind_shape = nn.Parameter(torch.randn(SHAPES, width) * scale)
        self.bind_palette = nn.Parameter(torch.zeros(PALETTES, width))
        self.register_buffer("pairs", pairs, persistent=False)
        self.map = None if pairs is None else nn.Parameter(torch.zeros(pairs.shape[1], width))

    @torch.no_grad()
    def take(self, rows):
        """Splits published rows back into their factors, to train on from a checkpoint: means for the sum, least
        squares for the map of pairs, and, a column at a time, the leading singular pair for the product."""
        self.free.copy_(torch.cat([rows[:GROUND_CODES], rows[CODES:]]))
        grid = rows[GROUND_CODES:CODES].view(PALETTES, SHAPES, -1)
        palette, shape = grid.mean(1), grid.mean(0) - grid.mean((0, 1))
        product = grid - palette[:, None] - shape
        if self.map is not None:
            self.map.copy_(torch.linalg.lstsq(self.pairs, product.flatten(0, 1)).solution)
            product = product - (self.pairs @ self.map).view_as(product)
        u, s, v = torch.linalg.svd(product.permute(2, 0, 1), full_matrices=False)
        self.palette.copy_(palette)
        self.shape.copy_(shape)
        # The palettes' side gets the size it has in training, about 1.
        size = u[:, :, 0].norm(dim=1, keepdim=True) / PALETTES ** 0.5
        self.bind_palette.copy_((u[:, :, 0] / size).T)
        self.bind_shape.copy_((v[:, 0] * s[:, :1] * size).T)

    def forward(self):
        things = self.shape + self.palette[:, None] + self.bind_shape * self.bind_palette[:, None]
        things = things.flatten(0, 1)
        if self.map is not None:
            things = things + self.pairs @ self.map
        return torch.cat([self.free[:GROUND_CODES], things, self.free[GROUND_CODES:]])


class Fixed(nn.Module):
    """The same rows, once nothing trains them any more."""

    def __init__(self, rows, width):
        super().__init__()
        self.register_buffer("rows", torch.zeros(rows, width))

    @torch.no_grad()
    def take(self, rows):
        self.rows.copy_(rows)

    def forward(self):
        return self.rows
