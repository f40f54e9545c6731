#!/usr/bin/env python3
"""Trains the VQ tokenizer: `train_vq.py decoder` (codes -> pixels), then or beside it `train_vq.py encoder` (pixels -> codes).

The codes are given (codes.py), so both halves are plain supervised problems: the decoder and the codebook learn the
pixels by L1; the encoder learns, by cross-entropy over the distances to the codebook, to land nearest to the code of
each cell. Scenes are packed densely so that a picture shows many objects; no held-out class pair or class-colour ever
appears. Checkpoints by time; resumes exactly.
"""
import argparse
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "world"), str(HERE.parent / "common")]
from codes import GROUND_CODES, PALETTES, SHAPES, CodeTable  # noqa: E402
from vq_model import VQ  # noqa: E402
from muon import Muon  # noqa: E402
from stage import save, tell  # noqa: E402
from scenes import Scene, Thing, World  # noqa: E402


GROUND_SHARE = 0.15


def dense_scene(world: World, rng) -> Scene:
    """Up to a dozen objects without held-out pairs: a few classes, many sizes and colours."""
    classes = []
    for _ in range(12):
        c = world.pick_class(rng)
        if all(c == o or tuple(sorted((c, o))) not in world.held_pairs for o in classes):
            classes.append(c)
    taken, things = np.zeros((8, 8), bool), []
    big = rng.random() < 0.6
    for c in classes:
        size = 128 if big and rng.random() < 0.5 else 64
        side = size // 32
        for _ in range(4):
            x, y = (int(v) for v in rng.integers(8 - side + 1, size=2))
            if taken[y: y + side, x: x + side].any():
                continue
            taken[y: y + side, x: x + side] = True
            color = 0 if rng.random() < 0.35 else world.pick_color(rng, c)
            things.append(Thing(c, color, size, x * 32, y * 32))
            break
    return Scene(int(rng.integers(len(world.grounds))), tuple(things))


def crop(picture, grid, rng, side=8):
    """A window of side x side cells that shows something."""
    things = np.argwhere(grid >= 8)
    y, x = things[rng.integers(len(things))] if len(things) else rng.integers(16, size=2)
    top, left = (int(np.clip(v - rng.integers(side), 0, 16 - side)) for v in (y, x))
    return (picture[top * 16:(top + side) * 16, left * 16:(left + side) * 16],
            grid[top: top + side, left: left + side])


def batch(world, table, rng, count, dense_share=0.8, crops=True):
    pictures, ids = [], []
    for _ in range(count):
        if rng.random() < dense_share:
            scene = dense_scene(world, rng)
        else:
            # Tints are the hard part: in black and brown an icon's own shades lie close together.
            kind = str(rng.choice(["single_object", "two_object", "counting", "colors", "color_attr"], p=[.05, .05, .1, .3, .5]))
            scene = world.prompt_and_maker(rng, kind)[1]()
        picture, grid = world.render(scene), table.ids(scene)
        for _ in range(2 if crops else 1):
            p, g = crop(picture, grid, rng) if crops else (picture, grid)
            pictures.append(p)
            ids.append(g)
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div_(255)
    return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(np.stack(ids).astype(np.int64))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["decoder", "encoder"])
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rate", type=float, default=3e-3, help="Muon, for convolutions")
    parser.add_argument("--adam", type=float, default=2e-3, help="Adam, for the rest")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep-codebook", action="store_true", help="decoder: leave the codebook as it starts")
    parser.add_argument("--init", type=pathlib.Path, help="start from the weights of this model folder")
    parser.add_argument("--hard", type=float, default=0.0, help="encoder: weight a cell by 1 + HARD x (1 - its probability)")
    parser.add_argument("--dense", type=float, default=0.8, help="share of packed scenes; the rest are scenes of prompts")
    parser.add_argument("--crops", type=float, default=0.8, help="share of the time that is spent on crops")
    parser.add_argument("--palette", type=float, default=0.0, help="encoder: weight of a cross-entropy over palettes alone")
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parent / "runs/vq")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    world, table = World(), CodeTable()
    vq = VQ()
    vq.quantize.embedding.weight.data.copy_(torch.from_numpy(table.codebook))
    path = options.out / f"{options.part}.pt"
    log = open(options.out / f"{options.part}.jsonl", "a")
    decoder = options.part == "decoder"
    if decoder:
        part = [*vq.decoder.parameters(), *vq.post_quant_conv.parameters()]
        part += [] if options.keep_codebook else [*vq.quantize.parameters()]
        names = ("decoder.", "post_quant_conv.", "quantize.")
    else:
        # The decoder moves the codebook little; the last stretch re-reads it (see below).
        part = [*vq.encoder.parameters(), *vq.quant_conv.parameters()]
        names = ("encoder.", "quant_conv.")
        vq.quantize.requires_grad_(False)
    matrices = [p for p in part if p.ndim == 4]
    optimizers = [Muon(matrices, options.rate), torch.optim.Adam([p for p in part if p.ndim != 4], lr=options.adam,
                                                                 betas=(0.9, 0.98))]
    step, spent = 0, 0.0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        vq.load_state_dict(saved["model"], strict=False)
        for optimizer, state in zip(optimizers, saved["optimizers"]):
            optimizer.load_state_dict(state)
        step, spent = saved["step"], saved["spent"]
    elif options.init:
        shipped = load_file(options.init / "vqvae/diffusion_pytorch_model.safetensors")
        vq.load_state_dict({k: v.float() for k, v in shipped.items()})
    vq = vq.to(memory_format=torch.channels_last)  # convolutions are a quarter faster
    total, begin, saved_at, losses = options.minutes * 60, time.time(), time.time(), []

    def keep_all():
        state = {k: v for k, v in vq.state_dict().items() if k.startswith(names)}
        save(path, {"model": state, "optimizers": [o.state_dict() for o in optimizers], "step": step,
                    "spent": spent + time.time() - begin})

    read_codebook = False
    while True:
        progress = (spent + time.time() - begin) / total
        if progress >= 1:
            break
        if not decoder and not read_codebook and (options.out / "decoder.pt").exists() and progress > 0.05:
            # Learn to hit the codebook that ships, not the one it started from.
            fresh = torch.load(options.out / "decoder.pt")["model"]
            vq.load_state_dict({k: v for k, v in fresh.items() if k.startswith("quantize.")}, strict=False)
            read_codebook = progress > 0.6
        warm = min(1.0, (step + 1) / 100)
        for optimizer, rate in zip(optimizers, (options.rate, options.adam)):
            for group in optimizer.param_groups:
                group["lr"] = rate * warm * min(1.0, (1 - progress) / 0.6 + 0.02)
        rng = np.random.default_rng([7, step, decoder])
        # Crops first, then whole pictures, which have the real borders and norms.
        x, ids = batch(world, table, rng, options.batch, options.dense, progress < options.crops)
        if decoder:
            loss = (vq.decode(ids) - x).abs().mean() * 10
        else:
            # Plain ground is most of a picture and soon known: a share of it is scored, weighted back.
            target = ids.view(-1)
            scored = (target >= GROUND_CODES) | (torch.from_numpy(rng.random(len(target))) < GROUND_SHARE)
            target = target[scored]
            logits = -vq.distances(vq.latent(x).flatten(0, 2)[scored]) * 0.5
            weight = torch.where(target < GROUND_CODES, 0.2 / GROUND_SHARE, 1.0)
            each = F.cross_entropy(logits, target, reduction="none")
            hard = 1 + options.hard * (1 - torch.exp(-each.detach()))
            loss = (each * weight * hard).sum() / weight.sum()
            if options.palette:
                thing = target >= GROUND_CODES
                palettes = logits[thing, GROUND_CODES:].unflatten(1, (PALETTES, SHAPES)).logsumexp(2)
                loss = loss + options.palette * F.cross_entropy(palettes, (target[thing] - GROUND_CODES) // SHAPES)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(part, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        if step % 25 == 0:
            row = {"step": step, "seconds": round(spent + time.time() - begin, 1),
                   "loss": round(float(np.mean(losses)), 4)}
            losses = []
            tell(log, row)
        if time.time() - saved_at > 60:
            keep_all()
            saved_at = time.time()
    keep_all()


if __name__ == "__main__":
    main()
