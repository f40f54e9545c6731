#!/usr/bin/env python3
"""Trains drawing: `train_draw.py --minutes 100`. Checkpoints by time to training/runs/draw; running it again resumes.

Objective (facts 8): masked positions of the picture, cosine mask policy, one cross-entropy over the VQ codes, 10 % of
the prompts dropped as guidance drops them. Several pictures share a prompt, whose keys and values are computed once,
which `prefix` attention makes exact. Muon for the hidden matrices, Adam for tables and norms, an average of the weights
for evaluation. With `--helpers 1` a second process adds gradients of further batches whenever its core is free; without
it, a resumed run repeats an undisturbed one exactly. CUDA is used when present.
"""
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.multiprocessing as mp  # noqa: E402
from data import Draws  # noqa: E402
from stage import Stage, Team, add, begun, means, stage_options, tell  # noqa: E402
from probes import Probed  # noqa: E402
from tables import GROUND_CODES, SHAPES  # noqa: E402
from trainee import compile_gen, trained  # noqa: E402


def helper(model, buffer, count, lock, options):
    """Adds gradients of batches of its own to a shared buffer, as fast as its core allows."""
    os.nice(options.helper_nice)
    if options.helper_core is not None:
        os.sched_setaffinity(0, {options.helper_core})
    torch.set_num_threads(1)
    if options.compile:
        compile_gen(model)
    draws = Draws(options.seed + 1000)
    parameters = [p for part in trained(model) for p in part]
    number = int(time.time())
    while True:
        number += 1
        loss, *_ = model.loss(draws.batch(number, options.prompts, options.group), options.group)
        grads = torch.autograd.grad(loss, parameters)
        with lock:
            for shared, g in zip(buffer, grads):
                shared.add_(g)
            count.value += 1


def drawing_options(minutes, rate, out, init=None):
    """What every stage that trains drawing can be told."""
    parser = stage_options(minutes, rate, out, init)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--group", type=int, default=5)
    parser.add_argument("--blank", type=float, default=0.15, help="share of pictures that are masked whole")
    parser.add_argument("--dropped", type=float, default=0.1, help="share of prompts that are dropped, as guidance drops them")
    parser.add_argument("--shares", type=float, nargs=6, help="of the kinds, in the order of scenes.KINDS (default: data.py's)")
    parser.add_argument("--compile", action="store_true", help="compile the gen branch (1-2 minutes at the start)")
    return parser


def add_codes(sums, b, each, task=""):
    """Cross-entropies of a batch's scored positions, by what they show and how much was masked."""
    thing, tint = b["target"] >= GROUND_CODES, b["target"] >= GROUND_CODES + SHAPES
    for name, which in (("own", thing & ~tint), ("tint", tint)):
        for low, high in ((0.95, 1.01), (0.8, 0.95), (0.5, 0.8), (0.0, 0.5)):
            pick = which & (b["ratio"] >= low) & (b["ratio"] < high)
            add(sums, f"{task}{name}_{low}", each[pick].sum(), int(pick.sum()))
    add(sums, f"{task}ground", each[~thing].sum(), int((~thing).sum()))


def main() -> None:
    parser = drawing_options(minutes=100, rate=4e-3, out="draw")
    parser.add_argument("--helpers", type=int, default=0)
    parser.add_argument("--helper-nice", type=int, default=5)
    parser.add_argument("--helper-core", type=int)
    options, device = begun(parser)
    torch.set_default_device(device)
    if device == "cuda" and options.helpers:
        parser.error("--helpers shares memory between processes of one CPU; leave it out on CUDA")
    draws = Draws(options.seed)
    if options.shares:
        draws.shares = np.array(options.shares)
    fetch = lambda number: {k: v.to(device) for k, v in draws.batch(number, options.prompts, options.group, blank=options.blank, dropped=options.dropped).items()}
    codebook = torch.from_numpy(draws.table.codebook).to(device)
    model = Probed(codebook, options.bf16)
    if options.compile:
        compile_gen(model)
    team = Team(trained(model), options.rate, options.adam, options.bf16)
    stage = Stage(model, {"draw": team}, options)
    if not stage.resume(device):
        stage.start(options.init, device)
        if not options.init:
            model.start_grounds(fetch(0), options.group)
    parameters = team.parameters
    buffer = [torch.zeros_like(p) for p in parameters]
    count, lock, workers = mp.Value("i", 0, lock=False), mp.Lock(), []
    if options.helpers:
        model.share_memory()
        for b in buffer:
            b.share_memory_()
        for _ in range(options.helpers):
            worker = mp.Process(target=helper, args=(model, buffer, count, lock, options), daemon=True)
            worker.start()
            workers.append(worker)
    stage.begin()
    sums = {}
    while stage.due():
        b = fetch(stage.step)
        loss, each, parts = model.loss(b, options.group)
        grads = torch.autograd.grad(loss, parameters)
        merged = 1
        with lock:
            if count.value:
                merged += count.value
                for own, shared in zip(grads, buffer):
                    own.add_(shared)
                    shared.zero_()
                count.value = 0
        norm = stage.update({"draw": grads}, merged)
        add_codes(sums, b, each)
        for name, value in (*parts.items(), ("norm", norm)):
            add(sums, name, value)
        if stage.step % 25 == 0:
            row = {"step": stage.step, "samples": stage.batches * options.prompts * options.group,
                   "seconds": round(stage.seconds(), 1), **means(sums, 3)}
            sums = {}
            if stage.step % 100 == 0:
                row["pairs_held_out"] = round(model.pairs_right(draws), 3)
            tell(stage.log, row)
        stage.keep(every=120)
    stage.keep()
    for worker in workers:
        worker.terminate()


if __name__ == "__main__":
    main()
