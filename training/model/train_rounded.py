#!/usr/bin/env python3
"""Trains drawing on weights as int4 conversions have them: `train_rounded.py --minutes 40`. Checkpoints by time to
training/runs/rounded; running it again resumes.

First the head over the codes is rounded for good (rounded_head.py). Objective (facts 8): that of train_draw.py on rounded
weights in most of the batches, with gradients applied to the exact ones; what is asked is mixed from the data and from what
the weights it started from say (unrounded, their own head), whose errors are those of rounding alone. Meanwhile the weights
are drawn to the values they are rounded to, more so towards the end, so that running averages do not end between two of
them. Trained is the generation branch alone (teams.picture_teams).
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from config import CONFIG  # noqa: E402
from data import Draws  # noqa: E402
from four_bits import in_four_bits  # noqa: E402
from rounded_head import round_head  # noqa: E402
from seeing import Seeing  # noqa: E402
from stage import Stage, add, begun, gradients  # noqa: E402
from teams import picture_teams  # noqa: E402
from train_draw import add_codes, drawing_options  # noqa: E402
from trainee import compile_gen  # noqa: E402

SEEN = 10  # batches whose states the head is rounded for


def main() -> None:
    parser = drawing_options(minutes=40, rate=6e-4, out="rounded", init=HERE.parents[1] / "models/scenes")
    parser.set_defaults(blank=0.12, dropped=0.3, decay=0.9, shares=[0.1, 0.15, 0.28, 0.1, 0.17, 0.2])
    parser.add_argument("--planned", type=float, default=0.1, help="share of the batches that have plans")
    parser.add_argument("--int4", type=float, default=0.8, help="share of the batches that run on rounded weights")
    parser.add_argument("--taught", type=float, default=0.7, help="share of what is asked that the teacher says")
    parser.add_argument("--settle", type=float, default=0.7, help="how often over the stage the way to the rounded values is gone")
    options, device = begun(parser)
    draws = Draws(options.seed)
    draws.shares = np.array(options.shares)
    torch.set_default_device(device)

    def batch(step):
        b = draws.batch(step, options.prompts, options.group, planned=options.planned, blank=options.blank, dropped=options.dropped)
        return {k: v.to(device) if torch.is_tensor(v) else v for k, v in b.items()}

    codebook = torch.from_numpy(draws.table.codebook).to(device)
    model, teacher = (Seeing(codebook, options.bf16) for _ in range(2))
    teacher.take(options.init)
    if options.compile:
        torch._dynamo.config.recompile_limit = 64  # lengths of prompts
        compile_gen(model)
        compile_gen(teacher)
    no_words = torch.zeros(CONFIG["embedding_size"], dtype=torch.bool)
    teams = picture_teams(model, no_words, options.rate, options.adam, options.rate, options.bf16)
    stage = Stage(model, {name: teams[name] for name in ("picture", "copiers")}, options)
    if not stage.resume(device):
        stage.start(options.init, device)
        round_head(model, [batch(2 ** 24 + i) for i in range(SEEN)])
    stage.begin()
    sums, before = {}, stage.progress()
    while stage.due():
        b = batch(stage.step)
        lesson = teacher.lesson(b, options.group)
        now = stage.progress()
        pull, before = options.settle * (now ** 3 - before ** 3), now
        rounding = np.random.default_rng([options.seed, stage.step, 3]).random() < options.int4
        with in_four_bits(model.net, rounding, pull / options.int4, stage.teams["picture"].parameters):
            loss, each, told = model.draw_loss(b, options.group, 0, (lesson, options.taught))
            grads = gradients(loss, stage.teams, list(stage.teams))
        add_codes(sums, b, each, "rounded_" if rounding else "exact_")
        add(sums, "rounded_bound" if rounding else "exact_bound", told["bound"])
        add(sums, "norm", stage.update(grads))
        stage.report(sums, 3)
    stage.keep()


if __name__ == "__main__":
    main()
