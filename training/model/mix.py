#!/usr/bin/env python3
"""Weights between those of two checkpoints of one training: `mix.py FROM TO --share 0.55 --out MIXED`.

A checkpoint and what was trained on from it lie in one valley: between them the loss is lower than at either end, for
what the first does well as for what the second has learned (training/README.md). Probes are TO's: they fit no other
states. The result is a checkpoint for `train_draw.py --init` and `export.py --draw`.
"""
import argparse
import pathlib

import torch

PROBES = ("layout", "said", "pairs")


def mixed(start: dict, end: dict, share: float) -> dict:
    """`start` + `share` * (`end` - `start`), tensor by tensor."""
    if start.keys() != end.keys():
        raise ValueError(f"only one of the checkpoints has {sorted(start.keys() ^ end.keys())}")
    return {name: value if name.startswith(PROBES) else start[name].lerp(value, share) for name, value in end.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("start", type=pathlib.Path)
    parser.add_argument("end", type=pathlib.Path)
    parser.add_argument("--share", type=float, required=True, help="of the way, 0 to 1")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    start, end = (torch.load(path, weights_only=True, map_location="cpu")["average"] for path in (options.start, options.end))
    torch.save({"average": mixed(start, end, options.share), "step": 0}, options.out)


if __name__ == "__main__":
    main()
