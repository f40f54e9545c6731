"""Batches for everything but drawing: one task a batch, a function of (seed, step) alone; where heads shall look is said by
looks.py."""
import pathlib
import sys

import numpy as np
import torch
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training" / part) for part in ("world", "tokenizer")]
from composed import composed  # noqa: E402
from config import CONFIG, PINPOINTS, VISION  # noqa: E402
from data import extents, layout  # noqa: E402
from kinship import KINSHIP, kinship  # noqa: E402
from looks import LOOK, Looks  # noqa: E402
from questions import question  # noqa: E402
from scenes import World  # noqa: E402
from tasks import Tasks  # noqa: E402
from verdicts import judged  # noqa: E402
import templates  # noqa: E402

SHARES = {"answer": 0.15, "find": 0.2, "plan": 0.4, "judge": 0.25}
SIZES = {"answer": 48, "find": 40, "plan": 32, "judge": 40}
VIEWS = 8  # pictures beside those that are asked about: the tower learns from what they show too
IMAGE_TOKENS = LOOK + LOOK + VISION["image_size"] // VISION["patch_size"] // 2  # base view, tile, newlines
assert PINPOINTS == [[VISION["image_size"]] * 2]
NOWHERE = "<LOC_0>" * 4
EDGES = 3  # how much a box's edges count in plans, of which they are a quarter: what was missing was in them


# Columns of `shown` behind the first, and how many values each has.
SEEN = (*[CONFIG["native_resolution"] // 32 + 1] * 4, *KINSHIP)


def shown(scene):
    """int64 [64, 1 + columns of SEEN]: `layout`, `extents` and `kinship`."""
    return np.column_stack([layout(scene), extents(scene), kinship(scene)])


class Records:
    def __init__(self, seed=0, failures=None):
        """`failures`: (caption, verdict, uint8 picture) of the model's own drawings, mixed into the judge's batches."""
        self.seed, self.failures = seed, failures or []
        self.world = World()
        self.tasks = Tasks(self.world)
        self.tokenizer = Tokenizer.from_file(str(ROOT / "models/scenes/tokenizer.json"))
        self.looks = Looks(self.tasks, self.tokenizer)
        token = self.tokenizer.token_to_id
        self.edges = [token(f"<LOC_{at}>") for at in range(templates.LOC_TOKENS)]
        self.mask, self.end, self.pad = token("<|mdm_mask|>"), token("<|eot_id|>"), token("<|endoftext|>")

    def answered(self, rng, task):
        """-> {prompt and answer ids; picture or None and what it shows in each cell, `shown` or -1; for each token of the
        answer the things that it is about}."""
        parts = []
        if task == "plan":
            _, caption, scene = self.tasks.prompted(rng)
            scene = composed(rng, self.world, caption, scene)
            micro = "" if rng.random() < 0.3 else templates.micro_string(self.world.canvas)
            boxes = [(self.tasks.phrase(t), (t.x, t.y, t.x + t.size, t.y + t.size)) for t in scene.things]
            text, picture, things = templates.chat(templates.plan_request(caption, micro)), None, None
            answer = templates.plan_text(boxes, self.world.canvas)
        elif task == "judge":
            if self.failures and rng.random() < 0.5:
                caption, answer, picture = self.failures[int(rng.integers(len(self.failures)))]
                things = np.full((64, 1 + len(SEEN)), -1)
            else:
                caption, scene, answer = judged(self.tasks, rng)
                picture, things = self.world.render(scene), shown(scene)
                parts = self.looks.parts(scene, "verdict", caption, answer)
            text = templates.chat("<image>" + templates.judge_request(caption))
        else:
            scene, kind, asked, answer = question(self.tasks, rng)
            text, picture, things = templates.chat(f"<image>\n {asked}"), self.world.render(scene), shown(scene)
            parts = self.looks.parts(scene, kind, asked, answer)
        answer = self.tokenizer.encode(answer, add_special_tokens=False)
        # Tokens that begin or end within a part of the answer are about its things.
        about = [next((things for start, end, things in parts if a < end and b > start), ()) for a, b in answer.offsets]
        return {"prompt": templates.encode(self.tokenizer, text, IMAGE_TOKENS), "answer": answer.ids, "picture": picture,
                "things": things, "about": about}

    def batch(self, step, views=VIEWS):
        """-> (task, {ids [B, T] with -1 at picture tokens, prompt and whole [B] lengths, asked [K] places in B * T, target
        [K], weight [K]; looks, as Looks.batch gives them; pixels uint8 [B + views, side, side, 3] and things [B + views, 64, 1 + SEEN]
        (`shown`, -1 where it is not known), or None})."""
        rng = np.random.default_rng([self.seed, step])
        task = list(SHARES)[int(np.searchsorted(np.cumsum(list(SHARES.values())) - 1e-9, rng.random()))]
        if task == "find":
            most = int(rng.choice([1, 8, 8]))  # one for a batch, so that a few long lists don't make all rows long
            rows = [self.found(rng, most) for _ in range(SIZES[task])]
        else:
            length = {"plan": 96, "judge": 32, "answer": int(rng.choice([16, 16, 32, 64]))}[task]
            rows = [self.noised(rng, self.answered(rng, task), length) for _ in range(SIZES[task])]
        longest = -(-max(len(row["ids"]) for row in rows) // 16) * 16
        ids = np.full((len(rows), longest), self.pad)
        for i, row in enumerate(rows):
            ids[i, :len(row["ids"])] = row["ids"]
        views = [] if rows[0]["picture"] is None else [self.tasks.mixed(rng) if i % 2 else self.tasks.counted(rng)[1] for i in range(views)]
        pixels = [row["picture"] for row in rows] + [self.world.render(scene) for scene in views]
        things = [row["things"] for row in rows] + [shown(scene) for scene in views]
        join = lambda key, dtype: torch.from_numpy(np.concatenate([np.asarray(row[key], dtype) for row in rows]))
        return task, {
            "ids": torch.from_numpy(ids),
            "prompt": torch.tensor([row["prompt"] for row in rows]), "whole": torch.tensor([len(row["ids"]) for row in rows]),
            "asked": torch.from_numpy(np.concatenate([i * longest + np.asarray(row["asked"]) for i, row in enumerate(rows)])),
            "target": join("target", np.int64), "weight": join("weight", np.float32),
            "looks": self.looks.batch(task, rows, longest),
            "pixels": None if pixels[0] is None else torch.from_numpy(np.stack(pixels)),
            "things": None if pixels[0] is None else torch.from_numpy(np.stack(things)),
        }

    def noised(self, rng, record, length):
        """A row of a batch, from `answered`: the answer in `length` tokens, some of them masked."""
        prompt, answer, about = record["prompt"], record["answer"], record["about"]
        answer = answer[:length - 1] + [self.end]
        target = np.array(answer + [self.pad] * (length - len(answer)))
        weight = np.where(np.arange(length) < len(answer), 1.0, 0.1)
        if record["picture"] is None:  # a plan
            weight[np.isin(target, self.edges)] *= EDGES
        ratio = 1.0 if rng.random() < 0.25 else rng.random()
        masked = rng.random(length) < ratio
        if rng.random() < 0.7:  # as decoding meets it: blocks of 16, left to right
            block = int(rng.integers(-(-len(answer) // 16)))
            masked[:16 * block], masked[16 * (block + 1):] = False, True
            if rng.random() < 0.5:  # within a block mostly left to right, too: what precedes is surer than what is far ahead
                behind = np.arange(16) >= rng.integers(16)
                masked[16 * block:16 * (block + 1)] = (behind ^ (rng.random(16) < 0.1))[:length - 16 * block]
        masked[int(rng.integers(len(answer)))] = True
        at = np.flatnonzero(masked)
        about = about[:length - 1] + [()] * (length - len(answer) + 1)
        return {**record, "ids": prompt + np.where(masked, self.mask, target).tolist(), "prompt": len(prompt),
                "ends": len(prompt) + len(answer) - 1, "asked": len(prompt) + at, "about": [about[i] for i in at], "target": target[at], "weight": weight[at]}

    def found(self, rng, most):
        """One expression or a list of them, all coordinates in one forward in which everything sees everything."""
        chance = rng.random()
        scene = self.tasks.mixed(rng) if chance < 0.5 else self.tasks.counted(rng)[1] if chance < 0.8 else self.tasks.prompted(rng)[2]
        wanted = self.tasks.expressions(rng, scene, most)
        if len(wanted) == 1:
            text = templates.ground_one_text(wanted[0][0])
        else:
            text = templates.ground_list_text([expression for expression, _ in wanted])
        ids = np.array(templates.encode(self.tokenizer, text, IMAGE_TOKENS))
        at = np.flatnonzero(ids == self.mask)
        boxes = "".join(templates.loc_text((t.x, t.y, t.x + t.size, t.y + t.size), self.world.canvas) if t else NOWHERE
                        for _, t in wanted)
        target = np.array(self.tokenizer.encode(boxes, add_special_tokens=False).ids)
        known = np.zeros(len(at), bool)
        if rng.random() < 0.2:  # in steps: coordinates that are fixed are context
            known = rng.random(len(at)) < rng.random()
            known[int(rng.integers(len(at)))] = False
        ids[at[known]] = target[known]
        about = [() if thing is None else (thing,) for _, thing in wanted for _ in range(4)]
        return {"ids": ids.tolist(), "prompt": len(ids), "ends": len(ids), "about": [about[i] for i in np.flatnonzero(~known)], "picture": self.world.render(scene),
                "things": shown(scene), "asked": at[~known], "target": target[~known], "weight": np.ones((~known).sum())}
