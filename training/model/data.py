"""Batches for drawing: prompts, several pictures for each, masks and the positions that are scored."""
import pathlib
import sys

import numpy as np
import torch
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training" / part) for part in ("world", "vq", "tokenizer")]
from codes import CodeTable  # noqa: E402
from scenes import KINDS, World  # noqa: E402
from templates import draw_prompt_ids, micro_string, unconditional_ids  # noqa: E402

SHARES = {"single_object": 0.06, "two_object": 0.14, "counting": 0.20, "colors": 0.10, "position": 0.28, "color_attr": 0.22}


class Draws:
    def __init__(self, seed=0):
        self.seed = seed
        self.world, self.table = World(), CodeTable()
        self.tokenizer = Tokenizer.from_file(str(ROOT / "models/scenes/tokenizer.json"))
        self.shares = np.array([SHARES[k] for k in KINDS])
        self.luminance = [sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), rgb)) / 255 for rgb in self.world.grounds]

    def batch(self, step, prompts, group, background=0.1, objects=0.4):
        """The batch of a step, a function of (seed, step) alone, so that a resumed run sees the same data.

        Returns prompt ids [P, T] and lengths [P], masked ids [P*group, 16, 16], and for the scored positions: cell and
        corner indices, target ids and weights."""
        rng = np.random.default_rng([self.seed, step])
        rows, grids, cumulative = [], [], np.cumsum(self.shares)
        for number in range(prompts):
            kind = KINDS[int(np.searchsorted(cumulative - 1e-9, (number + rng.random()) / prompts))]
            caption, make = self.world.prompt_and_maker(rng, kind)
            scenes = [make() for _ in range(group)]
            micro = "" if rng.random() < 0.3 else micro_string(self.world.canvas)
            if micro and group == 1:  # a picture's own figures can only be told where a prompt has one picture
                figures = self.world.render(scenes[0]).astype(np.float32) / 255 @ np.array([0.2126, 0.7152, 0.0722])
                micro = micro[:-1]
                micro += f"; LUMINANCE : {figures.mean():.3f}" if rng.random() < 0.5 else ""
                micro += f"; CONTRAST : {figures.std():.3f}" if rng.random() < 0.5 else ""
                micro += ";"
            ids = draw_prompt_ids(self.tokenizer, caption, micro)
            rows.append(unconditional_ids(self.tokenizer, ids) if rng.random() < 0.1 else ids)
            grids += [self.table.ids(scene) for scene in scenes]
        lengths = np.array([len(r) for r in rows])
        ids = np.zeros((prompts, lengths.max()), np.int64)
        for i, row in enumerate(rows):
            ids[i, :len(row)] = row
        target = np.stack(grids).astype(np.int64)
        # Cosine policy: mask ratio cos(u pi / 2), at least one position.
        ratio = np.cos(rng.random(len(target)) * np.pi / 2) * (1 - 1e-3) + 1e-3
        noise = rng.random(target.shape)
        masked = noise < np.maximum(ratio, noise.reshape(len(target), -1).min(1) + 1e-9)[:, None, None]
        # The ground fills most of a picture: score a share of it (and a larger one of the objects), weighted back.
        ground = target < 8
        scored = masked & (rng.random(target.shape) < np.where(ground, background, objects))
        n, y, x = np.nonzero(scored)
        return {
            "prompt": torch.from_numpy(ids), "lengths": torch.from_numpy(lengths),
            "masked": torch.from_numpy(np.where(masked, -1, target)),
            "cell": torch.from_numpy(n * 64 + (y // 2) * 8 + x // 2),
            "corner": torch.from_numpy((y % 2) * 2 + x % 2),
            "target": torch.from_numpy(target[n, y, x]),
            "weight": torch.from_numpy(np.where(ground[n, y, x], 1 / background, 1 / objects)).float(),
            "ratio": torch.from_numpy(ratio[n]).float(),
        }
