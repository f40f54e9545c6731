#!/usr/bin/env python3
"""Trains what answers, finds, plans and judges, on top of drawing: `train_understand.py --minutes 60`.

Objective (facts 8): cross-entropy over masked answer tokens. What drawing reads is frozen (understanding.py), so pictures
stay the same to the bit. Checkpoints by time to training/runs/understand; running it again resumes exactly.
"""
import argparse
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from config import CONFIG  # noqa: E402
from data import Draws  # noqa: E402
from folder import load_weights, network_of  # noqa: E402
from muon import Muon  # noqa: E402
from records import Records  # noqa: E402
from stage import add, means, save, set_rates, tell  # noqa: E402
from understanding import Sight, Understanding, attention_bias, trained  # noqa: E402


def fresh_rows(draws, batches=400):
    """bool [vocabulary]: words that no drawing prompt holds; their embeddings may change."""
    fresh = torch.ones(CONFIG["embedding_size"], dtype=torch.bool)
    for step in range(batches):
        fresh[draws.batch(step, 16, 1, planned=0.5)["prompt"]] = False
    return fresh


def loss_of(model, b, bf16):
    """-> (loss, share of asked tokens whose likeliest word is the right one, weighted as the loss)."""
    with torch.autocast(b["ids"].device.type, torch.bfloat16, enabled=bf16):
        bias = attention_bias(b["prompt"], b["whole"], b["ids"].shape[1])
        x = model.embed(b["ids"], b["pixels"])
        states = model.states(x, bias.bfloat16() if bf16 else bias, b["asked"])
        logits = (states @ model.net.transformer.ff_out.weight.T).float()
    each, weight = F.cross_entropy(logits, b["target"], reduction="none"), b["weight"]
    right = (logits.detach().argmax(-1) == b["target"]).float()
    return (each * weight).sum() / weight.sum(), (right * weight).sum() / weight.sum()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=3e-3, help="Muon")
    parser.add_argument("--adam", type=float, default=2e-3, help="Adam, for tables, biases and norms")
    parser.add_argument("--decay", type=float, default=0.6, help="share of the time over which the rates fall")
    parser.add_argument("--average", type=float, default=0.995)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true", help="matrix products in bf16 (CPUs with AMX, CUDA)")
    parser.add_argument("--init", type=pathlib.Path, default=HERE.parents[1] / "models/scenes", help="a model folder")
    parser.add_argument("--failures", type=pathlib.Path, help="pictures that the model drew, with verdicts (failures.py)")
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parent / "runs/understand")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options.out.mkdir(parents=True, exist_ok=True)
    fresh = fresh_rows(Draws(0))
    failures = torch.load(options.failures, weights_only=False) if options.failures else None
    records = Records(options.seed, failures)
    torch.set_default_device(device)
    weights = load_weights(options.init)
    network = network_of(weights, CONFIG)
    model = Understanding(network, Sight())
    if "model.image_newline" in weights:
        model.sight.take(weights)
    start_text(network)  # parts that were stored as zeros, because nothing had trained them
    matrices, rest, parts = trained(model, fresh.to(device))
    muon = Muon(matrices, options.rate, bf16=options.bf16)
    adam = torch.optim.Adam(rest, lr=options.adam, betas=(0.9, 0.95), eps=1e-10)
    parameters = matrices + rest
    average = [p.detach().clone() for p in parameters]
    path, step, spent = options.out / "checkpoint.pt", 0, 0.0
    if path.exists():
        saved = torch.load(path, weights_only=True, map_location=device)
        for p, value in zip(parameters, saved["parameters"]):
            p.data.copy_(value)
        average, step, spent = saved["average"], saved["step"], saved["spent"]
        muon.load_state_dict(saved["muon"])
        adam.load_state_dict(saved["adam"])
    rates = [(g, rate) for o, rate in ((muon, options.rate), (adam, options.adam)) for g in o.param_groups]
    total, begin, saved_at, sums = options.minutes * 60, time.time(), time.time(), {}
    log = open(options.out / "log.jsonl", "a")

    def keep_all():
        save(path, {"parameters": [p.detach() for p in parameters], "average": average, "muon": muon.state_dict(),
                    "adam": adam.state_dict(), "step": step, "spent": spent + time.time() - begin})

    while True:
        seconds = spent + time.time() - begin
        progress = seconds / total
        if progress >= 1:
            break
        set_rates(rates, step, progress, options.decay)
        task, b = records.batch(step)
        b = {k: v if v is None else v.to(device) for k, v in b.items()}
        loss, right = loss_of(model, b, options.bf16)
        grads = torch.autograd.grad(loss, parameters, allow_unused=True)
        grads = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, grads)]
        grads = [g * parts[id(p)] if id(p) in parts else g for p, g in zip(parameters, grads)]
        norm = float(torch.sqrt(sum(g.pow(2).sum() for g in grads)))
        for p, g in zip(parameters, grads):
            p.grad = g.mul_(min(1.0, 1.0 / norm))
        muon.step()
        adam.step()
        step += 1
        keep = min(options.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, p in zip(average, parameters):
                kept.lerp_(p, 1 - keep)
        for name, value in ((f"{task}_loss", loss.detach()), (f"{task}_right", right), ("norm", norm)):
            add(sums, name, value)
        if step % 50 == 0:
            row = {"step": step, "seconds": round(seconds, 1), **dict(sorted(means(sums, 4).items()))}
            sums = {}
            tell(log, row)
        if time.time() - saved_at > 120:
            keep_all()
            saved_at = time.time()
    keep_all()


@torch.no_grad()
def start_text(network):
    """Shipped weights hold zeros where no stage had trained: those parts start anew, as the network makes them."""
    new = type(network)(network.c)
    for (name, p), (_, start) in zip(network.named_parameters(), new.named_parameters()):
        if not p.any():
            p.copy_(start)


if __name__ == "__main__":
    main()
