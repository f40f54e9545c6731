"""Batches of edits and of drawing after feedback: prompts that hold pictures, and several masks of what each shall show."""
import pathlib
import sys

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training" / part) for part in ("world", "vq", "tokenizer")]
from data import masked_and_scored  # noqa: E402
from edits import Edits  # noqa: E402
from picture_prompt import sides  # noqa: E402
from reads import Reads  # noqa: E402
from records import IMAGE_TOKENS, LOOK  # noqa: E402
from tasks import LANGUAGE, Tasks  # noqa: E402
from templates import (PICTURE, SOURCE, draw_prompt_ids, edit_known_ids, edit_plan_text, edit_prompt_ids,  # noqa: E402
                       micro_string, unconditional_ids)
from verdicts import broken, verdict  # noqa: E402

CHANGED = 5  # how much a position counts inside the changed area (facts 8.1)
MOST_FAILURES = 3


def changed_area(source, target):
    """Pictures uint8 [256, 256, 3] -> bool [16, 16] (facts 8.1): where more than half of a cell's pixels differ by more than
    20 of 255, a median filter of 3 and a maximum filter of 3."""
    differs = (np.abs(source.astype(np.int16) - target) > 20).any(2)
    cells = differs.reshape(16, 16, 16, 16).mean((1, 3)) > 0.5
    around = lambda grid: np.lib.stride_tricks.sliding_window_view(np.pad(grid, 1, mode="edge"), (3, 3)).sum((2, 3))
    return around(around(cells) > 4) > 0


class PictureDraws:
    """Over a data.Draws, whose seed, world and tokenizer are used."""

    def __init__(self, draws):
        self.draws, self.world, self.tokenizer = draws, draws.world, draws.tokenizer
        self.tasks, self.reads = Tasks(draws.world), Reads()
        self.edits = Edits(self.tasks)
        self.source = self.tokenizer.token_to_id(SOURCE)

    def edit(self, rng, planned, _, dropped, sourceless):
        """`planned`: whether a plan stands before the picture. -> (prompt ids, pictures that they show, VQ ids of the source,
        target scene, changed area)."""
        edit = self.edits.draw(rng)
        source, target = self.world.render(edit.source), self.world.render(edit.target)
        plan = edit_plan_text(edit.verb, self.edits.boxes(edit), self.world.canvas) if planned else ""
        row = edit_prompt_ids(self.tokenizer, edit.instruction, IMAGE_TOKENS, 64, plan)
        chance = rng.random()
        if chance < dropped / 2:
            row = unconditional_ids(self.tokenizer, row, plan != "")
        elif chance < dropped:
            row = edit_known_ids(self.tokenizer, row, 0)
        elif chance < dropped + sourceless:
            row = edit_known_ids(self.tokenizer, row, 1)
        return row, [source], self.reads.read(edit.source, rng), edit.target, changed_area(source, target)

    def feedback(self, rng, planned, failures, dropped, _):
        """As `edit`, after so many failures, without a source. The last failure misses the target by what its feedback says,
        so that what was right in it can be kept; those before it missed the caption in pictures of their own."""
        kind, caption, make = self.tasks.wanted(rng)
        failed = [self.failure(rng, kind, caption, make) for _ in range(failures)]
        target = failed[-1][0]
        pictures = [self.world.render(shown) for _, shown, _ in failed]
        micro = "" if rng.random() < 0.3 else micro_string(self.world.canvas)
        plan = self.draws.plan(target) if planned else ""
        row = draw_prompt_ids(self.tokenizer, caption, micro, plan, [said for _, _, said in failed], LOOK + 1)
        if rng.random() < dropped:
            row = unconditional_ids(self.tokenizer, row, plan != "")
        return row, pictures, np.zeros((16, 16), np.uint16), target, np.zeros((16, 16), bool)

    def failure(self, rng, kind, caption, make):
        """-> (scene of the caption, one that nearly shows it, what is wrong with that)."""
        while True:
            scene = make()
            shown = broken(self.tasks, rng, kind, scene)
            if shown is None:
                continue
            self.tasks.check_seen(shown)
            said = verdict(self.tasks, kind, caption, scene.things, shown.things)
            if said != LANGUAGE["verdict"]["correct"]:
                return scene, shown, said

    def batch(self, task, step, prompts, group, background=0.1, objects=0.4, blank=0.15, planned=0.2, dropped=0.1, sourceless=0.2):
        """The batch of a step, a function of (seed, step) alone. `task`: "edit" or "feedback". `planned`: share of the batches
        with plans. `dropped`: share of the prompts that are dropped, as guidance drops them; of edits half of those keep
        the source's ids. `sourceless`: share of the edits that must do with words and the tower's tokens.

        Returns what picture_prompt.sides gives, whole lengths [P] of the prompts, pixels uint8 of the pictures that they
        show (None: no prompt shows one) and whether each is one of several (`single`), ids of the sources [P, 16, 16]
        (None: none is shown); targets as data.Draws.batch does, each prompt's `group` times under other masks; and which of
        the scored positions lie in a changed area, which gen tokens [P * group, 64] lie outside."""
        rng = np.random.default_rng([self.draws.seed, step, 1])
        # Of a whole batch, so that a few long prompts don't make all rows long.
        alike = rng.random() < planned, 1 + int(rng.integers(MOST_FAILURES))
        records = [getattr(self, task)(rng, *alike, dropped, sourceless) for _ in range(prompts)]
        rows = [row for row, *_ in records]
        pictures = [picture for row, seen, *_ in records for picture in seen if PICTURE in row]
        sided = sides(rows, self.source, 96)
        several = lambda arrays: np.repeat(np.stack(arrays), group, 0)
        target = several([self.reads.ids(scene) for _, _, _, scene, _ in records]).astype(np.int64)
        changed = several([area for *_, area in records])
        scored, at = masked_and_scored(rng, target, background, objects, blank, changed)
        scored["weight"] = scored["weight"] * torch.from_numpy(np.where(changed[at], CHANGED, 1)).float()
        sources = np.stack([ids for _, _, ids, *_ in records]).astype(np.int64)
        return {
            **sided, **scored, "lengths": torch.tensor([len(row) for row in rows]),
            "pixels": torch.from_numpy(np.stack(pictures)) if pictures else None, "single": task == "feedback",
            "source": torch.from_numpy(sources) if bool(sided["shown"].any()) else None,
            "changed": torch.from_numpy(changed[at]),
            "kept": torch.from_numpy(~changed.reshape(-1, 8, 2, 8, 2).any((2, 4)).reshape(-1, 64)),
        }
