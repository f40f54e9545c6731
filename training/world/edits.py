"""Edits: a scene, an instruction in the words of bench/scenes/language.json's `edit`, and one scene that follows it. The
TypeScript twin, which scores what is learned here, is bench/scenes/edits.ts with edit_changes.ts."""
import dataclasses
import re

from scenes import Scene, Thing, article, relations
from tasks import LANGUAGE

KINDS = ["add", "remove", "replace", "recolor", "move", "resize", "ground", "two"]
COMBINED = ["add", "remove", "replace", "recolor", "move", "resize"]  # two at once are two of these, on two things
LARGER, SMALLER = LANGUAGE["sizes"]
# How a plan names what an edit does to the things in its boxes (core/model/prompts/plan.ts).
VERBS = {"add": "adding", "remove": "removing", "replace": "replacing", "move": "adjusting", "resize": "adjusting"}


@dataclasses.dataclass(frozen=True)
class Slot:
    """A thing of the source in its place in the list, or behind those one that was added."""
    thing: Thing
    gone: bool = False
    changed: bool = False


@dataclasses.dataclass(frozen=True)
class Draft:
    ground: int
    classes: tuple  # all that ever were in it: an instruction shall not name two things alike
    slots: tuple

    def put(self, at, thing=None):
        """With `thing` in slot `at`; without one, that slot's is gone."""
        slot = Slot(self.slots[at].thing if thing is None else thing, gone=thing is None, changed=True)
        return dataclasses.replace(self, slots=self.slots[:at] + (slot,) + self.slots[at + 1:])

    def present(self, but=None):
        return [slot.thing for i, slot in enumerate(self.slots) if not slot.gone and i != but]


@dataclasses.dataclass(frozen=True)
class Edit:
    kind: str
    source: Scene
    instruction: str
    target: Scene
    before: tuple  # things that it changes or takes away
    after: tuple  # and what they become, or what comes

    @property
    def verb(self) -> str:
        return VERBS.get(self.kind, "edit")


class Edits:
    def __init__(self, tasks):
        self.tasks, self.world = tasks, tasks.world
        self.moved = dict(zip(LANGUAGE["sides"], self.world.data["relations"]))  # left: left of, ...

    def draw(self, rng, kind=None) -> Edit:
        """One of `KINDS`, each as often as the others. Combinations are seen ones: this raises if one is not."""
        kind = kind or KINDS[int(rng.integers(len(KINDS)))]
        while True:
            source = self.source(rng, kind)
            found = source and self.edited(rng, kind, source)
            if found:
                draft, instruction = found
                target = Scene(draft.ground, tuple(draft.present()))
                self.tasks.check_seen(source, target)
                changed = [slot for slot in draft.slots if slot.changed]
                before = tuple(t for t, slot in zip(source.things, draft.slots) if slot.changed)
                return Edit(kind, source, instruction, target, before, tuple(s.thing for s in changed if not s.gone))

    def boxes(self, edit):
        """(label, xyxy) pairs that hold all that differs, for the edit's plan: what is new first, then the places that it
        leaves."""
        if edit.kind == "ground":
            name = self.world.data["grounds"][edit.target.ground]["name"]
            return [(f"{name} ground", (0, 0, self.world.canvas, self.world.canvas))]
        boxes = {}
        for thing in edit.after + edit.before:
            boxes.setdefault((thing.x, thing.y, thing.x + thing.size, thing.y + thing.size), self.tasks.phrase(thing))
        return [(label, xyxy) for xyxy, label in boxes.items()]

    def source(self, rng, kind):
        """Classes differ, so that a bare name means one thing."""
        least, most = 2 if kind in ("remove", "two") else 1, 4 if kind == "remove" else 3
        classes = []
        for _ in range(least + int(rng.integers(most - least + 1))):
            classes.append(self.tasks.other_class(rng, classes))
        return self.tasks.placed(rng, [(cls, self.tasks.color(rng, cls)) for cls in classes])

    def edited(self, rng, kind, source):
        """-> (draft, instruction), or None where the scene does not allow it."""
        begin = Draft(source.ground, tuple(t.cls for t in source.things), tuple(map(Slot, source.things)))
        places = rng.permutation(len(source.things)).tolist()
        if kind != "two":
            return getattr(self, kind)(rng, begin, places[0])
        kinds = rng.permutation(len(COMBINED))
        first = getattr(self, COMBINED[kinds[0]])(rng, begin, places[0])
        second = first and getattr(self, COMBINED[kinds[1]])(rng, first[0], places[1])
        return second and (second[0], self.say(rng, "two", {"first": first[1], "second": second[1]}))

    def say(self, rng, kind, words, which=None) -> str:
        sentences = LANGUAGE["edit"][kind]
        sentence = sentences[int(rng.integers(len(sentences))) if which is None else which]
        return re.sub(r"\{([^}]*)\}", lambda m: words[m[1]], sentence)

    def name(self, thing) -> str:
        return self.world.names[thing.cls]

    def fresh(self, rng, draft):
        """(class, colour) of a class that the scene never had."""
        cls = self.tasks.other_class(rng, draft.classes)
        return cls, self.tasks.color(rng, cls)

    def free(self, rng, size, taken, fits):
        """The corner of a box on the grid that is free of `taken` and that `fits`, or None."""
        grid = self.world.grid
        corners = [(x, y) for y in range(0, self.world.canvas - size + 1, grid) for x in range(0, self.world.canvas - size + 1, grid)
                   if all(x + size <= t.x or t.x + t.size <= x or y + size <= t.y or t.y + t.size <= y for t in taken)
                   and fits(Thing(0, 0, size, x, y))]
        return corners[int(rng.integers(len(corners)))] if corners else None

    # ---- the kinds: (rng, draft, slot) -> (draft, instruction) or None -------------------------------------------
    def add(self, rng, draft, _):
        present, (cls, color) = draft.present(), self.fresh(rng, draft)
        if len(present) >= self.world.data["max_objects"]:
            return None
        size = 64 if len(present) >= 2 else int(rng.choice(self.world.sizes))
        still = [slot.thing for slot in draft.slots if not slot.gone and not slot.changed]
        beside = still[int(rng.integers(len(still)))] if still and rng.random() < 0.5 else None
        relation = self.world.data["relations"][int(rng.integers(4))]
        corner = self.free(rng, size, present, lambda box: beside is None or relation in relations(box, beside))
        if corner is None:
            return None
        thing = Thing(cls, color, size, *corner)
        words = {"a thing": article(self.tasks.phrase(thing))}
        if beside is not None:
            words |= {"relation": relation, "name": self.name(beside)}
        added = dataclasses.replace(draft, classes=draft.classes + (cls,), slots=draft.slots + (Slot(thing, changed=True),))
        return added, self.say(rng, "add", words, int(beside is not None))

    def remove(self, rng, draft, at):
        return draft.put(at), self.say(rng, "remove", {"name": self.name(draft.slots[at].thing)})

    def replace(self, rng, draft, at):
        old, (cls, color) = draft.slots[at].thing, self.fresh(rng, draft)
        new = dataclasses.replace(old, cls=cls, color=color)
        words = {"name": self.name(old), "a thing": article(self.tasks.phrase(new))}
        return dataclasses.replace(draft.put(at, new), classes=draft.classes + (cls,)), self.say(rng, "replace", words)

    def recolor(self, rng, draft, at):
        old = draft.slots[at].thing
        tints = [c for c in range(1, 1 + len(self.world.colors)) if c != old.color and (old.cls, c) not in self.world.held_colors]
        color = tints[int(rng.integers(len(tints)))]
        words = {"name": self.name(old), "color": self.world.colors[color - 1]}
        return draft.put(at, dataclasses.replace(old, color=color)), self.say(rng, "recolor", words)

    def move(self, rng, draft, at):
        old, side = draft.slots[at].thing, LANGUAGE["sides"][int(rng.integers(4))]

        def there(box):
            center = (box.x if side in ("left", "right") else box.y) + box.size / 2
            return self.tasks.third(center) == (0 if side in ("left", "top") else 2) and self.moved[side] in relations(box, old)

        corner = self.free(rng, old.size, draft.present(but=at), there)
        if corner is None:
            return None
        moved = dataclasses.replace(old, x=corner[0], y=corner[1])
        return draft.put(at, moved), self.say(rng, "move", {"name": self.name(old), "side": side})

    def resize(self, rng, draft, at):
        old = draft.slots[at].thing
        small, large = self.world.sizes
        size = large if old.size == small else small

        def within(box):
            inner, outer = (old, box) if size == large else (box, old)
            x, y = inner.x + inner.size / 2, inner.y + inner.size / 2
            return outer.x < x < outer.x + outer.size and outer.y < y < outer.y + outer.size

        corner = self.free(rng, size, draft.present(but=at), within)
        if corner is None:
            return None
        new = dataclasses.replace(old, size=size, x=corner[0], y=corner[1])
        words = {"name": self.name(old), "size": LARGER if size == large else SMALLER}
        return draft.put(at, new), self.say(rng, "resize", words)

    def ground(self, rng, draft, _):
        others = [g for g in range(len(self.world.grounds)) if g != draft.ground]
        ground = others[int(rng.integers(len(others)))]
        words = {"ground": self.world.data["grounds"][ground]["name"]}
        return dataclasses.replace(draft, ground=ground), self.say(rng, "ground", words)
