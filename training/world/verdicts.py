"""What is wrong with a picture that shall show a caption, and scenes that are nearly right."""
import dataclasses

from scenes import relations
from tasks import COUNTS, LANGUAGE


def verdict(tasks, kind, caption, wanted, things) -> str:
    """The truth about a picture that shows `things`, drawn for `wanted` (a scene of the caption)."""
    say, names, colors = LANGUAGE["verdict"], tasks.world.names, ["natural"] + tasks.world.colors
    of = lambda cls: [t for t in things if t.cls == cls]
    if kind == "counting":
        cls, count = wanted[0].cls, len(wanted)
        if len(of(cls)) != count:
            return say["count"].format(wanted=COUNTS[count], plural=tasks.plural(cls), found=COUNTS[min(len(of(cls)), 4)])
    else:
        for want in wanted:
            if not of(want.cls):
                return say["missing"].format(name=names[want.cls])
        for want in wanted:
            if kind in ("colors", "color_attr") and all(t.color != want.color for t in of(want.cls)):
                return say["color"].format(name=names[want.cls], color=colors[want.color], found=colors[of(want.cls)[0].color])
        if kind == "position":
            relation = next(r for r in tasks.world.data["relations"] if f" {r} " in caption)
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


def judged(tasks, rng):
    """-> (caption, scene, verdict): half of the scenes show what the caption says, the others nearly so."""
    while True:
        kind, caption, scene = tasks.prompted(rng)
        if rng.random() < 0.45:
            return caption, scene, verdict(tasks, kind, caption, scene.things, scene.things)
        shown = broken(tasks, rng, kind, scene)
        if shown is not None:
            return caption, shown, verdict(tasks, kind, caption, scene.things, shown.things)


def broken(tasks, rng, kind, scene):
    """A scene that shows something else than `scene` does, or None."""
    things = list(scene.things)
    at, how = int(rng.integers(len(things))), rng.random()
    thing = things[at]
    others = [t.cls for t in things]
    if kind in ("colors", "color_attr") and how < 0.5:
        if kind == "color_attr" and rng.random() < 0.4:  # the two tints change places
            a, b = things
            if (a.cls, b.color) in tasks.world.held_colors or (b.cls, a.color) in tasks.world.held_colors:
                return None
            things = [dataclasses.replace(a, color=b.color), dataclasses.replace(b, color=a.color)]
        else:
            color = tasks.world.pick_color(rng, thing.cls) if rng.random() < 0.8 else 0
            if color == thing.color:
                return None
            things[at] = dataclasses.replace(thing, color=color)
    elif kind == "position" and how < 0.6:
        a, b = things
        if rng.random() < 0.5 and a.size == b.size:
            things = [dataclasses.replace(a, x=b.x, y=b.y), dataclasses.replace(b, x=a.x, y=a.y)]
        else:
            _, corners = tasks.world.draw_sizes(rng, 2, False), tasks.world.place(rng, [a.size, b.size])
            if corners is None:
                return None
            things = [dataclasses.replace(t, x=x, y=y) for t, (x, y) in zip(things, corners)]
    elif how < 0.75 and (kind == "counting" or len(things) > 1):
        if rng.random() < 0.5 or len(things) == 4:
            things.pop(at)
        else:
            things.append(dataclasses.replace(thing, cls=thing.cls if kind == "counting" else tasks.other_class(rng, others), color=0))
            things = placed_again(tasks, rng, things)
    elif rng.random() < 0.5 and len(things) < 4:
        cls = thing.cls if rng.random() < 0.5 else tasks.other_class(rng, others)
        things = placed_again(tasks, rng, things + [dataclasses.replace(thing, cls=cls, color=0 if cls != thing.cls else thing.color)])
    else:
        rest = others[:at] + others[at + 1:]
        cls = tasks.other_class(rng, others)
        color = thing.color and tasks.world.pick_color(rng, cls)
        if kind == "counting" or not tasks.goes_with(cls, rest):
            return None
        things[at] = dataclasses.replace(thing, cls=cls, color=color)
    return None if things is None else dataclasses.replace(scene, things=tuple(things))


def placed_again(tasks, rng, things):
    """`things`, the last of them in a free place among the others, or None."""
    for _ in range(20):
        size = 64
        x, y = (int(rng.integers(7)) * tasks.world.grid for _ in range(2))
        free = all(x + size <= t.x or t.x + t.size <= x or y + size <= t.y or t.y + t.size <= y for t in things[:-1])
        if free:
            return things[:-1] + [dataclasses.replace(things[-1], size=size, x=x, y=y)]
    return None
