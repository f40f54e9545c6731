#!/usr/bin/env python3
"""Trains where copying heads look (copying.py), before train_edits.py: `train_looks.py --minutes 20`. Checkpoints by time
to training/runs/looks; running it again resumes.

Nothing else changes, and what a picture's last states are without these heads' new sense (a mean square of 1) they shall
stay: drawing goes on from here. Where a cell is has little to do with what it shows, so a few hundred edits do.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from copying import begin_looks  # noqa: E402
from data import Draws  # noqa: E402
from picture_data import PictureDraws  # noqa: E402
from seeing import Seeing  # noqa: E402
from stage import Stage, add, begun, gradients, stage_options  # noqa: E402
from teams import looking_teams  # noqa: E402

POOL, EDITS, PICTURES = 100, 10, 8
FIRST_PICTURE = 1 << 20


def main() -> None:
    parser = stage_options(minutes=20, rate=2e-2, out="looks", init=HERE.parents[1] / "models/scenes")
    parser.add_argument("--kept", type=float, default=25, help="how much it counts that pictures' last states stay")
    options, device = begun(parser)
    draws = Draws(options.seed)
    torch.set_default_device(device)
    on = lambda b: {k: v.to(device) if torch.is_tensor(v) else v for k, v in b.items()}
    pictures = PictureDraws(draws)
    edits = [on(pictures.batch("edit", at, EDITS, 1, sourceless=0.1)) for at in range(POOL)]
    drawn = [on(draws.batch(FIRST_PICTURE + at, PICTURES, 1)) for at in range(POOL)]

    model = Seeing(torch.from_numpy(draws.table.codebook).to(device), options.bf16)
    stage = Stage(model, looking_teams(model, options.rate, options.adam), options)
    stage.start(options.init, device)
    for b in edits:
        b["features"] = model.look(b)
    with torch.no_grad():
        before = [model.states(b, 1)[1][0].float() for b in drawn]
    if not stage.resume(device):
        begin_looks(model.net)
    stage.begin()
    sums = {}
    while stage.due():
        rng = np.random.default_rng([options.seed, stage.step, 4])
        edit, picture = (int(at) for at in rng.integers(POOL, size=2))
        told = model.picture_states(edits[edit], 1)[1]
        states = model.states(drawn[picture], 1)[1][0].float()
        size = before[picture].square().mean(-1, keepdim=True)
        told["moved"] = ((states - before[picture]).square() / size).mean()
        loss = told["places"] + told["looking"] + options.kept * told["moved"]
        grads = gradients(loss, stage.teams, list(stage.teams))
        for name, value in told.items():
            add(sums, name, value.detach())
        add(sums, "norm", stage.update(grads))
        stage.report(sums, 3)
    stage.keep()


if __name__ == "__main__":
    main()
