"""Where heads of the text side shall look (understanding.POINTING): found by the answers' loss alone, that took more than 100
thousand questions.

Four kinds. _names_: from a name in the prompt at what it names. _about_: from what is asked at the word or number that
decides it. _subjects_: from what is asked at the things that it is about, in the picture, or in a plan at the boxes that
stand before it. _tints_: from what is asked at the colours that the prompt asks for: a name's own state holds its tint as
a product with its class (bind.py), which for pairs that are held out no question has ever had.
"""
import numpy as np
import torch
import templates
from config import VISION
from data import TINTS, layout
from scenes import Scene

ACROSS = VISION["image_size"] // VISION["patch_size"] // 2
LOOK = ACROSS ** 2  # tokens of a view
CORNERS = 4


class Looks:
    """Over the `Tasks` of a world. Rows are those of records.py."""

    def __init__(self, tasks, tokenizer):
        self.tasks, self.world, self.tokenizer = tasks, tasks.world, tokenizer
        self.forms = {}  # by first tokens: (class, tokens of its name)
        for cls, name in enumerate(self.world.names):
            for form in (self.words(name), self.words(tasks.plural(cls))):
                self.forms.setdefault(form[0], []).append((cls, form))
        self.colors = {self.words(color)[0] for color in self.world.colors}
        self.relations = {self.words(relation)[0] for relation in self.world.data["relations"]}
        self.begin = tokenizer.token_to_id("<LOC_BEGIN>")

    def words(self, text):
        return self.tokenizer.encode(f" {text}", add_special_tokens=False).ids

    def batch(self, task, rows, length):
        """-> {kind: (places [N, 2], row and place, and where to look bool [N, T])}."""
        each = lambda of: [(i, *found) for i, row in enumerate(rows) for found in of(row)]
        about, subjects, tints = {
            "find": (self.of_expressions, self.shown, self.tinted),
            "answer": (self.of_questions, self.shown, self.tinted),
            "judge": (self.of_verdicts, self.shown, self.tinted),
            "plan": (self.of_plans, self.before, self.beside),
        }[task]
        found = {"names": each(self.named), "subjects": each(subjects), "tints": each(tints),
                 # What stands behind an answer says nothing.
                 "about": [(i, at, to) for i, at, to in each(about) if at <= rows[i]["ends"]]}
        out = {}
        for kind, looks in found.items():
            where = np.zeros((len(looks), length), bool)
            for row, (_, _, at) in zip(where, looks):
                row[at] = True
            out[kind] = torch.tensor([[i, at] for i, at, _ in looks], dtype=torch.long).view(-1, 2), torch.from_numpy(where)
        return out

    def spoken(self, ids, classes=None):
        """[(place of a name's last token, its class)] in order."""
        return sorted({(at + len(form) - 1, cls) for at, token in enumerate(ids) for cls, form in self.forms.get(token, ())
                       if (classes is None or cls in classes) and ids[at:at + len(form)] == form})

    def named(self, row):
        """-> [(place of a name's last token, places of the picture's tokens that show what it names)], for what is in the
        picture."""
        things = row["things"]
        if things is None or things[0, 0] < 0:
            return []
        start, out = row["ids"].index(templates.PICTURE), []
        for cls in {(thing - 1) // TINTS for thing in things[:, 0] if thing > 0}:
            places = cells(start, (things[:, 0] > 0) & ((things[:, 0] - 1) // TINTS == cls))
            out += [(at, places) for at, _ in self.spoken(row["ids"], [cls])]
        return out

    def shown(self, row):
        """-> [(asked place, places of the picture's tokens that show what it is about)]."""
        out = []
        for at, things in zip(row["asked"], row["about"]):
            if things:
                which = np.any([(layout(Scene(0, (thing,))) > 0) for thing in things], 0)
                out.append((int(at), cells(row["ids"].index(templates.PICTURE), which)))
        return out

    def beside(self, row):
        """As `tinted`, of plans: their near edges have no colour, and look at those of the box before."""
        boxes = self.boxes(row)
        edges = {box + edge: before + edge for before, box in zip(boxes, boxes[1:]) for edge in (0, 1)}
        asked = [(at, places) for at, places in self.tinted(row) if not any(box <= at < box + CORNERS for box in boxes)]
        return asked + [(at, [edges[at]]) for at in row["asked"] if at in edges]

    def tinted(self, row):
        """-> [(asked place, places of the prompt's colours)]; a word of a plan's that is one of them: its own."""
        ids, colors = row["ids"][:row["prompt"]], {}
        for at, token in enumerate(ids[:-1]):
            if token in self.colors and any(ids[at + 1:at + 1 + len(form)] == form for _, form in self.forms.get(ids[at + 1], ())):
                colors[token] = at
        if not colors or "answer" not in row:
            return []
        words = row["answer"]
        of = lambda at: words[at - row["prompt"]] if at - row["prompt"] < len(words) else None
        return [(at, [colors[of(at)]] if of(at) in colors else list(colors.values())) for at in row["asked"] if at <= row["ends"]]

    def parts(self, scene, kind, asked, answer):
        """-> [(start, end, things)]: what parts of an answer are about, in characters. `kind`: of a question, or "verdict"."""
        whole = lambda things: [(0, len(answer), tuple(things))]
        if kind == "what":
            return whole(scene.things)
        if kind == "which":
            return whole(t for t in scene.things if answer == f"the {self.world.names[t.cls]}")
        if kind == "verdict":
            spoken = {cls for _, cls in self.spoken(self.words(answer))}
            return whole(t for t in scene.things if t.cls in spoken or not spoken)
        if kind == "describe":
            out, start = [], 0
            for words, things in self.tasks.groups(scene.things):
                start = answer.index(words, start)
                out.append((start, start + len(words), tuple(things)))
                start += len(words)
            return out
        ids = self.words(asked)
        return whole(t for t in scene.things if self.spoken(ids, [t.cls]))

    # ---- about: [(asked place, place to look at)] ------------------------------------------------------------------
    def of_expressions(self, row):
        """An expression's first name is what it is about."""
        ends = [at for at, token in enumerate(row["ids"]) if token == self.begin]
        spoken, out, start = [at for at, _ in self.spoken(row["ids"])], [], 0
        for end in ends:
            own = [at for at in spoken if start <= at < end]
            out += [(at, own[0]) for at in row["asked"] if own and end < at <= end + CORNERS]
            start = end
        return out

    def of_questions(self, row):
        """The name that is asked about; without one, what precedes says how a sentence goes on."""
        spoken = self.spoken(row["ids"][:row["prompt"]])
        return [(at, spoken[-1][0] if spoken else at - 1) for at in row["asked"]]

    def of_verdicts(self, row):
        """A name as the prompt has it; else what precedes."""
        copied = self.copied(row)
        return [(at, copied.get(at, at - 1)) for at in row["asked"]]

    def of_plans(self, row):
        """A name as the prompt has it; a box's far edges at its near ones, and those, so that what is read there is said of
        far edges alone, at the token that begins the box. Else what precedes."""
        decided = self.copied(row)
        for box in self.boxes(row):
            decided |= {box: box - 1, box + 1: box - 1, box + 2: box, box + 3: box + 1}
        return [(at, decided.get(at, at - 1)) for at in row["asked"]]

    def before(self, row):
        """-> [(asked place in a plan, places of what it has to fit)]: of near edges the relation, or else all boxes before; of
        far ones the box's own edges before."""
        fits, before, relation = {}, [], self.relation(row)
        for box in self.boxes(row):
            for edge in range(CORNERS):
                own = list(range(box, box + edge)) if edge > 1 else [relation] if relation is not None and before else before
                if own:
                    fits[box + edge] = list(own)
            before += range(box, box + CORNERS)
        return [(at, fits[at]) for at in row["asked"] if at in fits]

    def boxes(self, row):
        """Places of the first edges of a plan's boxes, masked or not."""
        return [row["prompt"] + at + 1 for at, token in enumerate(row["answer"]) if token == self.begin]

    def relation(self, row):
        """Place of the first word of a prompt's relation, or None."""
        return next((at for at, token in enumerate(row["ids"][:row["prompt"]]) if token in self.relations), None)

    def copied(self, row):
        """{place of a token of a name in the answer: the place of that name in the prompt}."""
        asked = dict((cls, at) for at, cls in self.spoken(row["ids"][:row["prompt"]]))
        out = {}
        for last, cls in self.spoken(row["answer"]):
            if cls in asked:
                lengths = [len(form) for form in (self.words(self.world.names[cls]), self.words(self.tasks.plural(cls)))
                           if row["answer"][last - len(form) + 1:last + 1] == form]
                out.update({row["prompt"] + last - back: asked[cls] for back in range(max(lengths))})
        return out


def cells(start, which):
    """Places of the tokens of a picture, which begins at `start`, that show any of the 32-px cells bool [64]."""
    found = np.argwhere(which.reshape(ACROSS, 2, ACROSS, 2).any((1, 3)))
    # In the base view, and in the tile, whose rows end in newlines.
    return [start + y * ACROSS + x for y, x in found] + [start + LOOK + y * (ACROSS + 1) + x for y, x in found]
