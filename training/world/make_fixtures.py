#!/usr/bin/env python3
"""Writes test/fixtures/scenes_judged.json: 1,000 scenes with their prompts, the judgement that is due, and the hash of
Python's pixels. The TypeScript twin must render the same bytes, and its judge must say the same. And edits.json: edits as
training draws them, which the TypeScript side must read as it reads its own.

Half of them are true to their prompt and half miss it by one thing; half use held-out combinations. Objects whose colour
is not named are tinted now and then: they may have any colour.
"""
import dataclasses
import hashlib
import json

import numpy as np
from edits import KINDS as EDIT_KINDS, Edits
from scenes import KINDS, ROOT, Scene, Thing, World, relations
from tasks import Tasks

OUT, EDITS = ROOT / "test/fixtures/scenes_judged.json", ROOT / "test/fixtures/edits.json"


class HeldOutWorld(World):
    """Draws only what training never shows."""

    def pick_pair(self, rng):
        pairs = sorted(self.held_pairs)
        a, b = pairs[rng.integers(len(pairs))]
        return (a, b) if rng.random() < 0.5 else (b, a)

    def pick_held_color(self, rng):
        options = sorted(self.held_colors)
        return options[rng.integers(len(options))]


def due(world, kind, prompt, wanted, scene):
    """[correct, strict] by GenEval's rules over the objects that are there. `wanted`: (class, colour or 0) a named object."""
    found = lambda cls: [t for t in scene.things if t.cls == cls]
    names = {cls: sum(c == cls for c, _ in wanted) for cls, _ in wanted}
    correct = all(len(found(cls)) >= count for cls, count in names.items())
    for cls, color in wanted:
        if color and found(cls):
            correct &= all(t.color == color for t in found(cls)[:1])
    if kind == "counting":
        correct &= len(found(wanted[0][0])) == len(wanted)
    if kind == "position" and correct:
        relation = next(r for r in world.data["relations"] if f" {r} " in prompt)
        correct &= relation in relations(found(wanted[0][0])[0], found(wanted[1][0])[0])
    return [bool(correct), bool(correct and len(scene.things) == len(wanted))]


def spoil(world, rng, kind, prompt, make, scene):
    """The scene with one thing wrong, or None when the drawn fault does not fit."""
    things, at = list(scene.things), int(rng.integers(len(scene.things)))
    fault = ["class", "color", "count", "relation"][rng.integers(4)]
    if fault == "class":
        others = [c for c in range(len(world.names)) if c not in {t.cls for t in things}]
        things[at] = dataclasses.replace(things[at], cls=int(rng.choice(others)))
    elif fault == "color":
        if kind not in ("colors", "color_attr"):
            return None
        others = [c for c in range(1, 1 + len(world.colors)) if c != things[at].color]
        things[at] = dataclasses.replace(things[at], color=int(rng.choice(others)))
    elif fault == "relation":
        if kind != "position":
            return None
        while True:
            sizes, corners = world.layout(rng, 2)
            moved = [dataclasses.replace(t, size=s, x=x, y=y) for t, s, (x, y) in zip(things, sizes, corners)]
            if not any(f" {r} " in prompt for r in relations(*moved)):
                return Scene(scene.ground, tuple(moved))
    elif rng.random() < 0.5 or kind == "position":
        things.pop(at)
    else:
        free = [(x, y) for x in range(0, 193, 32) for y in range(0, 193, 32)
                if all(x >= t.x + t.size or t.x >= x + 64 or y >= t.y + t.size or t.y >= y + 64 for t in things)]
        if not free:
            return None
        x, y = free[rng.integers(len(free))]
        things.append(Thing(things[at].cls, things[at].color, 64, x, y))
    return Scene(scene.ground, tuple(things))


def write_edits(each=12) -> None:
    rng, edits = np.random.default_rng(21), Edits(Tasks(World()))
    numbers = lambda scene: [scene.ground, [dataclasses.astuple(t) for t in scene.things]]
    drawn = [edits.draw(rng, kind) for kind in EDIT_KINDS for _ in range(each)]
    lines = ",\n".join(json.dumps([e.kind, e.instruction, numbers(e.source), numbers(e.target)], separators=(",", ":"))
                       for e in drawn)
    EDITS.write_text(f"[\n{lines}\n]\n")
    print(len(drawn), "edits,", EDITS.stat().st_size, "bytes")


def main() -> None:
    write_edits()
    rng, seen, held = np.random.default_rng(20), World(), HeldOutWorld()
    records = []
    for i in range(1000):
        kind = KINDS[i % 6]
        world = held if i // 6 % 2 else seen
        if kind == "colors" and world is held:
            cls, color = held.pick_held_color(rng)
            world.pick_class, world.pick_color = (lambda r: cls), (lambda r, c: color)
            prompt, make = world.prompt_and_maker(rng, kind)
            del world.pick_class, world.pick_color
        else:
            prompt, make = world.prompt_and_maker(rng, kind)
        scene = make()
        wanted = [(t.cls, t.color) for t in scene.things]
        spoiled = None
        while i // 12 % 2 and spoiled is None:
            spoiled = spoil(world, rng, kind, prompt, make, scene)
        scene = spoiled or scene
        if kind not in ("colors", "color_attr") and rng.random() < 0.2:
            tinted = tuple(dataclasses.replace(t, color=int(rng.integers(11))) for t in scene.things)
            scene = Scene(scene.ground, tinted)
        pixels = hashlib.sha256(world.render(scene).tobytes()).hexdigest()
        things = [dataclasses.astuple(t) for t in scene.things]
        records.append([prompt, scene.ground, things, due(world, kind, prompt, wanted, scene), pixels[:16]])
    lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    OUT.write_text(f"[\n{lines}\n]\n")
    print(len(records), "scenes,", sum(r[3][1] for r in records), "strictly right,", OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
