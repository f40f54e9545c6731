"""Records of every task but drawing (facts 8.3), made from scenes whose truth is known: questions, expressions to find,
plans and verdicts. The words are those of bench/scenes/language.json, whose TypeScript readers evaluate with them."""
import dataclasses
import json
import pathlib
import re

from scenes import KINDS, Scene, Thing, World, article, relations

ROOT = pathlib.Path(__file__).resolve().parents[2]
LANGUAGE = json.loads((ROOT / "bench/scenes/language.json").read_text())
COUNTS, PLACES = LANGUAGE["counts"], LANGUAGE["places"]


class Tasks:
    def __init__(self, world: World):
        self.world = world

    # ---- words ----------------------------------------------------------------------------------------------------
    def phrase(self, thing) -> str:
        name = self.world.names[thing.cls]
        return f"{self.world.colors[thing.color - 1]} {name}" if thing.color else name

    def plural(self, cls: int) -> str:
        return self.world.data["classes"][cls]["plural"]

    def place(self, thing) -> str:
        """In thirds of the canvas; on a border counts as the middle."""
        third = lambda a: 0 if 3 * a < self.world.canvas else 2 if 3 * a > 2 * self.world.canvas else 1
        return PLACES[3 * third(thing.y + thing.size / 2) + third(thing.x + thing.size / 2)]

    def describe(self, things) -> str:
        groups = {}
        for thing in sorted(things, key=lambda t: (t.x + t.size / 2, t.y + t.size / 2)):
            groups.setdefault((thing.cls, thing.color), []).append(thing)
        parts = []
        for (cls, color), group in groups.items():
            if len(group) == 1:
                parts.append(article(self.phrase(group[0])))
            else:
                tint = f"{self.world.colors[color - 1]} " if color else ""
                parts.append(f"{COUNTS[len(group)]} {tint}{self.plural(cls)}")
        return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]

    # ---- scenes ---------------------------------------------------------------------------------------------------
    def goes_with(self, cls: int, others) -> bool:
        return all(tuple(sorted((cls, other))) not in self.world.held_pairs for other in others)

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
                color = 0 if rng.random() < 0.35 else self.world.pick_color(rng, cls)
                if (cls, color) not in kinds or rng.random() < 0.3:
                    kinds.append((cls, color))
            sizes = [int(rng.choice(self.world.sizes, p=[0.75, 0.25] if count > 2 else [0.5, 0.5])) for _ in kinds]
            corners = self.world.place(rng, sizes)
            if corners is not None:
                things = tuple(Thing(c, k, s, x, y) for (c, k), s, (x, y) in zip(kinds, sizes, corners))
                return Scene(int(rng.integers(len(self.world.grounds))), things)

    def prompted(self, rng):
        """-> (kind, caption, scene that shows it)."""
        kind = KINDS[int(rng.integers(len(KINDS)))]
        caption, make = self.world.prompt_and_maker(rng, kind)
        return kind, caption, make()

    # ---- questions ------------------------------------------------------------------------------------------------
    def question(self, rng):
        """-> (scene, kind, question, answer)."""
        kinds = list(LANGUAGE["answer"])
        kind = kinds[int(rng.integers(len(kinds)))]
        while True:
            one = kind == "what"
            scene = self.mixed(rng, 1 if one else 2 if kind == "which" else None)
            if kind in ("count", "describe", "is_there") and rng.random() < 0.4:
                scene = self.prompted(rng)[2]
            found = self.asked(rng, kind, scene)
            if found is not None:
                words, answer = found
                asks = LANGUAGE["answer"][kind]["asks"]
                ask = asks[int(rng.integers(len(asks)))]
                return scene, kind, re.sub(r"\{([^}]*)\}", lambda m: words[m[1]], ask), answer

    def asked(self, rng, kind, scene):
        """-> ({word: what stands for it}, answer), or None if the scene does not allow the question."""
        things, names = scene.things, self.world.names
        classes = [t.cls for t in things]
        single = [t for t in things if classes.count(t.cls) == 1]
        pick = lambda items: items[int(rng.integers(len(items)))]
        if kind == "what":
            return {}, article(self.phrase(things[0]))
        if kind == "describe":
            return {}, self.describe(things)
        if kind == "color":
            tinted = [t for t in single if t.color]
            if not tinted:
                return None
            thing = pick(tinted)
            return {"name": names[thing.cls]}, self.world.colors[thing.color - 1]
        if kind == "count":
            cls = pick(classes) if rng.random() < 0.8 else self.other_class(rng, classes)
            return {"plural": self.plural(cls)}, COUNTS[classes.count(cls)]
        if kind == "where":
            if not single:
                return None
            thing = pick(single)
            return {"name": names[thing.cls]}, self.place(thing)
        if kind == "which":
            if classes[0] == classes[1]:
                return None
            relation = pick(self.world.data["relations"])
            asked, other = (things[0], things[1]) if rng.random() < 0.5 else (things[1], things[0])
            holds = relation in relations(other, asked)
            if not holds and rng.random() < 0.6:
                return None
            return ({"relation": relation, "name": names[asked.cls]},
                    f"the {names[other.cls]}" if holds else LANGUAGE["answer"]["which"]["none"])
        yes, no = (LANGUAGE["answer"]["is_there"][w] for w in ("yes", "no"))
        thing, tinted = pick(things), rng.random() < 0.5
        if rng.random() < 0.5:
            asked = thing if tinted else dataclasses.replace(thing, color=0)
            return {"a thing": article(self.phrase(asked))}, yes
        if tinted and rng.random() < 0.7:  # the class is there, in another colour
            color = self.world.pick_color(rng, thing.cls)
            if any(t.cls == thing.cls and t.color == color for t in things):
                return None
            return {"a thing": article(self.phrase(dataclasses.replace(thing, color=color)))}, no
        cls = self.other_class(rng, classes)
        color = self.world.pick_color(rng, cls) if tinted else 0
        return {"a thing": article(self.phrase(dataclasses.replace(thing, cls=cls, color=color)))}, no

    # ---- expressions ----------------------------------------------------------------------------------------------
    def expressions(self, rng, scene, most=8):
        """-> [(expression, thing or None)], each true of one thing of the scene at most; None: not there."""
        things, names, out = scene.things, self.world.names, {}
        classes = [t.cls for t in things]
        for thing in things:
            if classes.count(thing.cls) == 1:
                out[f"the {names[thing.cls]}"] = thing
            alike = [t for t in things if (t.cls, t.color) == (thing.cls, thing.color)]
            if thing.color and len(alike) == 1:
                out[f"the {self.phrase(thing)}"] = thing
            for other in things:
                if classes.count(other.cls) == 1 and other.cls != thing.cls:
                    for relation in relations(thing, other):
                        same = [t for t in things if t.cls == thing.cls and relation in relations(t, other)]
                        if len(same) == 1:
                            out[f"the {names[thing.cls]} {relation} the {names[other.cls]}"] = thing
        for _ in range(2):
            out[f"the {names[self.other_class(rng, classes)]}"] = None
        order = list(out.items())
        rng.shuffle(order)
        return order[:1 + int(rng.integers(most))]

    # ---- verdicts -------------------------------------------------------------------------------------------------
    def verdict(self, kind, caption, wanted, things) -> str:
        """The truth about a picture that shows `things`, drawn for `wanted` (a scene of the caption)."""
        say, names, colors = LANGUAGE["verdict"], self.world.names, ["natural"] + self.world.colors
        of = lambda cls: [t for t in things if t.cls == cls]
        if kind == "counting":
            cls, count = wanted[0].cls, len(wanted)
            if len(of(cls)) != count:
                return say["count"].format(wanted=COUNTS[count], plural=self.plural(cls), found=COUNTS[min(len(of(cls)), 4)])
        else:
            for want in wanted:
                if not of(want.cls):
                    return say["missing"].format(name=names[want.cls])
            for want in wanted:
                if kind in ("colors", "color_attr") and all(t.color != want.color for t in of(want.cls)):
                    return say["color"].format(name=names[want.cls], color=colors[want.color], found=colors[of(want.cls)[0].color])
            if kind == "position":
                relation = next(r for r in self.world.data["relations"] if f" {r} " in caption)
                one, other = wanted[0].cls, wanted[1].cls
                if not any(relation in relations(a, b) for a in of(one) for b in of(other)):
                    return say["relation"].format(name=names[one], relation=relation, other=names[other])
        left = list(wanted)
        for thing in things:
            match = next((w for w in left if w.cls == thing.cls), None)
            if match is None:
                return say["extra"].format(name=names[thing.cls])
            left.remove(match)
        return say["correct"]

    def judged(self, rng):
        """-> (caption, scene, verdict): half of the scenes show what the caption says, the others nearly so."""
        while True:
            kind, caption, scene = self.prompted(rng)
            if rng.random() < 0.45:
                return caption, scene, self.verdict(kind, caption, scene.things, scene.things)
            broken = self.broken(rng, kind, scene)
            if broken is not None:
                return caption, broken, self.verdict(kind, caption, scene.things, broken.things)

    def broken(self, rng, kind, scene):
        things = list(scene.things)
        at, how = int(rng.integers(len(things))), rng.random()
        thing = things[at]
        others = [t.cls for t in things]
        if kind in ("colors", "color_attr") and how < 0.5:
            if kind == "color_attr" and rng.random() < 0.4:  # the two tints change places
                a, b = things
                if (a.cls, b.color) in self.world.held_colors or (b.cls, a.color) in self.world.held_colors:
                    return None
                things = [dataclasses.replace(a, color=b.color), dataclasses.replace(b, color=a.color)]
            else:
                color = self.world.pick_color(rng, thing.cls) if rng.random() < 0.8 else 0
                if color == thing.color:
                    return None
                things[at] = dataclasses.replace(thing, color=color)
        elif kind == "position" and how < 0.6:
            a, b = things
            if rng.random() < 0.5 and a.size == b.size:
                things = [dataclasses.replace(a, x=b.x, y=b.y), dataclasses.replace(b, x=a.x, y=a.y)]
            else:
                _, corners = self.world.draw_sizes(rng, 2, False), self.world.place(rng, [a.size, b.size])
                if corners is None:
                    return None
                things = [dataclasses.replace(t, x=x, y=y) for t, (x, y) in zip(things, corners)]
        elif how < 0.75 and (kind == "counting" or len(things) > 1):
            if rng.random() < 0.5 or len(things) == 4:
                things.pop(at)
            else:
                things.append(dataclasses.replace(thing, cls=thing.cls if kind == "counting" else self.other_class(rng, others), color=0))
                things = self.placed_again(rng, things)
        elif rng.random() < 0.5 and len(things) < 4:
            cls = thing.cls if rng.random() < 0.5 else self.other_class(rng, others)
            things = self.placed_again(rng, things + [dataclasses.replace(thing, cls=cls, color=0 if cls != thing.cls else thing.color)])
        else:
            rest = others[:at] + others[at + 1:]
            cls = self.other_class(rng, others)
            color = thing.color and self.world.pick_color(rng, cls)
            if kind == "counting" or not self.goes_with(cls, rest):
                return None
            things[at] = dataclasses.replace(thing, cls=cls, color=color)
        return None if things is None else dataclasses.replace(scene, things=tuple(things))

    def placed_again(self, rng, things):
        """The last thing finds a free place among the others, or None."""
        for _ in range(20):
            size = 64
            x, y = (int(rng.integers(7)) * self.world.grid for _ in range(2))
            free = all(x + size <= t.x or t.x + t.size <= x or y + size <= t.y or t.y + t.size <= y for t in things[:-1])
            if free:
                return things[:-1] + [dataclasses.replace(things[-1], size=size, x=x, y=y)]
        return None
