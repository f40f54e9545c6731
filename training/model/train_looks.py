#!/usr/bin/env python3
"""Trains where copying heads look (copying.py), before train_edits.py: `train_looks.py --minutes 20`. Checkpoints by time
to training/runs/looks; running it again resumes.

Nothing else changes, and what a picture's last states are without these heads' new sense (a mean square of 1) they shall
stay: drawing goes on from here. Each step brings new edits: with a thousand of them to choose from, places were learned by
heart (looks cost 0.8 nats there, and 13 on others).
"""
import copy
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import torch  # noqa: E402
from copying import begin_looks, looking_loss  # noqa: E402
from data import Draws  # noqa: E402
from kept_looks import keep_looks, take_looks  # noqa: E402
from picture_data import PictureDraws  # noqa: E402
from seeing import Seeing  # noqa: E402
from stage import Stage, add, begun, gradients, stage_options  # noqa: E402
from teams import looking_teams  # noqa: E402

EDITS, PICTURES = 10, 8


def main() -> None:
    parser = stage_options(minutes=20, rate=2e-2, out="looks", init=HERE.parents[1] / "models/scenes")
    parser.add_argument("--kept", type=float, default=25, help="how much it counts that pictures' last states stay")
    parser.add_argument("--go-on", action="store_true", help="from the heads of looks.npz instead of new ones")
    options, device = begun(parser)
    draws = Draws(options.seed)
    pictures = PictureDraws(draws)
    torch.set_default_device(device)
    on = lambda b: {k: v.to(device) if torch.is_tensor(v) else v for k, v in b.items()}
    model = Seeing(torch.from_numpy(draws.table.codebook).to(device), options.bf16)
    stage = Stage(model, looking_teams(model, options.rate, options.adam), options)
    stage.start(options.init, device)
    before = copy.deepcopy(model)
    if not stage.resume(device):
        if options.go_on:
            take_looks(model)
        else:
            begin_looks(model.net)
    stage.begin()
    sums = {}
    while stage.due():
        edit = on(pictures.batch("edit", stage.step, EDITS, 1, sourceless=0.1))
        drawn = on(draws.batch(stage.step, PICTURES, 1))
        told = model.picture_states(edit, 1)[1]
        looked = []
        states = model.states(drawn, 1, looked)[1][0].float()
        with torch.no_grad():
            stay = before.states(drawn, 1)[1][0].float()
        told["drawn_looking"] = looking_loss(looked)
        told["moved"] = ((states - stay).square() / stay.square().mean(-1, keepdim=True)).mean()
        loss = told["places"] + told["looking"] + 0.5 * told["drawn_looking"] + options.kept * told["moved"]
        grads = gradients(loss, stage.teams, list(stage.teams))
        for name, value in told.items():
            add(sums, name, value.detach())
        add(sums, "norm", stage.update(grads))
        stage.report(sums, 3)
    stage.keep()
    keep_looks(stage.average, model.net)


if __name__ == "__main__":
    main()
