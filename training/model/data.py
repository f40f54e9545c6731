"""Batches for drawing: prompts, several pictures for each, masks and the positions that are scored."""
import dataclasses
import pathlib
import sys

import numpy as np
import torch
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training" / part) for part in ("world", "vq", "tokenizer")]
from codes import GROUND_CODES, SHAPES, CodeTable  # noqa: E402
from scenes import KINDS, Thing, World, article  # noqa: E402
from templates import draw_prompt_ids, micro_string, plan_text, unconditional_ids  # noqa: E402

SHARES = {"single_object": 0.03, "two_object": 0.13, "counting": 0.22, "colors": 0.06, "position": 0.18, "color_attr": 0.38}
CLASSES = len(World().names)
TINTS = 11  # own colours and ten tints
# What a caption says of a thing: nothing, its side (left, right, above, below), its count (2-4) or its colour (1-10).
SIDES = {"left of": (1, 2), "right of": (2, 1), "above": (3, 4), "below": (4, 3)}
SAID = 18


def held_out_things() -> torch.Tensor:
    """bool [1 + CLASSES * TINTS], by the numbers of `layout`: class-colours that no picture of training shows."""
    out = torch.zeros(1 + CLASSES * TINTS, dtype=torch.bool)
    for cls, color in World().held_colors:
        out[1 + TINTS * cls + color] = True
    return out


def layout(scene):
    """int64 [64]: 0, or 1 + TINTS * class + tint of the thing whose box holds the 32-px cell (one gen token)."""
    out = np.zeros((8, 8), np.int64)
    for thing in scene.things:
        out[thing.y // 32: (thing.y + thing.size) // 32, thing.x // 32: (thing.x + thing.size) // 32] = 1 + TINTS * thing.cls + thing.color
    return out.flatten()


def extents(scene):
    """int64 [64, 4]: left, top, right and bottom edge, in cells, of the thing whose box holds each 32-px cell; -1 for none."""
    out = np.full((8, 8, 4), -1)
    for thing in scene.things:
        box = [edge // 32 for edge in (thing.x, thing.y, thing.x + thing.size, thing.y + thing.size)]
        out[box[1]:box[3], box[0]:box[2]] = box
    return out.reshape(64, 4)


def masked_and_scored(rng, target, background, objects, blank, marked=None):
    """Masks for grids of codes [N, 16, 16], and which of the masked positions are scored: of grounds the share `background`
    and of things, and of what is `marked` (bool [N, 16, 16]), the share `objects`. `blank`: share of grids masked whole.

    -> ({masked [N, 16, 16] with -1 at masks; of the scored positions cell, corner, target, weight and mask ratio}, their
    indices)."""
    # Cosine policy: mask ratio cos(u pi / 2), at least one position; some pictures are masked whole, as every drawing
    # begins, since what goes where is decided there.
    ratio = np.cos(rng.random(len(target)) * np.pi / 2) * (1 - 1e-3) + 1e-3
    ratio[rng.random(len(target)) < blank] = 1.0
    noise = rng.random(target.shape)
    masked = noise < np.maximum(ratio, noise.reshape(len(target), -1).min(1) + 1e-9)[:, None, None]
    # The ground fills most of a picture: score a share of it (and a larger one of the objects), weighted back.
    # Nearly all there is to learn is in pictures that are mostly masked: the others are scored more thinly.
    ground = target < GROUND_CODES
    if marked is not None:
        ground &= ~marked
    thin = np.where(ratio < 0.8, 0.4, 1.0)[:, None, None]
    share = np.where(ground, background, objects) * thin
    scored = masked & (rng.random(target.shape) < share)
    n, y, x = np.nonzero(scored)
    return {
        "masked": torch.from_numpy(np.where(masked, -1, target)),
        "cell": torch.from_numpy(n * 64 + (y // 2) * 8 + x // 2),
        "corner": torch.from_numpy((y % 2) * 2 + x % 2),
        "target": torch.from_numpy(target[n, y, x]),
        "weight": torch.from_numpy(1 / share[n, y, x]).float(),
        "ratio": torch.from_numpy(ratio[n]).float(),
    }, (n, y, x)


class Draws:
    def __init__(self, seed=0):
        self.seed = seed
        self.world, self.table = World(), CodeTable()
        self.tokenizer = Tokenizer.from_file(str(ROOT / "models/scenes/tokenizer.json"))
        self.shares = np.array([SHARES[k] for k in KINDS])
        self.luminance = [sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), rgb)) / 255 for rgb in self.world.grounds]

    @staticmethod
    def rival(codes, cells, scene):
        """For a scene of two tints: (the same shape in the other thing's tint for each of its codes, the same class in
        the other tint for each of its cells), 0 elsewhere. What a picture would show if the tints changed places."""
        codes = codes.astype(np.int64)
        one, other = (thing.color for thing in scene.things)
        swap = np.arange(TINTS)
        swap[[one, other]] = other, one
        thing = codes >= GROUND_CODES
        palette, shape = np.divmod(codes - GROUND_CODES, SHAPES)
        swapped = np.where(thing, GROUND_CODES + SHAPES * swap[np.where(thing, palette, 0)] + shape, 0)
        cls, tint = np.divmod(cells - 1, TINTS)
        return (np.where(swapped != codes, swapped, 0),
                np.where((cells > 0) & (swap[tint] != tint), 1 + TINTS * cls + swap[tint], 0))

    def told(self, ids, kind, caption, things):
        """(place of the name's last token, what the caption says of the thing, class and tint) for each name in a prompt."""
        for index, thing in enumerate(things[:1] if kind == "counting" else things):
            name = self.world.data["classes"][thing.cls]["plural"] if kind == "counting" else self.world.names[thing.cls]
            tokens = self.tokenizer.encode(" " + name, add_special_tokens=False).ids
            at = next((i for i in range(len(ids) - len(tokens), -1, -1) if ids[i:i + len(tokens)] == tokens), None)
            if at is None:
                raise ValueError(f"{name!r} is not in the prompt {caption!r}")
            what = 0
            if kind == "position":
                what = next(s for r, s in SIDES.items() if f" {r} " in caption)[index]
            elif kind == "counting":
                what = 3 + len(things)
            elif thing.color:
                what = 7 + thing.color
            yield at + len(tokens) - 1, what, TINTS * thing.cls + thing.color

    def held_out_colors(self):
        """Prompts of all held-out class-colours: ids [P, T], 0 = padding, each name's place in P * T, its class and tint."""
        rows, places, pairs = [], [], []
        for cls, color in sorted(self.world.held_colors):
            caption = f"a photo of {article(self.world.colors[color - 1] + ' ' + self.world.names[cls])}"
            ids = draw_prompt_ids(self.tokenizer, caption, "")
            at, _, pair = next(self.told(ids, "colors", caption, [Thing(cls, color, 64, 0, 0)]))
            rows.append(ids)
            places.append(at)
            pairs.append(pair)
        length = max(map(len, rows))
        padded = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return padded, torch.arange(len(rows)) * length + torch.tensor(places), torch.tensor(pairs)

    def plan(self, scene):
        """The plan text of a scene: every thing by its name, with its tint if it has one, and its box."""
        name = lambda thing: " ".join([self.world.colors[thing.color - 1]] * (thing.color > 0) + [self.world.names[thing.cls]])
        return plan_text([(name(t), (t.x, t.y, t.x + t.size, t.y + t.size)) for t in scene.things], self.world.canvas)

    def batch(self, step, prompts, group, background=0.1, objects=0.4, blank=0.15, planned=0.2, dropped=0.1):
        """The batch of a step, a function of (seed, step) alone, so that a resumed run sees the same data. `dropped`: share of
        the prompts that are dropped, as guidance drops them.

        Returns the thing in each cell (0 = none, else class and tint) and its rival [P*group, 64], prompt ids [P, T] and lengths [P], masked ids [P*group, 16, 16], and for the scored positions: cell and
        corner indices, target ids, their rivals and weights."""
        rng = np.random.default_rng([self.seed, step])
        rows, grids, layouts, names, said, pairs, rivals, cumulative = [], [], [], [], [], [], [], np.cumsum(self.shares)
        with_plan = rng.random() < planned  # a whole batch, so that the others' prompts stay short
        for number in range(prompts):
            kind = KINDS[int(np.searchsorted(cumulative - 1e-9, (number + rng.random()) / prompts))]
            caption, make = self.world.prompt_and_maker(rng, kind)
            scenes = [make() for _ in range(group)]
            micro = "" if rng.random() < 0.3 else micro_string(self.world.canvas)
            if micro and group == 1:  # a picture's own figures can only be told where a prompt has one picture
                figures = self.world.render(scenes[0]).astype(np.float32) / 255 @ np.array([0.2126, 0.7152, 0.0722])
                micro = micro[:-1]
                micro += f"; LUMINANCE : {figures.mean():.3f}" if rng.random() < 0.5 else ""
                micro += f"; CONTRAST : {figures.std():.3f}" if rng.random() < 0.5 else ""
                micro += ";"
            plan = ""
            if with_plan:  # one plan for all pictures of the prompt, which then differ in their ground
                scenes = [dataclasses.replace(scenes[0], ground=scene.ground) for scene in scenes]
                plan = self.plan(scenes[0])
            plain = draw_prompt_ids(self.tokenizer, caption, micro)
            ids = draw_prompt_ids(self.tokenizer, caption, micro, plan) if plan else plain
            if rng.random() < dropped:
                rows.append(unconditional_ids(self.tokenizer, ids, plan != ""))
            else:
                rows.append(ids)
                for at, what, pair in self.told(plain, kind, caption, scenes[0].things):
                    names.append((number, at))
                    said.append(what)
                    pairs.append(pair)
            grids += [self.table.ids(scene) for scene in scenes]
            layouts += [layout(scene) for scene in scenes]
            told = kind == "color_attr" and rows[-1] is ids
            rivals += [self.rival(codes, cells, scene) if told else (np.zeros(codes.shape, np.int64), np.zeros_like(cells))
                       for codes, cells, scene in zip(grids[-group:], layouts[-group:], scenes)]
        lengths = np.array([len(r) for r in rows])
        ids = np.zeros((prompts, -(-lengths.max() // 96) * 96), np.int64)  # few shapes, for compiled code
        for i, row in enumerate(rows):
            ids[i, :len(row)] = row
        target = np.stack(grids).astype(np.int64)
        scored, (n, y, x) = masked_and_scored(rng, target, background, objects, blank)
        names = np.array(names).reshape(-1, 2)
        return {
            "name": torch.from_numpy(names[:, 0] * ids.shape[1] + names[:, 1]), "said": torch.tensor(said, dtype=torch.long),
            "pair": torch.tensor(pairs, dtype=torch.long),
            "prompt": torch.from_numpy(ids), "lengths": torch.from_numpy(lengths),
            **scored,
            "things": torch.from_numpy(np.stack(layouts)),
            "rival": torch.from_numpy(np.stack([codes for codes, _ in rivals])[n, y, x]),
            "rival_things": torch.from_numpy(np.stack([cells for _, cells in rivals])),
        }
