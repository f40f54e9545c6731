#!/usr/bin/env python3
"""A stage's way station, small enough to be kept: what train_all.py has trained of texts and the tower, a byte a weight.

`pack.py write CHECKPOINT FILE` and `pack.py read FILE CHECKPOINT`, which train_all.py takes as `--init`. Each row has its
own scale; what drawing reads comes from models/scenes, exactly. Not what is shipped: weights that score are exported."""
import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import torch  # noqa: E402
from data import Draws  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from seeing import Seeing, projector_of, sight_of, trained  # noqa: E402
from train_all import fresh_rows  # noqa: E402


def packed(model):
    """[(name, parameter, part of it that belongs to texts or None)] in the order of the model."""
    parameters, parts = trained(model, fresh_rows(Draws(0), None, []))
    pairs = parameters["text"], parameters["writers"], sight_of(model), projector_of(model)
    known = {id(p) for pair in pairs for part in pair for p in part}
    return [(name, p, parts.get(id(p))) for name, p in model.named_parameters() if id(p) in known]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["write", "read"])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("target", type=pathlib.Path)
    options = parser.parse_args()
    model = Seeing(torch.from_numpy(Draws(0).table.codebook))
    if options.way == "write":
        model.load_state_dict(torch.load(options.source, weights_only=True)["average"])
        out = {}
        for name, p, _ in packed(model):
            rows = p.detach().flatten(1) if p.ndim > 1 else p.detach()[None]
            scale = rows.abs().amax(1).clamp(min=1e-12) / 127
            out |= {name: (rows / scale[:, None]).round().to(torch.int8).view(p.shape).contiguous(), f"{name}/scale": scale}
        save_file(out, options.target)
        print(options.target, options.target.stat().st_size)
        return
    model.take(HERE.parents[1] / "models/scenes")
    stored = load_file(options.source)
    for name, p, part in packed(model):
        value = stored[name].float() * stored[f"{name}/scale"].view(-1, *[1] * (p.ndim - 1)) if p.ndim > 1 else stored[name] * stored[f"{name}/scale"]
        p.copy_(value if part is None else torch.where(part.expand_as(p), value, p))
    torch.save({"average": model.state_dict(), "step": 0}, options.target)


if __name__ == "__main__":
    main()
