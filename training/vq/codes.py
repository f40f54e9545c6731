#!/usr/bin/env python3
"""The code table: which VQ id each 16-px cell of the world stands for.

Raw ids of a learned encoder make poor targets (the same object changes ids with its surroundings), so the codes are
fixed first and the network learns them: one id a ground, and for objects a *shape* in a *palette*. Shapes are k-means
clusters of the icons' patches in their own colours; palette 0 is those colours, the others are the tints. A tint is
then the same shape as the untinted object in another palette, also for a class on which it was never seen. The
codebook's vectors start as the principal components of what the codes look like.

Ids: 0..7 grounds (6 used), then PALETTES x SHAPES, palette-major.
"""
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "world"))
from scenes import World  # noqa: E402

GROUND_CODES, PALETTES, SHAPES = 8, 11, 1592
CODES = GROUND_CODES + PALETTES * SHAPES  # 17520
CELL, LATENT = 16, 64
PATH = pathlib.Path(__file__).resolve().parent / "codes.npz"


def patches(sprites: np.ndarray) -> np.ndarray:
    """[n, size, size, 4] -> [n * cells, 8, 8, 4] float in 0..1: premultiplied colour and alpha, halved in size."""
    n, size = sprites.shape[:2]
    k = size // CELL
    x = sprites.astype(np.float32) / 255
    x[..., :3] *= x[..., 3:]
    x = x.reshape(n, size // 2, 2, size // 2, 2, 4).mean((2, 4))
    return x.reshape(n, k, 8, k, 8, 4).transpose(0, 1, 3, 2, 4, 5).reshape(n * k * k, 8, 8, 4)


def kmeans(points: np.ndarray, count: int, rounds: int = 40, seed: int = 0):
    x = torch.from_numpy(np.ascontiguousarray(points))
    generator = torch.Generator().manual_seed(seed)
    distance = torch.full((len(x),), torch.inf)
    centers = [x[torch.randint(len(x), (1,), generator=generator)][0]]
    for _ in range(count - 1):  # k-means++
        distance = torch.minimum(distance, ((x - centers[-1]) ** 2).sum(1))
        total = float(distance.sum())
        pick = torch.multinomial(distance, 1, generator=generator) if total > 0 else torch.randint(
            len(x), (1,), generator=generator)
        centers.append(x[pick][0])
    centers = torch.stack(centers)
    for _ in range(rounds):
        label = torch.cdist(x, centers).argmin(1)
        sums = torch.zeros_like(centers).index_add_(0, label, x)
        sizes = torch.bincount(label, minlength=count)[:, None]
        centers = torch.where(sizes > 0, sums / sizes.clamp(min=1), centers)
    return label.numpy(), centers.numpy(), float(torch.cdist(x, centers).min(1).values.pow(2).mean())


def build() -> None:
    world = World()
    n = len(world.names)
    parts, where = [], []
    for size in world.sizes:
        parts.append({c: patches(world.sprites[size][:, c]) for c in range(PALETTES)})
        where.append(size)
    native = np.concatenate([p[0] for p in parts])
    # A cell with next to nothing in it belongs to the ground.
    full = native[..., 3].mean((1, 2)) > 0.012
    label, _, error = kmeans(native[full].reshape(full.sum(), -1), SHAPES)
    print(f"{full.sum()} filled cells; mean square error {error:.4f}")

    ids = np.full((PALETTES, len(full)), -1, np.int32)
    for c in range(PALETTES):
        ids[c, full] = GROUND_CODES + c * SHAPES + label
    # What each code looks like, over all its uses, as seen patches (grounds: plain colour, alpha 0).
    looks = np.zeros((CODES, 8 * 8 * 4), np.float32)
    uses = np.zeros(CODES)
    for c in range(PALETTES):
        flat = np.concatenate([p[c] for p in parts]).reshape(len(full), -1)
        np.add.at(looks, ids[c, full], flat[full])
        np.add.at(uses, ids[c, full], 1)
    looks /= np.maximum(uses, 1)[:, None]
    for g, rgb in enumerate(world.grounds):
        look = np.zeros((8, 8, 4), np.float32)
        look[..., :3] = np.array(rgb) / 255
        look[..., 3] = 0.5  # between empty and full, so that no direction is spent on telling grounds from things
        looks[g] = look.reshape(-1)
    used = np.concatenate([np.arange(len(world.grounds)), np.nonzero(uses)[0]])
    mean = looks[used].mean(0)
    _, _, basis = np.linalg.svd(looks[used] - mean, full_matrices=False)
    code = (looks - mean) @ basis[:LATENT].T
    code = code / code[used].std(0) ** 0.7  # mostly whitened: the small directions hold the details
    tables, at = {}, 0
    for size in where:
        k = size // CELL
        block = ids[:, at: at + n * k * k].reshape(PALETTES, n, k, k).transpose(1, 0, 2, 3)
        tables[f"table_{size}"] = np.ascontiguousarray(block).astype(np.int16)  # -1 = ground
        at += n * k * k
    np.savez_compressed(PATH, codebook=code.astype(np.float16), **tables)
    print(f"{CODES} codes, {len(used)} used -> {PATH.name}")


class CodeTable:
    """Scenes to ids: int16 tables [class, palette, k, k] a size, -1 where the ground shows."""

    def __init__(self):
        data = np.load(PATH)
        self.codebook = data["codebook"].astype(np.float32)
        self.tables = {int(k.split("_")[1]): data[k] for k in data.files if k.startswith("table_")}

    def ids(self, scene) -> np.ndarray:
        """uint16 [16, 16]."""
        grid = np.full((16, 16), scene.ground, np.int32)
        for thing in scene.things:
            block = self.tables[thing.size][thing.cls, thing.color]
            y, x, k = thing.y // CELL, thing.x // CELL, thing.size // CELL
            view = grid[y: y + k, x: x + k]
            view[block >= 0] = block[block >= 0]
        return grid.astype(np.uint16)


if __name__ == "__main__":
    build()
