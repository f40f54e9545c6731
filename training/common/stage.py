"""What the stages have in common: rates over their time, checkpoints that a killed process cannot spoil, and logs."""
import json

import torch


def set_rates(rates, step, progress, decay):
    """(group, peak) pairs at `progress` (0-1): a warm-up of 60 steps, then falling to a hundredth over the last share
    `decay`."""
    for group, peak in rates:
        group["lr"] = peak * min(1.0, (step + 1) / 60) * min(1.0, (1 - progress) / decay + 0.01)


def save(path, state):
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def add(sums, name, value, count=1):
    """To the mean of `name` that `means` tells."""
    s = sums.setdefault(name, [0.0, 0])
    s[0] += float(value)
    s[1] += count


def means(sums, digits):
    return {name: round(total / max(count, 1), digits) for name, (total, count) in sums.items()}


def tell(log, row):
    print(json.dumps(row), flush=True)
    log.write(json.dumps(row) + "\n")
    log.flush()
