#!/usr/bin/env python3
"""Trains drawing together with edits and drawing after feedback: `train_edit.py --minutes 60`. Checkpoints by time to
training/runs/edit; running it again resumes.

Objective (facts 8): that of train_draw.py; in edits positions inside the changed area count 5 times. It trains all that
drawing and the tower read (seeing.py), so what was trained on top of the old ones (train_understand.py) has to follow.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from data import Draws  # noqa: E402
from picture_data import PictureDraws  # noqa: E402
from seeing import Seeing, trained  # noqa: E402
from stage import Stage, add, means, tell  # noqa: E402
from train_draw import add_codes, drawing_options  # noqa: E402
from trainee import compile_gen  # noqa: E402


def main() -> None:
    parser = drawing_options(minutes=60, rate=1e-3, out="edit", init=HERE.parents[1] / "models/scenes")
    parser.add_argument("--edits", type=float, default=0.4, help="share of the batches that are edits")
    parser.add_argument("--feedback", type=float, default=0.15, help="share of the batches that draw after feedback")
    parser.add_argument("--planned", type=float, default=0.2, help="share of those batches that have plans")
    parser.add_argument("--sourceless", type=float, default=0.2, help="share of the edits without the source's ids")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    options.out.mkdir(parents=True, exist_ok=True)
    draws = Draws(options.seed)
    if options.shares:
        draws.shares = np.array(options.shares)
    pictures = PictureDraws(draws)

    def fetch(step):
        """-> (task, its batch), a function of seed and step."""
        chance = np.random.default_rng([options.seed, step, 2]).random()
        alike = {"blank": options.blank, "dropped": options.dropped}
        if chance >= options.edits + options.feedback:
            task, b = "draw", draws.batch(step, options.prompts, options.group, **alike)
        else:
            task = "edit" if chance < options.edits else "feedback"
            alike |= {"planned": options.planned, "sourceless": options.sourceless}
            b = pictures.batch(task, step, options.prompts, options.group, **alike)
        return task, {k: v.to(device) if torch.is_tensor(v) else v for k, v in b.items()}

    model = Seeing(torch.from_numpy(draws.table.codebook).to(device), options.bf16)
    if options.compile:
        torch._dynamo.config.recompile_limit = 64  # lengths of prompts, with and without a source
        compile_gen(model)
    stage = Stage(model, trained(model), options)
    if not stage.resume(device):
        stage.start(options.init, device)
    stage.begin()
    sums = {}
    while stage.due():
        task, b = fetch(stage.step)
        loss, each, parts = (model.loss if task == "draw" else model.picture_loss)(b, options.group)
        # A drawing does not ask the tower, and only drawings ask what captions say.
        norm = stage.update(torch.autograd.grad(loss, stage.parameters, allow_unused=True))
        add_codes(sums, b, each, f"{task}_")
        if task == "edit":
            for name, which in (("changed", b["changed"]), ("kept", ~b["changed"])):
                add(sums, f"edit_{name}", each[which].sum(), int(which.sum()))
        for name, value in (*parts.items(), ("norm", norm)):
            add(sums, f"{task}_{name}", value)
        if stage.step % 25 == 0:
            tell(stage.log, {"step": stage.step, "samples": stage.batches * options.prompts * options.group,
                             "seconds": round(stage.seconds(), 1), **means(sums, 3)})
            sums = {}
        stage.keep(every=120)
    stage.keep()


if __name__ == "__main__":
    main()
