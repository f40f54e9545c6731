"""Scenes: specs, prompts in GenEval's grammar, and pixels. The TypeScript twin is bench/scenes/.

A scene is a ground and up to four objects {class, colour (0 = the icon's own, 1.. = tint), size, x, y}; boxes lie on the
32-px grid and never overlap. An object whose colour is not named in the prompt keeps the icon's own colours.
"""
import dataclasses
import json
import pathlib

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = ["single_object", "two_object", "counting", "colors", "position", "color_attr"]
WORDS = {2: "two", 3: "three", 4: "four"}


@dataclasses.dataclass(frozen=True)
class Thing:
    cls: int
    color: int
    size: int
    x: int
    y: int


@dataclasses.dataclass(frozen=True)
class Scene:
    ground: int
    things: tuple


def article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


class World:
    def __init__(self, folder: pathlib.Path = ROOT / "bench/scenes"):
        self.data = json.load(open(folder / "world.json"))
        atlas = np.asarray(Image.open(folder / "atlas.png").convert("RGBA"))
        self.names = [c["name"] for c in self.data["classes"]]
        self.colors = [c["name"] for c in self.data["colors"]]
        self.grounds = [tuple(g["rgb"]) for g in self.data["grounds"]]
        self.sizes = self.data["sizes"]
        self.canvas, self.grid = self.data["canvas"], self.data["grid"]
        number = {name: index for index, name in enumerate(self.names)}
        self.held_pairs = {tuple(sorted((number[a], number[b]))) for a, b in self.data["held_out"]["class_pairs"]
                           if a in number and b in number}
        self.held_colors = {(number[a], 1 + self.colors.index(c)) for a, c in self.data["held_out"]["class_colors"]
                            if a in number}
        # Straight-alpha sprites, [size][class, colour] -> uint8 [size, size, 4].
        self.sprites = {}
        for tile in self.data["atlas"]["tiles"]:
            size, top = tile["size"], tile["top"]
            out = np.zeros((len(self.names), 1 + len(self.colors), size, size, 4), np.uint8)
            for index in range(len(self.names)):
                row, column = divmod(index, self.data["atlas"]["columns"])
                icon = atlas[top + row * size: top + (row + 1) * size, column * size: (column + 1) * size]
                out[index, 0] = icon
                for c in range(len(self.colors)):
                    out[index, 1 + c] = self.tint(icon, index, c)
            self.sprites[size] = out

    def tint(self, icon: np.ndarray, cls: int, color: int) -> np.ndarray:
        """Integer arithmetic throughout, so that TypeScript gets the same bytes."""
        low, high = self.data["classes"][cls]["luminance"]
        c = self.data["colors"][color]
        dark, base, light = (np.array(c[k], np.int32) for k in ("dark", "base", "light"))
        rgb = icon[..., :3].astype(np.int32)
        luminance = (54 * rgb[..., 0] + 183 * rgb[..., 1] + 19 * rgb[..., 2]) >> 8
        t = np.clip((luminance - low) * 255 // (high - low), 0, 255)[..., None]
        shade = np.where(t < 128, dark + (base - dark) * t // 128, base + (light - base) * (t - 128) // 127)
        return np.concatenate([shade.astype(np.uint8), icon[..., 3:]], -1)

    def render(self, scene: Scene) -> np.ndarray:
        """uint8 [canvas, canvas, 3]."""
        picture = np.empty((self.canvas, self.canvas, 3), np.int32)
        picture[:] = self.grounds[scene.ground]
        for thing in scene.things:
            sprite = self.sprites[thing.size][thing.cls, thing.color].astype(np.int32)
            alpha = sprite[..., 3:]
            box = picture[thing.y: thing.y + thing.size, thing.x: thing.x + thing.size]
            box[:] = (sprite[..., :3] * alpha + box * (255 - alpha) + 127) // 255
        return picture.astype(np.uint8)

    # ---- sampling -------------------------------------------------------------------------------------------------
    def place(self, rng, sizes) -> list | None:
        """Top-left corners of non-overlapping boxes, uniform over the grid; None when the draw did not fit."""
        taken = np.zeros((8, 8), bool)
        out = []
        for size in sizes:
            side = size // self.grid
            limit = 8 - side + 1
            for _ in range(20):
                cx, cy = int(rng.integers(limit)), int(rng.integers(limit))
                if not taken[cy: cy + side, cx: cx + side].any():
                    break
            else:
                return None
            taken[cy: cy + side, cx: cx + side] = True
            out.append((cx * self.grid, cy * self.grid))
        return out

    def draw_sizes(self, rng, count: int, equal: bool) -> list:
        if count > 2:
            return [64] * count
        if equal:
            return [int(rng.choice([64, 128], p=[0.65, 0.35]))] * count
        return [int(rng.choice([64, 128], p=[0.5, 0.5])) for _ in range(count)]

    def layout(self, rng, count, equal=False):
        while True:
            sizes = self.draw_sizes(rng, count, equal)
            corners = self.place(rng, sizes)
            if corners is not None:
                return sizes, corners

    def pick_class(self, rng) -> int:
        return int(rng.integers(len(self.names)))

    def pick_pair(self, rng):
        while True:
            a, b = self.pick_class(rng), self.pick_class(rng)
            if a != b and tuple(sorted((a, b))) not in self.held_pairs:
                return a, b

    def pick_color(self, rng, cls) -> int:
        while True:
            color = 1 + int(rng.integers(len(self.colors)))
            if (cls, color) not in self.held_colors:
                return color

    def prompt_and_maker(self, rng, kind: str):
        """A prompt, and a function that draws another scene for that same prompt each time it is called."""
        ground = lambda: int(rng.integers(len(self.grounds)))

        def things(classes, colors, equal=False, accept=None):
            def make():
                while True:
                    sizes, corners = self.layout(rng, len(classes), equal)
                    made = tuple(Thing(c, k, s, x, y)
                                 for c, k, s, (x, y) in zip(classes, colors, sizes, corners))
                    if accept is None or accept(made):
                        return Scene(ground(), made)
            return make

        if kind == "single_object":
            a = self.pick_class(rng)
            return f"a photo of {article(self.names[a])}", things([a], [0])
        if kind == "colors":
            a = self.pick_class(rng)
            color = self.pick_color(rng, a)
            return f"a photo of {article(self.colors[color - 1] + ' ' + self.names[a])}", things([a], [color])
        if kind == "counting":
            a, count = self.pick_class(rng), 2 + int(rng.integers(3))
            return f"a photo of {WORDS[count]} {self.data['classes'][a]['plural']}", things([a] * count, [0] * count, True)
        a, b = self.pick_pair(rng)
        if kind == "two_object":
            return f"a photo of {article(self.names[a])} and {article(self.names[b])}", things([a, b], [0, 0])
        if kind == "color_attr":
            ca = self.pick_color(rng, a)
            cb = self.pick_color(rng, b)
            while cb == ca:
                cb = self.pick_color(rng, b)
            text = (f"a photo of {article(self.colors[ca - 1] + ' ' + self.names[a])} and "
                    f"{article(self.colors[cb - 1] + ' ' + self.names[b])}")
            return text, things([a, b], [ca, cb])
        relation = self.data["relations"][int(rng.integers(4))]
        text = f"a photo of {article(self.names[a])} {relation} {article(self.names[b])}"
        return text, things([a, b], [0, 0], accept=lambda made: relation in relations(made[0], made[1]))


def relations(a: Thing, b: Thing) -> list:
    """GenEval's rule: where is a, seen from b? Offsets of centres, shortened by a tenth of the summed sizes."""
    dx = (a.x + a.size / 2) - (b.x + b.size / 2)
    dy = (a.y + a.size / 2) - (b.y + b.size / 2)
    slack = 0.1 * (a.size + b.size)
    rx, ry = (max(abs(d) - slack, 0) * (1 if d > 0 else -1) for d in (dx, dy))
    norm = (dx * dx + dy * dy) ** 0.5
    if norm == 0 or (rx == 0 and ry == 0):
        return []
    rx, ry = rx / norm, ry / norm
    found = []
    if rx < -0.5:
        found.append("left of")
    if rx > 0.5:
        found.append("right of")
    if ry < -0.5:
        found.append("above")
    if ry > 0.5:
        found.append("below")
    return found
