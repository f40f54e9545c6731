#!/usr/bin/env python3
"""Trains edits and drawing after feedback on top of drawing and texts: `train_edits.py --minutes 75`. Checkpoints by time
to training/runs/edits; running it again resumes.

Objective (facts 8): that of train_draw.py, in edits positions inside the changed area counting 5 times, one task a batch,
drawing among them. Trained is the generation branch alone (teams.picture_teams), so that answers, boxes, plans and
verdicts stay what they were, to the bit. It starts with copying heads that look at the right places (train_looks.py); their
values are written then, and all is trained on from there.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from copying import write_copies  # noqa: E402
from data import Draws  # noqa: E402
from four_bits import in_four_bits  # noqa: E402
from kept_looks import take_looks  # noqa: E402
from picture_data import PictureDraws  # noqa: E402
from records import Records  # noqa: E402
from seeing import Seeing  # noqa: E402
from stage import Stage, add, begun, gradients  # noqa: E402
from teams import picture_teams, words_of  # noqa: E402
from train_draw import add_codes, drawing_options  # noqa: E402
from train_texts import drawing_words  # noqa: E402
from trainee import compile_gen  # noqa: E402


def own_words():
    """bool [vocabulary]: words of edits and feedback that neither drawing nor texts know: their embeddings may change."""
    pictures, records = PictureDraws(Draws(0)), Records(0)
    theirs = words_of(pictures.batch(task, step, 16, 1, planned=0.5)["ids"] for task in ("edit", "feedback") for step in range(100))
    return theirs & ~drawing_words() & ~words_of(records.batch(step)[1]["ids"] for step in range(200))


def main() -> None:
    parser = drawing_options(minutes=75, rate=1e-3, out="edits", init=HERE.parents[1] / "models/scenes")
    parser.add_argument("--edits", type=float, default=0.5, help="share of the batches that are edits")
    parser.add_argument("--feedback", type=float, default=0.15, help="share of the batches that draw after feedback; what is left draws")
    parser.add_argument("--planned", type=float, default=0.2, help="share of the batches that have plans")
    parser.add_argument("--sourceless", type=float, default=0.2, help="share of the edits without the source's ids")
    parser.add_argument("--looks", type=float, default=1, help="how much places and looks count (copying.py)")
    parser.add_argument("--int4", type=float, default=0.5, help="share of the batches that run on weights as int4 rounds them")
    parser.add_argument("--copies", type=float, default=0.5, help="how loud the values of the copying heads are written at the start (1: as what they copy; 0: not at all)")
    parser.add_argument("--copier-rate", type=float, default=1e-3, help="Muon, for these values; as loud as they are")
    options, device = begun(parser)
    draws = Draws(options.seed)
    if options.shares:
        draws.shares = np.array(options.shares)
    pictures = PictureDraws(draws)
    fresh = own_words()
    torch.set_default_device(device)

    def fetch(step):
        """-> (task, its batch), a function of seed and step."""
        chance = np.random.default_rng([options.seed, step, 2]).random()
        alike = {"planned": options.planned, "blank": options.blank, "dropped": options.dropped}
        if chance >= options.edits + options.feedback:
            return "draw", draws.batch(step, options.prompts, options.group, **alike)
        task = "edit" if chance < options.edits else "feedback"
        return task, pictures.batch(task, step, options.prompts, options.group, sourceless=options.sourceless, **alike)

    model = Seeing(torch.from_numpy(draws.table.codebook).to(device), options.bf16)
    if options.compile:
        torch._dynamo.config.recompile_limit = 64  # lengths of prompts, with and without a source
        compile_gen(model)
    stage = Stage(model, picture_teams(model, fresh.to(device), options.rate, options.adam, options.copier_rate, options.bf16), options)
    if not stage.resume(device):
        stage.start(options.init, device)
        if options.copies:
            take_looks(model)
            write_copies(model.net, model.layers(draws.batch(0, options.prompts, 1)), options.copies)
    stage.begin()
    sums = {}
    while stage.due():
        task, b = fetch(stage.step)
        b = {k: v.to(device) if torch.is_tensor(v) else v for k, v in b.items()}
        with in_four_bits(model.net, np.random.default_rng([options.seed, stage.step, 3]).random() < options.int4):
            loss, each, told = (model.draw_loss if task == "draw" else model.picture_loss)(b, options.group, options.looks)
            grads = gradients(loss, stage.teams, list(stage.teams))
        add_codes(sums, b, each, f"{task}_")
        for name, value in told.items():
            add(sums, f"{task}_{name}", value)
        if task == "edit":
            for name, which in (("changed", b["changed"]), ("kept", ~b["changed"])):
                add(sums, f"edit_{name}", each[which].sum(), int(which.sum()))
        add(sums, f"{task}_norm", stage.update(grads))
        stage.report(sums, 3)
    stage.keep()


if __name__ == "__main__":
    main()
