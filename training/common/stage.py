"""What the stages have in common: rates over their time, checkpoints that a killed process cannot spoil, and logs."""
import argparse
import json
import pathlib
import time

import torch
from muon import Muon


def stage_options(minutes, rate, out, init=None):
    """What every stage can be told. `out`: a folder in training/runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--rate", type=float, default=rate, help="Muon")
    parser.add_argument("--adam", type=float, default=rate, help="Adam, for tables and norms")
    parser.add_argument("--decay", type=float, default=0.5, help="share of the time over which the rates fall")
    parser.add_argument("--average", type=float, default=0.995)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init", type=pathlib.Path, default=init, help="start from the weights of this model folder, or of a checkpoint with its probes")
    parser.add_argument("--bf16", action="store_true", help="matrix products in bf16 (CPUs with AMX or AVX-512, CUDA)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[1] / "runs" / out)
    return parser


def begun(parser):
    """-> (options, device); the same random numbers follow each time."""
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    return options, "cuda" if torch.cuda.is_available() else "cpu"


class Team:
    """Parameters that are updated together: hidden matrices by Muon, the rest by Adam. A parameter may be in several teams;
    each has its own moments of it."""

    def __init__(self, parameters, rate, adam, bf16=False, until=1.0, parts=None):
        """`parameters`: (hidden matrices, the rest). `until`: the share of the stage's time at whose end the rates are 0.
        `parts`: {id of a parameter: what its gradient is multiplied by}."""
        matrices, rest = parameters
        self.parameters, self.until, self.parts = matrices + rest, until, parts or {}
        self.peaks = []  # (optimizer, rate)
        if matrices:
            self.peaks.append((Muon(matrices, rate, bf16=bf16), rate))
        if rest:
            self.peaks.append((torch.optim.Adam(rest, lr=adam, betas=(0.9, 0.95), eps=1e-10), adam))

    def state_dict(self):
        return [optimizer.state_dict() for optimizer, _ in self.peaks]

    def load_state_dict(self, states):
        for (optimizer, _), state in zip(self.peaks, states, strict=True):
            optimizer.load_state_dict(state)

    def set_rates(self, step, progress, decay):
        """At `progress` (0-1) of the stage: a warm-up of 60 steps, then falling to a hundredth over the last share `decay` of
        the team's time, and 0 behind it."""
        progress = progress / self.until if self.until else 1.0
        share = min(1.0, (step + 1) / 60) * min(1.0, (1 - progress) / decay + 0.01) if progress < 1 else 0.0
        for optimizer, peak in self.peaks:
            for group in optimizer.param_groups:
                group["lr"] = peak * share

    def take(self, grads, merged):
        """Gradients in the order of the parameters, or None -> the squared norm of their mean."""
        self.grads = [g if g is None or id(p) not in self.parts else g * self.parts[id(p)] for p, g in zip(self.parameters, grads)]
        return sum(g.pow(2).sum() for g in self.grads if g is not None) / merged ** 2

    def update(self, scale):
        """A step. Parameters without a gradient stay, momentum and all."""
        for p, g in zip(self.parameters, self.grads):
            p.grad = None if g is None else g * scale
        for optimizer, _ in self.peaks:
            optimizer.step()
        for p in self.parameters:  # another team may have it too
            p.grad = None


class Stage:
    """A model with its teams, an average of its weights, a clock and a checkpoint, from which it goes on exactly."""

    def __init__(self, model, teams, options):
        """`teams`: {name: Team}. `options`: out, minutes, decay, average."""
        self.model, self.teams, self.options, self.path = model, teams, options, options.out / "checkpoint.pt"
        self.average, self.step, self.batches, self.spent = None, 0, 0, 0.0

    def resume(self, device) -> bool:
        """From the checkpoint, if there is one."""
        if not self.path.exists():
            return False
        saved = torch.load(self.path, weights_only=True, map_location=device)
        self.model.load_state_dict(saved["model"])
        self.average = saved["average"]
        for name, team in self.teams.items():
            team.load_state_dict(saved["teams"][name])
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
        self.begun = self.saved = time.time()
        self.log = open(self.options.out / "log.jsonl", "a")

    def seconds(self) -> float:
        return self.spent + time.time() - self.begun

    def progress(self) -> float:
        return self.seconds() / (self.options.minutes * 60)

    def due(self) -> bool:
        """Whether there is time left; sets the rates of the next step."""
        progress = self.progress()
        for team in self.teams.values():
            team.set_rates(self.step, progress, self.options.decay)
        return progress < 1

    def update(self, grads, merged=1):
        """{team: sums of the gradients of `merged` batches}: a step along them, clipped at norm 1 -> the norm of their mean."""
        norm = float(sum(self.teams[name].take(each, merged) for name, each in grads.items())) ** 0.5
        for name in grads:
            self.teams[name].update(min(1.0, 1.0 / norm) / merged)
        self.step += 1
        self.batches += merged
        keep = min(self.options.average, (1 + self.step) / (10 + self.step))
        for k, v in self.model.state_dict().items():
            self.average[k].lerp_(v, 1 - keep)
        return norm

    def report(self, sums, digits) -> None:
        """After a step: tells the means of `sums` and empties it, every 50th time, and keeps a checkpoint every two minutes."""
        if self.step % 50 == 0:
            tell(self.log, {"step": self.step, "seconds": round(self.seconds(), 1), **means(sums, digits)})
            sums.clear()
        self.keep(every=120)

    def keep(self, every=0) -> None:
        """Writes the checkpoint, if the last one is `every` seconds old."""
        if time.time() - self.saved >= every:
            save(self.path, {"model": self.model.state_dict(), "average": self.average,
                             "teams": {name: team.state_dict() for name, team in self.teams.items()}, "step": self.step, "batches": self.batches, "spent": self.seconds()})
            self.saved = time.time()


def gradients(loss, teams, names):
    """{team: its parameters' gradients}; a task need not read all that its team has."""
    counts = [len(teams[name].parameters) for name in names]
    grads = iter(torch.autograd.grad(loss, [p for name in names for p in teams[name].parameters], allow_unused=True))
    return {name: [next(grads) for _ in range(count)] for name, count in zip(names, counts)}


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
