#!/usr/bin/env python3
"""Trains drawing: `train_draw.py --minutes 100`. Checkpoints by time to training/runs/draw; running it again resumes.

Objective (facts 8): masked positions of the picture, cosine mask policy, one cross-entropy over the VQ codes, 10 % of
the prompts dropped as guidance drops them. Several pictures share a prompt, whose keys and values are computed once,
which `prefix` attention makes exact. Muon for the hidden matrices, Adam for tables and norms, an average of the weights
for evaluation. With `--helpers 1` a second process adds gradients of further batches whenever its core is free; without
it, a resumed run repeats an undisturbed one exactly. CUDA is used when present.
"""
import argparse
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch._inductor.config  # noqa: E402
import torch.multiprocessing as mp  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from config import CONFIG  # noqa: E402
from data import CLASSES, SAID, TINTS, Draws  # noqa: E402
from folder import open_folder  # noqa: E402
from fused_loss import FusedCrossEntropy  # noqa: E402
from muon import Muon  # noqa: E402
from network import Network  # noqa: E402
from tables import CODES, GROUND_CODES, SHAPES, Factored  # noqa: E402


class Things(nn.Module):
    """A row for no thing and one for each class in each tint: class + tint + both."""

    def __init__(self, width):
        super().__init__()
        self.none, self.classes = nn.Parameter(torch.zeros(1, width)), nn.Parameter(torch.zeros(CLASSES, 1, width))
        self.tints, self.both = nn.Parameter(torch.zeros(1, TINTS, width)), nn.Parameter(torch.zeros(CLASSES, TINTS, width))

    def forward(self):
        return torch.cat([self.none, (self.classes + self.tints + self.both).flatten(0, 1)])


class Trainee(nn.Module):
    """The network with its two VQ tables in factored form."""

    def __init__(self, codebook, bf16=False):
        super().__init__()
        self.bf16 = bf16  # matrix products in bf16, weights and sums in fp32: pays off where the CPU has AMX
        self.net = Network(CONFIG)
        g = CONFIG["d_model_gen"]
        self.table = Factored(CODES + 256, g, codebook, 0.5)
        self.head = Factored(CODES, g, codebook, 0.5 / g ** 0.5)
        # Training only. Where things go is a few nats in a loss of hundreds, and takes words, classes and places at once:
        # without these probes "left of" was still unused after 600 thousand pictures, and two tints were swapped as often as
        # not after 860. One reads which class in which tint stands in each blank cell, from the last layer and the last
        # joint one; one reads from the und states of a thing's name what the caption says of it (side, count, colour).
        self.layout = nn.ModuleList([Things(g) for _ in range(2)])
        self.said = nn.ParameterList([nn.Parameter(torch.zeros(SAID, CONFIG["d_model"])) for _ in range(2)])

    @torch.no_grad()
    def take(self, folder):
        """Starts from the weights of a model folder; the optimizers start anew. The folder's model may have fewer
        layers: theirs are spread over both kinds, joint and split, and the layers between start as identities. Tensors
        that no stage had trained are stored as zeros; they keep their fresh values here."""
        network, _, config = open_folder(folder)
        blocks, old = self.net.transformer.blocks, network.transformer.blocks
        joint, split = CONFIG["dual_tower_layers"] + 1, CONFIG["n_layers"] - CONFIG["dual_tower_layers"] - 1
        old_joint = config["dual_tower_layers"] + 1
        spread = lambda few, many: [round(i * (many - 1) / (few - 1)) for i in range(few)]
        source = {new: i for i, new in enumerate(spread(old_joint, joint))}
        source |= {joint + new: old_joint + i for i, new in enumerate(spread(len(old) - old_joint, split))}
        for index, block in enumerate(blocks):
            if index in source:
                for mine, theirs in zip(block.parameters(), old[source[index]].parameters()):
                    if theirs.any():
                        mine.copy_(theirs)
            else:
                for name in ("attn_out", "ff_out", "ff_out_vision"):
                    getattr(block, name).weight.zero_()
        own = dict(self.net.named_parameters())
        for name, theirs in network.named_parameters():
            if ".blocks." not in name and theirs.any():
                own[name].copy_(theirs)
        self.table.take(network.gen_embedding[0].weight)
        self.head.take(network.gen_predictor[2].weight)

    def states(self, b, group):
        """-> (scored positions up to the last product of the head [K, d_model_gen], gen states that leave the last layer
        and the last joint one [P*group, cells, d_model_gen], und states that enter the last two joint ones [P, T, d_model])."""
        net = self.net
        ids = torch.where(b["masked"] < 0, net.mask, b["masked"])
        with torch.autocast(b["prompt"].device.type, torch.bfloat16, enabled=self.bf16):
            cache, bias, hidden = net.prompt_and_hidden(b["prompt"], b["lengths"])
            seen, ids = ids.unique(return_inverse=True)  # what precedes the first layer, per id that occurs
            tokens = net.gen_tokens(ids, self.table()[seen])
            if self.bf16:
                tokens, bias = tokens.bfloat16(), bias.bfloat16()
                cache = [(k.bfloat16(), v) for k, v in cache]
            g, middle = net.gen_and_middle(tokens, cache, bias, b["lengths"], group)
            return net.before_head(g, b["cell"], b["corner"]), (g, middle), hidden

    def loss(self, b, group):
        """-> (loss, cross-entropy of each scored position, of the layout, of what is said of each thing)."""
        states, hidden, words = self.states(b, group)
        states = states.bfloat16() if self.bf16 else states
        codes, each = FusedCrossEntropy.apply(states, self.head(), b["target"], b["weight"] / b["weight"].sum())
        blank = (b["masked"] < 0).unflatten(1, (8, 2)).unflatten(3, (8, 2)).all(4).all(2).flatten(1)
        layout = self.probes([table() for table in self.layout], [h[blank] for h in hidden], b["things"][blank])
        said = self.probes(self.said, [h.flatten(0, 1)[b["name"]] for h in words], b["said"])
        return codes + layout + said, each, layout.detach() / 2, said.detach() / 2

    @staticmethod
    def probes(heads, states, target):
        total = 0
        for h, w in zip(states, heads):
            h = h.float()
            total = total + F.cross_entropy(h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-5) @ w.T, target)
        return total

    @torch.no_grad()
    def start_grounds(self, batch, group):
        """Rows of the ground codes such that their logits start near 7 at masked positions: there is no bias for them,
        and without this the model spends its first thousands of pictures on learning that most of a picture is ground."""
        h = self.states(dict(batch, masked=torch.full_like(batch["masked"], -1)), group)[0].float().mean(0)
        self.head.free[:6] += 7 * h / h.pow(2).sum()


def compile_gen(model):
    """Without the pattern matcher, which would put the CPU's slow fused attention back (its backward costs 5 times the
    plain products')."""
    torch._inductor.config.pattern_matcher = False
    model.net.gen_and_middle = torch.compile(model.net.gen_and_middle, dynamic=False)


def trained(model):
    """Parameters that drawing uses, as (hidden matrices for Muon, the rest for Adam)."""
    joint = CONFIG["dual_tower_layers"] + 1
    matrices, rest = [], []
    for name, p in model.named_parameters():
        n = name.removeprefix("net.")
        if n.startswith(("transformer.ff_out", "gen_embedding.0", "gen_predictor.2")):
            continue  # the LM head is trained with the text tasks; the two tables live in factored form
        if n.startswith("transformer.blocks.") and "_vision" not in n:
            layer = int(n.split(".")[2])
            part = n.split(".")[3]
            if layer >= joint and part != "attn_out":
                continue
            if layer == joint - 1 and part not in ("attn_norm", "k_proj", "v_proj", "attn_out"):
                continue
        (matrices if p.ndim >= 2 and "wte" not in n and not name.startswith(("table", "head", "layout", "said")) else rest).append(p)
    return matrices, rest


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--group", type=int, default=5)
    parser.add_argument("--rate", type=float, default=4e-3, help="Muon")
    parser.add_argument("--adam", type=float, default=4e-3, help="Adam, for tables and norms")
    parser.add_argument("--decay", type=float, default=0.5, help="share of the time over which the rates fall")
    parser.add_argument("--average", type=float, default=0.995)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--helpers", type=int, default=0)
    parser.add_argument("--helper-nice", type=int, default=5)
    parser.add_argument("--helper-core", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init", type=pathlib.Path, help="start from the weights of this model folder")
    parser.add_argument("--bf16", action="store_true", help="matrix products in bf16 (CPUs with AMX, CUDA)")
    parser.add_argument("--compile", action="store_true", help="compile the gen branch (1-2 minutes at the start)")
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parent / "runs/draw")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    if device == "cuda" and options.helpers:
        parser.error("--helpers shares memory between processes of one CPU; leave it out on CUDA")
    options.out.mkdir(parents=True, exist_ok=True)
    draws = Draws(options.seed)
    fetch = lambda number: {k: v.to(device) for k, v in draws.batch(number, options.prompts, options.group).items()}
    codebook = torch.from_numpy(draws.table.codebook).to(device)
    model = Trainee(codebook, options.bf16)
    if options.compile:
        compile_gen(model)
    path = options.out / "checkpoint.pt"
    matrices, rest = trained(model)
    muon = Muon(matrices, options.rate, bf16=options.bf16)
    adam = torch.optim.Adam(rest, lr=options.adam, betas=(0.9, 0.95), eps=1e-10)
    step, batches, spent = 0, 0, 0.0
    if path.exists():
        saved = torch.load(path, weights_only=True, map_location=device)
        model.load_state_dict(saved["model"])
        average = saved["average"]
        muon.load_state_dict(saved["muon"])
        adam.load_state_dict(saved["adam"])
        step, batches, spent = saved["step"], saved["batches"], saved["spent"]
    else:
        if options.init:
            model.take(options.init)
        else:
            model.start_grounds(fetch(0), options.group)
        average = {k: v.clone() for k, v in model.state_dict().items()}
    parameters = matrices + rest
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
    rates = [(g, rate) for o, rate in ((muon, options.rate), (adam, options.adam)) for g in o.param_groups]
    total, begin, saved_at = options.minutes * 60, time.time(), time.time()
    log = open(options.out / "log.jsonl", "a")
    sums = {}

    def save():
        state = {"model": model.state_dict(), "average": average, "muon": muon.state_dict(), "adam": adam.state_dict(),
                 "step": step, "batches": batches, "spent": spent + time.time() - begin}
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    while True:
        seconds = spent + time.time() - begin
        progress = seconds / total
        if progress >= 1:
            break
        for group, rate in rates:
            group["lr"] = rate * min(1.0, (step + 1) / 60) * min(1.0, (1 - progress) / options.decay + 0.01)
        b = fetch(step)
        loss, each, layout, said = model.loss(b, options.group)
        grads = torch.autograd.grad(loss, parameters)
        merged = 1
        with lock:
            if count.value:
                merged += count.value
                for own, shared in zip(grads, buffer):
                    own.add_(shared)
                    shared.zero_()
                count.value = 0
        norm = torch.sqrt(sum(g.pow(2).sum() for g in grads)) / merged
        scale = min(1.0, 1.0 / float(norm)) / merged
        for p, g in zip(parameters, grads):
            p.grad = g.mul_(scale)
        muon.step()
        adam.step()
        step += 1
        batches += merged
        keep = min(options.average, (1 + step) / (10 + step))
        for k, v in model.state_dict().items():
            average[k].lerp_(v, 1 - keep)
        thing, tint = b["target"] >= GROUND_CODES, b["target"] >= GROUND_CODES + SHAPES
        for name, which in (("own", thing & ~tint), ("tint", tint)):
            for low, high in ((0.95, 1.01), (0.8, 0.95), (0.5, 0.8), (0.0, 0.5)):
                pick = which & (b["ratio"] >= low) & (b["ratio"] < high)
                s = sums.setdefault(f"{name}_{low}", [0.0, 0])
                s[0] += float(each[pick].sum())
                s[1] += int(pick.sum())
        s = sums.setdefault("ground", [0.0, 0])
        s[0] += float(each[~thing].sum())
        s[1] += int((~thing).sum())
        for name, value in (("layout", layout), ("said", said), ("norm", norm)):
            s = sums.setdefault(name, [0.0, 0])
            s[0] += float(value)
            s[1] += 1
        if step % 25 == 0:
            row = {"step": step, "samples": batches * options.prompts * options.group, "seconds": round(seconds, 1),
                   **{k: round(a / max(n, 1), 3) for k, (a, n) in sums.items()}}
            sums = {}
            print(json.dumps(row), flush=True)
            log.write(json.dumps(row) + "\n")
            log.flush()
        if time.time() - saved_at > 120:
            save()
            saved_at = time.time()
    save()
    for worker in workers:
        worker.terminate()


if __name__ == "__main__":
    main()
