"""Batches for everything but drawing: one task a batch, a function of (seed, step) alone."""
import pathlib
import sys

import numpy as np
import torch
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training" / part) for part in ("world", "tokenizer")]
from config import CONFIG, PINPOINTS, VISION  # noqa: E402
from data import TINTS, extents, layout  # noqa: E402
from kinship import KINSHIP, kinship  # noqa: E402
from questions import question  # noqa: E402
from scenes import Scene, World  # noqa: E402
from tasks import Tasks  # noqa: E402
from verdicts import judged  # noqa: E402
import templates  # noqa: E402

SHARES = {"answer": 0.44, "find": 0.44, "plan": 0.03, "judge": 0.09}
SIZES = {"answer": 48, "find": 40, "plan": 32, "judge": 40}
VIEWS = 8  # pictures beside those that are asked about: what they show is learned from them too
LOOK = (VISION["image_size"] // VISION["patch_size"] // 2) ** 2
IMAGE_TOKENS = LOOK + LOOK + VISION["image_size"] // VISION["patch_size"] // 2  # base view, tile, newlines
assert PINPOINTS == [[VISION["image_size"]] * 2]
NOWHERE = "<LOC_0>" * 4


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
        token = self.tokenizer.token_to_id
        words = lambda text: self.tokenizer.encode(f" {text}", add_special_tokens=False).ids
        self.forms = {}  # by first tokens: (class, tokens of its name)
        for cls, name in enumerate(self.world.names):
            for form in (words(name), words(self.tasks.plural(cls))):
                self.forms.setdefault(form[0], []).append((cls, form))
        self.begin = token("<LOC_BEGIN>")
        self.mask, self.end, self.pad = token("<|mdm_mask|>"), token("<|eot_id|>"), token("<|endoftext|>")

    def answered(self, rng, task):
        """-> {prompt and answer ids; picture or None and what it shows in each cell, `shown` or -1; for each token of the
        answer the things that it is about; whether that is what the prompt names}."""
        parts, named = [], False
        if task == "plan":
            _, caption, scene = self.tasks.prompted(rng)
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
            text = templates.chat("<image>" + templates.judge_request(caption))
        else:
            scene, kind, asked, answer = question(self.tasks, rng)
            text, picture, things = templates.chat(f"<image>\n {asked}"), self.world.render(scene), shown(scene)
            named, parts = True, self.parts(scene, kind, asked, answer)
        answer = self.tokenizer.encode(answer, add_special_tokens=False)
        # Tokens that begin or end within a part of the answer are about its things.
        about = [next((things for start, end, things in parts if a < end and b > start), ()) for a, b in answer.offsets]
        return {"prompt": templates.encode(self.tokenizer, text, IMAGE_TOKENS), "answer": answer.ids, "picture": picture,
                "things": things, "about": about, "named": named}

    def parts(self, scene, kind, asked, answer):
        """-> [(start, end, things)]: what parts of an answer are about, in characters."""
        whole = lambda things: [(0, len(answer), tuple(things))]
        if kind == "what":
            return whole(scene.things)
        if kind == "which":
            return whole(t for t in scene.things if answer == f"the {self.world.names[t.cls]}")
        if kind == "describe":
            out, start = [], 0
            for words, things in self.tasks.groups(scene.things):
                start = answer.index(words, start)
                out.append((start, start + len(words), tuple(things)))
                start += len(words)
            return out
        ids = self.tokenizer.encode(f" {asked}", add_special_tokens=False).ids
        return whole(t for t in scene.things if self.spoken(ids, [t.cls]))

    def batch(self, step):
        """-> (task, {ids [B, T] with -1 at picture tokens, prompt and whole [B] lengths, asked [K] places in B * T, target
        [K], weight [K]; names [N, 2], row and place of names of what is in the pictures, and looks bool [N, T], where in the
        prompt that is seen; about [M, 3], row, asked place and place of the name that it is about; subjects [S, 2], row and
        asked place, and subject_looks bool [S, T], where the things are seen that it is about; pixels uint8
        [B + VIEWS, side, side, 3] and things [B + VIEWS, 64, 1 + SEEN] (`shown`, -1 where it is not known), or None})."""
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
        views = [] if rows[0]["picture"] is None else [self.tasks.mixed(rng) if i % 2 else self.tasks.counted(rng)[1] for i in range(VIEWS)]
        pixels = [row["picture"] for row in rows] + [self.world.render(scene) for scene in views]
        things = [row["things"] for row in rows] + [shown(scene) for scene in views]
        each = lambda of: [(i, *found) for i, row in enumerate(rows) for found in of(row)]
        names = each(lambda row: self.named(row["ids"], row["things"]))
        subjects = each(self.subjects)
        about = each(lambda row: self.spoken_of(row, task))
        places = lambda found: torch.tensor([[i, at] for i, at, _ in found], dtype=torch.long).view(-1, 2)

        def looks(found):
            out = np.zeros((len(found), longest), bool)
            for row, (_, _, at) in zip(out, found):
                row[at] = True
            return torch.from_numpy(out)

        join = lambda key, dtype: torch.from_numpy(np.concatenate([np.asarray(row[key], dtype) for row in rows]))
        return task, {
            "ids": torch.from_numpy(ids),
            "prompt": torch.tensor([row["prompt"] for row in rows]), "whole": torch.tensor([len(row["ids"]) for row in rows]),
            "asked": torch.from_numpy(np.concatenate([i * longest + np.asarray(row["asked"]) for i, row in enumerate(rows)])),
            "target": join("target", np.int64), "weight": join("weight", np.float32),
            "names": places(names), "looks": looks(names), "subjects": places(subjects), "subject_looks": looks(subjects),
            "about": torch.tensor(about, dtype=torch.long).view(-1, 3),
            "pixels": None if pixels[0] is None else torch.from_numpy(np.stack(pixels)),
            "things": None if pixels[0] is None else torch.from_numpy(np.stack(things)),
        }

    def named(self, ids, things):
        """-> [(place of a name's last token, places of the picture's tokens that show what it names)] of a prompt's ids, for
        what is in the picture: `things` as `shown` gives them."""
        if things is None or things[0, 0] < 0:
            return []
        start, out = ids.index(templates.PICTURE), []
        for cls in {(thing - 1) // TINTS for thing in things[:, 0] if thing > 0}:
            places = self.cells(start, (things[:, 0] > 0) & ((things[:, 0] - 1) // TINTS == cls))
            out += [(at, places) for at in self.spoken(ids, [cls])]
        return out

    @staticmethod
    def cells(start, which):
        """Places of the tokens of a picture, which begins at `start`, that show any of the 32-px cells bool [64]."""
        across = int(LOOK ** 0.5)
        cells = np.argwhere(which.reshape(across, 2, across, 2).any((1, 3)))
        # In the base view, and in the tile, whose rows end in newlines.
        return [start + y * across + x for y, x in cells] + [start + LOOK + y * (across + 1) + x for y, x in cells]

    def subjects(self, row):
        """-> [(asked place, places of the picture's tokens that show what it is about)]."""
        out = []
        for at, things in zip(row["asked"], row["about"]):
            if things:
                which = np.any([(layout(Scene(0, (thing,))) > 0) for thing in things], 0)
                out.append((int(at), self.cells(row["ids"].index(templates.PICTURE), which)))
        return out

    def spoken(self, ids, classes=None):
        """Places of the last tokens of names in a prompt's ids, in order."""
        return sorted({at + len(form) - 1 for at, token in enumerate(ids) for cls, form in self.forms.get(token, ())
                       if (classes is None or cls in classes) and ids[at:at + len(form)] == form})

    def spoken_of(self, row, task):
        """-> [(asked place, place of the name that it is about)] of a question or of expressions, else of what precedes it."""
        ids, asked = row["ids"], list(row["asked"])
        if task == "find":  # an expression's first name is what it is about
            ends = [at for at, token in enumerate(ids) if token == self.begin]
            spoken, out, start = self.spoken(ids), [], 0
            for end in ends:
                own = [at for at in spoken if start <= at < end]
                out += [(at, own[0]) for at in asked if own and end < at <= end + 4]
                start = end
            return out
        spoken = self.spoken(ids[:row["prompt"]]) if row["named"] else []
        # Where no name is asked about, what precedes says how a sentence goes on.
        return [(at, spoken[-1] if spoken else at - 1) for at in asked]

    def noised(self, rng, record, length):
        """A row of a batch, from `answered`: the answer in `length` tokens, some of them masked."""
        prompt, answer, about = record["prompt"], record["answer"], record["about"]
        answer = answer[:length - 1] + [self.end]
        target = np.array(answer + [self.pad] * (length - len(answer)))
        weight = np.where(np.arange(length) < len(answer), 1.0, 0.1)
        ratio = 1.0 if rng.random() < 0.25 else rng.random()
        masked = rng.random(length) < ratio
        if length > 16 and rng.random() < 0.7:  # as decoding meets it: blocks of 16, left to right
            block = int(rng.integers(-(-len(answer) // 16)))
            masked[:16 * block], masked[16 * (block + 1):] = False, True
        masked[int(rng.integers(len(answer)))] = True
        at = np.flatnonzero(masked)
        about = about[:length - 1] + [()] * (length - len(answer) + 1)
        return {**record, "ids": prompt + np.where(masked, self.mask, target).tolist(), "prompt": len(prompt),
                "asked": len(prompt) + at, "about": [about[i] for i in at], "target": target[at], "weight": weight[at]}

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
        return {"ids": ids.tolist(), "prompt": len(ids), "about": [about[i] for i in np.flatnonzero(~known)], "picture": self.world.render(scene),
                "things": shown(scene), "asked": at[~known], "target": target[~known], "weight": np.ones((~known).sum())}
