"""Questions about a scene, with their answers: the words of bench/scenes/language.json."""
import dataclasses
import re

import numpy as np
from scenes import article, relations
from tasks import COUNTS, LANGUAGE


# What takes longest to learn is asked more often.
SHARES = {"what": 0.04, "color": 0.04, "count": 0.14, "where": 0.04, "is_there": 0.16, "which": 0.08, "describe": 0.50}


def question(tasks, rng):
    """-> (scene, kind, question, answer)."""
    kind = list(SHARES)[int(np.searchsorted(np.cumsum(list(SHARES.values())) - 1e-9, rng.random()))]
    while True:
        one, cls = kind == "what", None
        scene = tasks.mixed(rng, 1 if one else 2 if kind == "which" else None)
        if kind in ("describe", "is_there") and rng.random() < 0.3:
            scene = tasks.prompted(rng)[2]
        elif kind == "count" and rng.random() < 0.7:
            cls, scene = tasks.counted(rng)
        elif kind in ("describe", "is_there") and rng.random() < 0.4:  # things of a class in several tints
            scene = tasks.counted(rng)[1]
        found = asked(tasks, rng, kind, scene, cls)
        if found is not None:
            words, answer = found
            asks = LANGUAGE["answer"][kind]["asks"]
            ask = asks[int(rng.integers(len(asks)))]
            return scene, kind, re.sub(r"\{([^}]*)\}", lambda m: words[m[1]], ask), answer


def asked(tasks, rng, kind, scene, counted=None):
    """-> ({word: what stands for it}, answer), or None if the scene does not allow the question. `counted`: the class."""
    things, names = scene.things, tasks.world.names
    classes = [t.cls for t in things]
    single = [t for t in things if classes.count(t.cls) == 1]
    pick = lambda items: items[int(rng.integers(len(items)))]
    if kind == "what":
        return {}, article(tasks.phrase(things[0]))
    if kind == "describe":
        return {}, tasks.describe(things)
    if kind == "color":
        tinted = [t for t in single if t.color]
        if not tinted:
            return None
        thing = pick(tinted)
        return {"name": names[thing.cls]}, tasks.world.colors[thing.color - 1]
    if kind == "count":
        cls = counted
        if cls is None:
            cls = pick(classes) if rng.random() < 0.8 else tasks.other_class(rng, classes)
        return {"plural": tasks.plural(cls)}, COUNTS[classes.count(cls)]
    if kind == "where":
        if not single:
            return None
        thing = pick(single)
        return {"name": names[thing.cls]}, tasks.place(thing)
    if kind == "which":
        if classes[0] == classes[1]:
            return None
        relation = pick(tasks.world.data["relations"])
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
        return {"a thing": article(tasks.phrase(asked))}, yes
    if tinted and rng.random() < 0.7:  # the class is there, in another colour
        color = tasks.world.pick_color(rng, thing.cls)
        if any(t.cls == thing.cls and t.color == color for t in things):
            return None
        return {"a thing": article(tasks.phrase(dataclasses.replace(thing, color=color)))}, no
    cls = tasks.other_class(rng, classes)
    color = tasks.world.pick_color(rng, cls) if tinted else 0
    return {"a thing": article(tasks.phrase(dataclasses.replace(thing, cls=cls, color=color)))}, no
