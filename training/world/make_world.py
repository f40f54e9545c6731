#!/usr/bin/env python3
"""Makes the world: bench/scenes/world.json and bench/scenes/atlas.png from the icon set and GenEval's prompts.

Run once: `python3 training/world/make_world.py ICONS_JSON`, where ICONS_JSON is `icons.json` of the npm package
`@iconify-json/fluent-emoji-flat` (MIT). Everything else (the Python generator, the TypeScript renderer and judge)
reads the two files, so that both sides see the same pixels.
"""
import io
import json
import pathlib
import sys

import numpy as np
import resvg_py
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
GENEVAL = ROOT / "bench/geneval/evaluation_metadata.jsonl"
OUT = ROOT / "bench/scenes"

# GenEval's class name -> icon of fluent-emoji-flat.
CLASSES = {
    "stop sign": "stop-sign", "suitcase": "luggage", "cell phone": "mobile-phone", "pizza": "pizza",
    "potted plant": "potted-plant", "zebra": "zebra", "computer keyboard": "keyboard", "laptop": "laptop",
    "couch": "couch-and-lamp", "carrot": "carrot", "skateboard": "skateboard", "train": "locomotive",
    "broccoli": "broccoli", "handbag": "handbag", "car": "automobile", "dog": "dog", "tv": "television",
    "giraffe": "giraffe", "book": "open-book", "backpack": "backpack", "computer mouse": "computer-mouse",
    "scissors": "scissors", "toilet": "toilet", "horse": "horse", "wine glass": "wine-glass", "apple": "red-apple",
    "umbrella": "umbrella", "sports ball": "soccer-ball", "tie": "necktie", "chair": "chair",
    "elephant": "elephant", "cake": "birthday-cake", "bus": "bus", "cup": "hot-beverage", "bed": "bed",
    "donut": "doughnut", "boat": "sailboat", "bicycle": "bicycle", "airplane": "airplane", "bird": "bird",
}
PLURALS = {"bus": "buses", "couch": "couches", "computer mouse": "computer mice", "scissors": "scissors",
           "wine glass": "wine glasses", "broccoli": "broccolis"}
# Tints: an icon's luminance runs from `dark` over `base` to `light`.
COLORS = {
    "red": [(110, 6, 12), (222, 32, 36), (255, 132, 122)],
    "orange": [(150, 62, 0), (250, 128, 16), (255, 196, 120)],
    "yellow": [(160, 116, 0), (250, 214, 36), (255, 246, 160)],
    "green": [(6, 76, 20), (30, 160, 54), (130, 226, 130)],
    "blue": [(8, 28, 110), (28, 92, 226), (120, 176, 255)],
    "purple": [(56, 10, 100), (128, 48, 200), (196, 140, 250)],
    "pink": [(160, 16, 100), (250, 84, 176), (255, 172, 222)],
    "brown": [(52, 26, 10), (122, 72, 36), (186, 134, 90)],
    "black": [(6, 6, 8), (38, 38, 44), (104, 104, 114)],
    "white": [(150, 154, 164), (238, 240, 244), (255, 255, 255)],
}
GROUNDS = {
    "light gray": (190, 194, 200), "beige": (224, 200, 158), "sky blue": (140, 200, 236),
    "mint green": (150, 218, 184), "lavender": (190, 176, 230), "pink": (236, 184, 190),
}
SIZES = [64, 128]


def rasterise(body: str, size: int) -> np.ndarray:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 32 32">{body}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size)
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGBA"))


def main() -> None:
    icons = json.load(open(sys.argv[1]))["icons"]
    names = list(CLASSES)
    atlas = np.zeros((640 + 320, 1024, 4), np.uint8)
    classes = []
    for index, name in enumerate(names):
        row, column = divmod(index, 8)
        for size, top in ((128, 0), (64, 640)):
            tile = rasterise(icons[CLASSES[name]]["body"], size)
            y, x = top + row * size, column * size
            atlas[y:y + size, x:x + size] = tile
            if size == 128:
                luminance = (54 * tile[..., 0].astype(int) + 183 * tile[..., 1] + 19 * tile[..., 2]) >> 8
                inside = luminance[tile[..., 3] > 200]
                low, high = np.percentile(inside, [2, 98]).astype(int)
                # A nearly plain icon keeps its middle tone instead of being stretched into noise.
                if high - low < 60:
                    middle = (low + high) // 2
                    low, high = middle - 40, middle + 40
                classes.append({"name": name, "plural": PLURALS.get(name, name + "s"), "icon": CLASSES[name],
                                "luminance": [int(low), int(high)]})
    records = [json.loads(line) for line in open(GENEVAL)]
    pairs, class_colors = set(), set()
    for record in records:
        found = [entry["class"] for entry in record["include"]]
        if record["tag"] in ("two_object", "position", "color_attr"):
            pairs.add(tuple(sorted(found)))
        if record["tag"] == "colors":
            class_colors.add((found[0], record["include"][0]["color"]))
    world = {
        "about": "scenes: flat emoji on a plain ground. Made by training/world/make_world.py; read by both languages.",
        "canvas": 256, "grid": 32, "sizes": SIZES, "max_objects": 4,
        "atlas": {"columns": 8, "tiles": [{"size": 128, "top": 0}, {"size": 64, "top": 640}]},
        "classes": classes,
        "colors": [{"name": name, "dark": c[0], "base": c[1], "light": c[2]} for name, c in COLORS.items()],
        "grounds": [{"name": name, "rgb": rgb} for name, rgb in GROUNDS.items()],
        "relations": ["left of", "right of", "above", "below"],
        "held_out": {"class_pairs": sorted(pairs), "class_colors": sorted(class_colors)},
    }
    OUT.mkdir(parents=True, exist_ok=True)
    Image.fromarray(atlas).save(OUT / "atlas.png", optimize=True)
    text = json.dumps(world, indent=1)
    (OUT / "world.json").write_text(text + "\n")
    print(len(classes), "classes,", len(pairs), "pairs and", len(class_colors), "class-colours held out")


if __name__ == "__main__":
    main()
