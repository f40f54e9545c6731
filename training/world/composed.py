"""Scenes as a plan composes them: fewer ways than scenes are made in, so that a small model can learn all of them. One thing
near the middle; two beside each other or one above the other; three in a row; four at the corners of a square. One size
a scene: 128 px for up to two things, else 64."""
import dataclasses

from scenes import Scene

LARGE, SMALL = 128, 64
MIDDLE = (32, 64, 96)  # near edges of one thing in the middle; of rows and columns the other coordinate
ROW = (0, 96, 192)
SQUARE = tuple((x, y) for y in (32, 160) for x in (32, 160))


def composed(rng, world, caption: str, scene: Scene) -> Scene:
    """The things of a scene that shows the caption, in other places, such that it shows it still."""
    things = scene.things
    corners = places(rng, world, caption, len(things))
    size = LARGE if len(things) < 3 else SMALL
    moved = tuple(dataclasses.replace(thing, size=size, x=x, y=y) for thing, (x, y) in zip(things, corners, strict=True))
    return Scene(scene.ground, moved)


def places(rng, world, caption, count) -> list:
    """Top left corners, in the order of the caption's things."""
    at = int(rng.choice(MIDDLE))
    if count == 1:
        return [(int(rng.choice(MIDDLE)), at)]
    if count == 4:
        return list(SQUARE)
    relation = next((r for r in world.data["relations"] if f" {r} " in caption), None)
    across = relation in ("left of", "right of") if relation else rng.random() < 0.5
    along = list(ROW) if count == 3 else [0, LARGE]
    if relation in ("right of", "below"):
        along.reverse()
    return [(place, at) if across else (at, place) for place in along]
