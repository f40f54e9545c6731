#!/usr/bin/env python3
"""Draws the logs of the training stages: training/plots/vq.png (losses of both halves) and training/plots/draw.png
(losses by kind of position, scores of the judge), training/plots/bound.png (drawing after bind.py) and
training/plots/texts.png, from what training/runs/ holds. Stages without a log are left out.

    python3 training/plot.py
"""
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
# train_draw.py logs the loss on objects by mask ratio, from nearly all masked to less than half.
KINDS = {f"{key}_{ratio}": f"{name}, {masked} % masked"
         for key, name in (("own", "own colours"), ("tint", "tints"))
         for ratio, masked in (("0.95", "95-100"), ("0.8", "80-95"), ("0.5", "50-80"), ("0.0", "0-50"))}
KINDS |= {"ground": "ground", "layout": "probe: class in each blank cell", "said": "probe: what is said of a name"}


def rows(*parts):
    """The lines of a log, in order; a run that was resumed from an older checkpoint repeats steps: the last one counts."""
    path = HERE.joinpath("runs", *parts)
    if not path.exists():
        return []
    by_step = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        by_step = {step: kept for step, kept in by_step.items() if step < row["step"]} | {row["step"]: row}
    return list(by_step.values())


def finish(figure, name):
    (HERE / "plots").mkdir(exist_ok=True)
    figure.savefig(HERE / "plots" / name, dpi=110)
    print(f"training/plots/{name}")


def losses(axes, log, x, kinds):
    for key, label in kinds.items():
        points = [(row[x], row[key]) for row in log if row.get(key)]
        axes.plot(*zip(*points), label=label)
    axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def vq():
    logs = {"decoder": "10 x mean absolute error of the pixels", "encoder": "cross-entropy over the codes, nats"}
    found = {part: rows("vq", f"{part}.jsonl") for part in logs}
    if not any(found.values()):
        return
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for part, plot in zip(logs, axes):
        plot.set(title=f"VQ {part}", xlabel="step", ylabel=logs[part])
        if found[part]:
            losses(plot, found[part], "step", {"loss": "training loss"})
    finish(figure, "vq.png")


def draw():
    log, scores = rows("draw", "log.jsonl"), rows("draw", "scores.jsonl")
    if not log:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    left.set(title="drawing: training loss", xlabel="pictures seen", ylabel="cross-entropy, nats")
    losses(left, log, "samples", KINDS)
    right.set(title="drawing: the judge's score", xlabel="pictures seen", ylabel="share of pictures", ylim=(0, 1))
    if scores:
        seen = [row["samples"] for row in scores]
        for kind in scores[-1]["kinds"]:
            right.plot(seen, [row["kinds"][kind] for row in scores], alpha=0.5, linewidth=1, label=kind)
        right.plot(seen, [row["mean"] for row in scores], "k-o", markersize=3, label="mean of the kinds")
        right.plot(seen, [row["strict"] for row in scores], "k--o", markersize=3, label="strict")
        right.legend(fontsize=8, loc="lower right")
        right.grid(alpha=0.3)
    finish(figure, "draw.png")


def bound():
    first, second = rows("bound", "log.jsonl"), rows("mixed", "log.jsonl")
    if not first:
        return
    seen = first[-1]["samples"]
    log = first + [row | {"samples": seen + row["samples"]} for row in second]
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    left.set(title="drawing after bind.py: training loss", xlabel="pictures seen", ylabel="cross-entropy, nats")
    losses(left, log, "samples", KINDS | {"bound": "a code against its other tint, over 90 % masked"})
    right.set(title="names whose class and tint can be read as a pair", xlabel="pictures seen", ylabel="share", ylim=(0, 1.02))
    losses(right, log, "samples", {"pairs_right": "seen in training", "pairs_held_out": "held-out class-colours"})
    right.set_yscale("linear")
    for axes in (left, right):  # where mix.py took a step back
        axes.axvline(seen, color="black", linestyle=":")
    finish(figure, "bound.png")


def texts():
    log = rows("texts", "log.jsonl")
    if not log:
        return
    tasks = {"answer": "answer", "find": "find", "plan": "plan", "judge": "judge"}
    of = lambda part: {f"{task}_{part}": name for task, name in tasks.items()}
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    left.set(title="texts: training loss", xlabel="step", ylabel="cross-entropy, nats")
    losses(left, log, "step", of("loss") | {"answer_seen": "probes: what the tower sees", "find_pointing": "find: where heads look"})
    right.set(title="masked tokens whose likeliest word is right", xlabel="step", ylabel="share", ylim=(0, 1.02))
    losses(right, log, "step", of("right"))
    right.set_yscale("linear")
    finish(figure, "texts.png")


if __name__ == "__main__":
    vq()
    draw()
    bound()
    texts()
