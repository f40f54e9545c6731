"""What a thing is to the others of its picture, told to the tower for each cell: asked about one thing at a time, and late,
texts took long to learn to count, to put in order, and to say what stands beside what."""
import numpy as np
from scenes import relations
from tasks import LANGUAGE, alike

RELATIONS = ("left of", "right of", "above", "below")
MOST = len(LANGUAGE["counts"]) - 1
# How many values each column of `kinship` has.
KINSHIP = (MOST, MOST, MOST, *[2] * len(RELATIONS))


def kinship(scene):
    """int64 [64, columns]: for the thing whose box holds each 32-px cell its place in the order of descriptions (alike things
    share one), how many of its class there are and how many of class and colour (both less 1), and whether another thing is
    left of it, right of it, above and below; -1 for none."""
    things = scene.things
    kind, order = lambda t: (t.cls, t.color), list(alike(things))
    out = np.full((8, 8, len(KINSHIP)), -1)
    for thing in things:
        counts = [sum(of(t) == of(thing) for t in things) - 1 for of in (lambda t: t.cls, kind)]
        beside = {relation for other in things if other is not thing for relation in relations(other, thing)}
        left, top, right, bottom = (edge // 32 for edge in (thing.x, thing.y, thing.x + thing.size, thing.y + thing.size))
        out[top:bottom, left:right] = [order.index(kind(thing)), *counts, *(relation in beside for relation in RELATIONS)]
    return out.reshape(64, -1)
