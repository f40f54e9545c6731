"""Scenes of every task but drawing (facts 8.3), whose truth is known, and the words for what is in them, those of
bench/scenes/language.json. Its TypeScript readers evaluate with the same ones."""
import itertools
import json
import pathlib

from scenes import KINDS, Scene, Thing, World, article, relations

ROOT = pathlib.Path(__file__).resolve().parents[2]
LANGUAGE = json.loads((ROOT / "bench/scenes/language.json").read_text())
COUNTS, PLACES = LANGUAGE["counts"], LANGUAGE["places"]


def alike(things) -> dict:
    """{(class, colour): things of that kind}, in the order of their centres: that of descriptions."""
    groups = {}
    for thing in sorted(things, key=lambda t: (t.x + t.size / 2, t.y + t.size / 2)):
        groups.setdefault((thing.cls, thing.color), []).append(thing)
    return groups


class Tasks:
    def __init__(self, world: World):
        self.world = world

    def phrase(self, thing) -> str:
        name = self.world.names[thing.cls]
        return f"{self.world.colors[thing.color - 1]} {name}" if thing.color else name

    def plural(self, cls: int) -> str:
        return self.world.data["classes"][cls]["plural"]

    def place(self, thing) -> str:
        """In thirds of the canvas."""
        return PLACES[3 * self.third(thing.y + thing.size / 2) + self.third(thing.x + thing.size / 2)]

    def third(self, at) -> int:
        """0, 1, 2: of the canvas; on a border it is the middle one."""
        return 0 if 3 * at < self.world.canvas else 2 if 3 * at > 2 * self.world.canvas else 1

    def groups(self, things) -> list:
        """[(words, things)], as `alike` puts them together."""
        out = []
        for (cls, color), group in alike(things).items():
            tint = f"{self.world.colors[color - 1]} " if color else ""
            words = article(self.phrase(group[0])) if len(group) == 1 else f"{COUNTS[len(group)]} {tint}{self.plural(cls)}"
            out.append((words, group))
        return out

    def describe(self, things) -> str:
        parts = [words for words, _ in self.groups(things)]
        return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]

    def goes_with(self, cls: int, others) -> bool:
        return all(tuple(sorted((cls, other))) not in self.world.held_pairs for other in others)

    def check_seen(self, *scenes) -> None:
        """Raises if the scenes, taken as one, hold a combination that training must never show."""
        things = [thing for scene in scenes for thing in scene.things]
        classes = [thing.cls for thing in things]
        if not all(self.goes_with(cls, classes) for cls in classes) or any((t.cls, t.color) in self.world.held_colors for t in things):
            raise ValueError(f"a held-out combination in {scenes}")

    def other_class(self, rng, others) -> int:
        """Not among `others`, and no held-out pair with any of them."""
        while True:
            cls = self.world.pick_class(rng)
            if cls not in others and self.goes_with(cls, others):
                return cls

    def mixed(self, rng, count=None) -> Scene:
        """Up to four things of any kinds: classes may repeat, in other colours."""
        count = count or 1 + int(rng.integers(4))
        while True:
            kinds = []
            while len(kinds) < count:
                used = [cls for cls, _ in kinds]
                cls = used[int(rng.integers(len(used)))] if used and rng.random() < 0.3 else self.other_class(rng, used)
                color = self.color(rng, cls)
                if (cls, color) not in kinds or rng.random() < 0.3:
                    kinds.append((cls, color))
            scene = self.placed(rng, kinds)
            if scene is not None:
                return scene

    def counted(self, rng):
        """-> (class, a scene with none to four of it, each number as often, and at most four things in all)."""
        cls, most = self.world.pick_class(rng), self.world.data["max_objects"]
        count, other = int(rng.integers(most + 1)), self.other_class(rng, [cls])
        more, alike = min(most - count, (count == 0) + int(rng.integers(2))), rng.random() < 0.5
        while True:
            same = self.color(rng, cls)
            kinds = [(cls, same if alike else self.color(rng, cls)) for _ in range(count)]
            scene = self.placed(rng, kinds + [(other, self.color(rng, other)) for _ in range(more)])
            if scene is not None:
                return cls, scene

    def color(self, rng, cls: int) -> int:
        """In 35 of 100 the icon's own colours, else a tint that is not held out."""
        return 0 if rng.random() < 0.35 else self.world.pick_color(rng, cls)

    def placed(self, rng, kinds):
        """A scene of (class, colour) pairs on free places, or None when the draw did not fit."""
        sizes = [int(rng.choice(self.world.sizes, p=[0.75, 0.25] if len(kinds) > 2 else [0.5, 0.5])) for _ in kinds]
        corners = self.world.place(rng, sizes)
        if corners is None:
            return None
        things = tuple(Thing(c, k, s, x, y) for (c, k), s, (x, y) in zip(kinds, sizes, corners))
        return Scene(int(rng.integers(len(self.world.grounds))), things)

    def wanted(self, rng):
        """-> (kind, caption, what makes a scene that shows it)."""
        kind = KINDS[int(rng.integers(len(KINDS)))]
        return kind, *self.world.prompt_and_maker(rng, kind)

    def prompted(self, rng):
        """-> (kind, caption, scene that shows it)."""
        kind, caption, make = self.wanted(rng)
        return kind, caption, make()

    def expressions(self, rng, scene, most=8):
        """-> [(expression, thing or None)], each true of one thing of the scene at most; None: not there. In half of the cases
        kinds of expressions in turn, as bench/scenes/expressions.ts asks (so that up to a half is not there)."""
        things, names = scene.things, self.world.names
        kinds = {"name": {}, "color": {}, "relation": {}, "absent": {}}
        classes = [t.cls for t in things]
        for thing in things:
            if classes.count(thing.cls) == 1:
                kinds["name"][f"the {names[thing.cls]}"] = thing
            alike = [t for t in things if (t.cls, t.color) == (thing.cls, thing.color)]
            if thing.color and len(alike) == 1:
                kinds["color"][f"the {self.phrase(thing)}"] = thing
            for other in things:
                if classes.count(other.cls) == 1 and other.cls != thing.cls:
                    for relation in relations(thing, other):
                        same = [t for t in things if t.cls == thing.cls and relation in relations(t, other)]
                        if len(same) == 1:
                            kinds["relation"][f"the {names[thing.cls]} {relation} the {names[other.cls]}"] = thing
        in_turn = rng.random() < 0.5
        for _ in range(most if in_turn else 1 + int(rng.integers(3))):
            kinds["absent"][f"the {names[self.other_class(rng, classes)]}"] = None
        pools = [list(pool.items()) for pool in kinds.values()]
        for pool in pools:
            rng.shuffle(pool)
        if in_turn:
            order = [pair for turn in itertools.zip_longest(*pools) for pair in turn if pair][:most]
        else:
            order = [pair for pool in pools for pair in pool]
        rng.shuffle(order)
        return order[:most if rng.random() < 0.5 else 1 + int(rng.integers(most))]
