#!/usr/bin/env python3
"""How the VQ encoder reads each thing of the world: what the source of an edit looks like, when it comes as a picture.

The encoder's ids are not the code table's: it takes a shape for another one that looks the same in that tint. Which one
hardly depends on where the thing stands, so its readings are a table of the same shape, one for each ground.

    python3 training/vq/reads.py
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "world"), str(HERE.parent / "model")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from codes import CELL, GROUND_CODES, PALETTES, CodeTable  # noqa: E402
from model_vq import load_vq  # noqa: E402
from scenes import Scene, Thing, World  # noqa: E402

PATH = HERE / "reads.npz"


class Reads(CodeTable):
    """Scenes to ids as the encoder reads them."""

    def __init__(self, path=PATH):
        super().__init__()
        data = np.load(path)
        # [class, palette, ground, k, k] a size; the code table's ids for combinations that training must not see.
        self.reads = {int(k.split("_")[1]): data[k] for k in data.files}

    def read(self, scene, rng, other=0.1, wrong=0.02) -> np.ndarray:
        """uint16 [16, 16]. What depends on a thing's surroundings is left to chance: the share `other` of its ids are those
        that are read on another ground, and the share `wrong` are any of its palette."""
        grid = self.ids(scene)
        for thing in scene.things:
            reads = self.reads[thing.size]
            block = reads[thing.cls, thing.color, scene.ground]
            elsewhere = reads[thing.cls, thing.color, rng.integers(reads.shape[2])]
            block = np.where(rng.random(block.shape) < other, elsewhere, block)
            any_one = self.tables[thing.size][rng.integers(len(reads)), thing.color]
            any_one = any_one[any_one >= 0]
            lost = (rng.random(block.shape) < wrong) & (block >= 0)
            block[lost] = any_one[rng.integers(len(any_one), size=int(lost.sum()))]
            y, x, k = thing.y // CELL, thing.x // CELL, thing.size // CELL
            view = grid[y: y + k, x: x + k]
            view[block >= 0] = block[block >= 0]
        return grid


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    world, table, vq = World(), CodeTable(), load_vq()
    out, agreed, number = {}, 0, 0
    for size in world.sizes:
        k, at = size // CELL, range(0, world.canvas - size + 1, 96 if size == 64 else 128)
        places = [(x, y) for y in at for x in at]
        kinds = [(cls, color) for cls in range(len(world.names)) for color in range(PALETTES) if (cls, color) not in world.held_colors]
        reads = np.repeat(table.tables[size][:, :, None], len(world.grounds), 2)
        for ground in range(len(world.grounds)):
            for first in range(0, len(kinds), len(places)):
                things = tuple(Thing(*kind, size, *corner) for kind, corner in zip(kinds[first:], places))
                picture = torch.from_numpy(world.render(Scene(ground, things))).permute(2, 0, 1)[None].float() / 255
                ids = vq.encode(picture)[0].view(16, 16).numpy()
                for t in things:
                    own = reads[t.cls, t.color, ground]
                    seen = ids[t.y // CELL: t.y // CELL + k, t.x // CELL: t.x // CELL + k]
                    agreed, number = agreed + int((own == seen)[own >= 0].sum()), number + int((own >= 0).sum())
                    own[own >= 0] = np.where(seen >= GROUND_CODES, seen, own)[own >= 0]
        out[f"read_{size}"] = reads
    np.savez_compressed(PATH, **out)
    print(f"the encoder's id is the code table's in {agreed / number:.3f} of {number} positions with things -> {PATH.name}")


if __name__ == "__main__":
    main()
