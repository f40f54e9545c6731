#!/usr/bin/env python3
"""Trains all tasks together, on top of drawing: `train_all.py --minutes 90`. Checkpoints by time to training/runs/all;
running it again resumes.

Objective (facts 8): that of train_draw.py, in edits positions inside the changed area counting 5 times; for what
answers, finds, plans and judges the cross-entropy over masked answer tokens. One task a batch. Three teams of
parameters: pictures (drawing, edits, drawing after feedback) train what drawing reads, and not the VQ tables; texts
train what only they read, and the tower. So texts never change what a drawing does but through the tower. From
`--settled` of the time on pictures and tower are done, and texts go on upon what they have become.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from config import CONFIG  # noqa: E402
from data import Draws  # noqa: E402
from picture_data import PictureDraws  # noqa: E402
from records import Records  # noqa: E402
from seeing import Seeing, projector_team, sight_team, trained  # noqa: E402
from stage import Stage, Team, add, begun, gradients  # noqa: E402
from understanding import LOUD  # noqa: E402
from train_draw import add_codes, drawing_options  # noqa: E402
from trainee import compile_gen  # noqa: E402


def fresh_rows(draws, pictures, tasks, batches=100):
    """bool [vocabulary]: words that no prompt of a drawing or of `tasks` holds; texts may change their embeddings."""
    fresh = torch.ones(CONFIG["embedding_size"], dtype=torch.bool)
    for step in range(batches):
        fresh[draws.batch(step, 64, 1, planned=0.5)["prompt"]] = False
        for task in tasks:
            ids = pictures.batch(task, step, 16, 1, planned=0.5)["ids"]
            fresh[ids[ids >= 0]] = False
    return fresh


def main() -> None:
    parser = drawing_options(minutes=90, rate=1e-3, out="all", init=HERE.parents[1] / "models/scenes")
    parser.add_argument("--text-rate", type=float, default=3e-3, help="Muon, for texts and the tower")
    parser.add_argument("--text-adam", type=float, default=2e-3, help="Adam, likewise")
    parser.add_argument("--sight", type=pathlib.Path, help="start with the tower of this checkpoint (train_sight.py)")
    parser.add_argument("--sight-rate", type=float, default=1e-3, help="Muon and Adam, for the tower")
    parser.add_argument("--edits", type=float, default=0.22, help="share of the batches that are edits")
    parser.add_argument("--feedback", type=float, default=0.09, help="share of the batches that draw after feedback")
    parser.add_argument("--texts", type=float, default=0.54, help="share of the batches that are texts; what is left draws")
    parser.add_argument("--planned", type=float, default=0.2, help="share of the pictures' batches that have plans")
    parser.add_argument("--sourceless", type=float, default=0.2, help="share of the edits without the source's ids")
    parser.add_argument("--settled", type=float, default=0.85, help="share of the time after which only texts are trained")
    parser.add_argument("--failures", type=pathlib.Path, help="pictures that the model drew, with verdicts (failures.py)")
    options, device = begun(parser)
    draws = Draws(options.seed)
    if options.shares:
        draws.shares = np.array(options.shares)
    pictures = PictureDraws(draws)
    records = Records(options.seed, torch.load(options.failures, weights_only=False) if options.failures else None)
    seeing = [task for task, share in (("edit", options.edits), ("feedback", options.feedback)) if share > 0]
    fresh = fresh_rows(Draws(0), PictureDraws(Draws(0)), seeing)
    torch.set_default_device(device)

    def fetch(step, settled):
        """-> (task, its batch), a function of seed and step."""
        chance = np.random.default_rng([options.seed, step, 2]).random()
        alike = {"blank": options.blank, "dropped": options.dropped}
        if settled or chance < options.texts:
            return records.batch(step)
        if chance >= options.texts + options.edits + options.feedback:
            return "draw", draws.batch(step, options.prompts, options.group, planned=options.planned, **alike)
        task = "edit" if chance < options.texts + options.edits else "feedback"
        alike |= {"planned": options.planned, "sourceless": options.sourceless}
        return task, pictures.batch(task, step, options.prompts, options.group, **alike)

    model = Seeing(torch.from_numpy(draws.table.codebook).to(device), options.bf16)
    if options.compile:
        torch._dynamo.config.recompile_limit = 64  # lengths of prompts, with and without a source
        compile_gen(model)
    parameters, parts = trained(model, fresh.to(device))
    text = {"rate": options.text_rate, "adam": options.text_adam, "bf16": options.bf16}
    stage = Stage(model, {
        "picture": Team(parameters["picture"], options.rate, options.adam, options.bf16, options.settled),
        "places": Team(parameters["places"], **text, until=options.settled),
        "writers": Team(parameters["writers"], text["rate"] * LOUD, text["adam"] * LOUD, options.bf16),
        "text": Team(parameters["text"], **text, parts=parts),
        "projector": projector_team(model, text["rate"] * LOUD, text["adam"] * LOUD, options.bf16, options.settled),
        "sight": sight_team(model, options.sight_rate, options.sight_rate, options.bf16, options.settled),
    }, options)
    if not stage.resume(device):
        stage.start(options.init, device)
        if options.sight:
            pixels = next(b["pixels"] for b in (records.batch(step)[1] for step in range(99)) if b["pixels"] is not None)
            model.take_sight(torch.load(options.sight, weights_only=True, map_location=device)["average"], pixels.to(device))
    stage.begin()
    sums = {}
    while stage.due():
        settled = stage.progress() >= options.settled
        task, b = fetch(stage.step, settled)
        b = {k: v.to(device) if torch.is_tensor(v) else v for k, v in b.items()}
        drawn = task in ("draw", "edit", "feedback")
        if drawn:
            loss, each, told = (model.draw_loss if task == "draw" else model.picture_loss)(b, options.group)
            add_codes(sums, b, each, f"{task}_")
        else:
            loss, told = model.text_loss(b)
        for name, value in told.items():
            add(sums, f"{task}_{name}", value)
        if task == "edit":
            for name, which in (("changed", b["changed"]), ("kept", ~b["changed"])):
                add(sums, f"edit_{name}", each[which].sum(), int(which.sum()))
        teams = ["picture", "places"] if drawn else ["text", "writers"] + ([] if settled else ["projector", "sight"])
        add(sums, f"{task}_norm", stage.update(gradients(loss, stage.teams, teams)))
        stage.report(sums, 3)
    stage.keep()


if __name__ == "__main__":
    main()
