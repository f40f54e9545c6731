#!/usr/bin/env python3
"""Trains answering, finding, planning and judging on top of drawing: `train_texts.py --minutes 75`. Checkpoints by time
to training/runs/texts; running it again resumes.

Objective (facts 8): the cross-entropy over masked answer tokens, one task a batch; beside it probes of what the tower sees,
and of where some heads look. Trained are the tower and what understanding alone reads (understanding.trained): what a
drawing reads stays as it is, to the bit. From `--settled` of the time on the tower and the words are done, and texts go on
upon them.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import torch  # noqa: E402
from data import Draws  # noqa: E402
from reading import read_words, write_reads  # noqa: E402
from records import Records  # noqa: E402
from seeing import Seeing  # noqa: E402
from stage import Stage, add, begun, gradients, stage_options  # noqa: E402
from teams import sight_teams, text_teams, words_of  # noqa: E402
from understanding import LOUD  # noqa: E402


def drawing_words():
    """bool [vocabulary]: words of drawing's prompts, whose embeddings must stay."""
    draws = Draws(0)
    return words_of(draws.batch(step, 64, 1, planned=0.5)["prompt"] for step in range(100))


def main() -> None:
    parser = stage_options(minutes=75, rate=2e-3, out="texts", init=HERE.parents[1] / "models/scenes")
    parser.add_argument("--sight", type=pathlib.Path, help="start with the tower of this checkpoint (train_sight.py)")
    parser.add_argument("--sight-rate", type=float, default=1e-3, help="Muon and Adam, for the tower")
    parser.add_argument("--settled", type=float, default=0.9, help="share of the time after which the tower stays as it is")
    parser.add_argument("--failures", type=pathlib.Path, help="pictures that the model drew, with verdicts (failures.py)")
    parser.add_argument("--reads", type=float, help="write what plans read from where they look, this loud (1: as the states)")
    options, device = begun(parser)
    draws = Draws(options.seed)
    records = Records(options.seed, torch.load(options.failures, weights_only=False) if options.failures else None)
    fresh = ~drawing_words()
    torch.set_default_device(device)
    model = Seeing(torch.from_numpy(draws.table.codebook).to(device), options.bf16)
    rates = options.rate, options.adam
    stage = Stage(model, {
        **text_teams(model, fresh.to(device), *rates, options.bf16),
        **sight_teams(model, options.sight_rate, options.sight_rate, *(LOUD * rate for rate in rates), options.bf16, options.settled),
    }, options)
    if not stage.resume(device):
        stage.start(options.init, device)
        if options.sight:
            pixels = next(b["pixels"] for b in (records.batch(step)[1] for step in range(99)) if b["pixels"] is not None)
            model.take_sight(torch.load(options.sight, weights_only=True, map_location=device)["average"], pixels.to(device))
        if options.reads:
            write_reads(model, (records.batch(step, 0)[1] for step in range(24)), read_words(records.looks), options.reads)
    stage.begin()
    sums = {}
    while stage.due():
        seeing = stage.progress() < options.settled
        task, b = records.batch(stage.step, *([] if seeing else [0]))
        b = {k: v.to(device) if torch.is_tensor(v) else v for k, v in b.items()}
        b["looks"] = {kind: tuple(each.to(device) for each in looks) for kind, looks in b["looks"].items()}
        loss, told = model.text_loss(b, seeing)
        for name, value in told.items():
            add(sums, f"{task}_{name}", value)
        teams = ["text", "writers"] + (["projector", "sight"] if seeing else [])
        add(sums, f"{task}_norm", stage.update(gradients(loss, stage.teams, teams)))
        stage.report(sums, 3)
    stage.keep()


if __name__ == "__main__":
    main()
