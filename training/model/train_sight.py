#!/usr/bin/env python3
"""Trains the tower alone to see what stands in each patch (seeing.Seeing.seen_loss): `train_sight.py --minutes 6`, before
train_texts.py, which goes on from it with `--sight`. Checkpoints by time to training/runs/sight; resumes.

The patch embedding starts as whitened principal components of patches of the world: over raw pixels, where the ground
and its brightness are nearly all of the variance, classes of things were still mixed up after 100 thousand pictures.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from data import Draws  # noqa: E402
from records import shown  # noqa: E402
from seeing import Seeing  # noqa: E402
from stage import Stage, add, begun, gradients, stage_options  # noqa: E402
from tasks import Tasks  # noqa: E402
from teams import sight_teams  # noqa: E402

PICTURES = 96


def main() -> None:
    options, device = begun(stage_options(minutes=6, rate=3e-3, out="sight"))
    draws = Draws(options.seed)
    tasks = Tasks(draws.world)

    def fetch(step, count=PICTURES):
        """-> (pixels, what they show), a function of seed and step."""
        rng = np.random.default_rng([options.seed, step, 3])
        scenes = [tasks.mixed(rng) for _ in range(count)]
        pixels, things = [draws.world.render(scene) for scene in scenes], [shown(scene) for scene in scenes]
        return torch.from_numpy(np.stack(pixels)).to(device), torch.from_numpy(np.stack(things)).to(device)

    torch.set_default_device(device)
    model = Seeing(torch.from_numpy(draws.table.codebook).to(device), options.bf16)
    rates = options.rate, options.adam
    stage = Stage(model, sight_teams(model, *rates, *rates, options.bf16), options)
    if not stage.resume(device):
        stage.start(options.init, device)
    if not stage.step and not options.init:
        model.sight.start(fetch(1 << 20, 1000)[0])
    stage.begin()
    sums = {}
    while stage.due():
        pixels, things = fetch(stage.step)
        with torch.autocast(device, torch.bfloat16, enabled=options.bf16):
            patches = model.sight.patches(pixels)
            loss = model.seen_loss(patches, model.sight.cells(patches), things)
        add(sums, "norm", stage.update(gradients(loss, stage.teams, list(stage.teams))))
        add(sums, "seen", loss.detach())
        stage.report(sums, 4)
    stage.keep()


if __name__ == "__main__":
    main()
