"""What the stages have in common: rates over their time, checkpoints that a killed process cannot spoil, and logs."""
import json
import time

import torch
from muon import Muon


class Stage:
    """A model with its optimizers, an average of its weights, a clock and a checkpoint, from which it goes on exactly."""

    def __init__(self, model, parameters, options):
        """`parameters`: (hidden matrices for Muon, the rest for Adam). `options`: out, minutes, rate, adam, decay, average,
        bf16."""
        self.model, self.options, self.path = model, options, options.out / "checkpoint.pt"
        matrices, rest = parameters
        self.parameters = matrices + rest
        self.muon = Muon(matrices, options.rate, bf16=options.bf16)
        self.adam = torch.optim.Adam(rest, lr=options.adam, betas=(0.9, 0.95), eps=1e-10)
        self.average, self.step, self.batches, self.spent = None, 0, 0, 0.0

    def resume(self, device) -> bool:
        """From the checkpoint, if there is one."""
        if not self.path.exists():
            return False
        saved = torch.load(self.path, weights_only=True, map_location=device)
        self.model.load_state_dict(saved["model"])
        self.average = saved["average"]
        self.muon.load_state_dict(saved["muon"])
        self.adam.load_state_dict(saved["adam"])
        self.step, self.batches, self.spent = saved["step"], saved["batches"], saved["spent"]
        return True

    def start(self, init, device) -> None:
        """From the weights of a model folder, or of a checkpoint with its probes; None: as the model was made."""
        if init and init.is_file():
            known, own = torch.load(init, weights_only=True, map_location=device)["average"], self.model.state_dict()
            self.model.load_state_dict({k: v for k, v in known.items() if k in own and v.shape == own[k].shape}, strict=False)
        elif init:
            self.model.take(init)

    def begin(self) -> None:
        """The clock runs from here on."""
        if self.average is None:
            self.average = {k: v.clone() for k, v in self.model.state_dict().items()}
        # Only now: loading an optimizer's state replaces its groups.
        peaks = (self.muon, self.options.rate), (self.adam, self.options.adam)
        self.rates = [(group, peak) for optimizer, peak in peaks for group in optimizer.param_groups]
        self.begun = self.saved = time.time()
        self.log = open(self.options.out / "log.jsonl", "a")

    def seconds(self) -> float:
        return self.spent + time.time() - self.begun

    def due(self) -> bool:
        """Whether there is time left; sets the rates of the next step."""
        progress = self.seconds() / (self.options.minutes * 60)
        set_rates(self.rates, self.step, progress, self.options.decay)
        return progress < 1

    def update(self, grads, merged=1):
        """A step along the sum of the gradients of `merged` batches, clipped at norm 1 -> the norm of their mean. None for
        parameters that had no part in them: those stay, momentum and all."""
        norm = torch.sqrt(sum(g.pow(2).sum() for g in grads if g is not None)) / merged
        scale = min(1.0, 1.0 / float(norm)) / merged
        for p, g in zip(self.parameters, grads):
            p.grad = None if g is None else g.mul_(scale)
        self.muon.step()
        self.adam.step()
        self.step += 1
        self.batches += merged
        keep = min(self.options.average, (1 + self.step) / (10 + self.step))
        for k, v in self.model.state_dict().items():
            self.average[k].lerp_(v, 1 - keep)
        return norm

    def keep(self, every=0) -> None:
        """Writes the checkpoint, if the last one is `every` seconds old."""
        if time.time() - self.saved >= every:
            save(self.path, {"model": self.model.state_dict(), "average": self.average, "muon": self.muon.state_dict(),
                             "adam": self.adam.state_dict(), "step": self.step, "batches": self.batches, "spent": self.seconds()})
            self.saved = time.time()


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
