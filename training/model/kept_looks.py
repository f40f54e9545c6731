"""The heads that train_looks.py made, kept beside the code (looks.npz, half a megabyte): stages go on from them without
making them again."""
import pathlib

import numpy as np
import torch
from copying import looking_parts

PATH = pathlib.Path(__file__).resolve().parent / "looks.npz"
PROBE = ("places", "places_bias")


def rows_by_name(net):
    """{name of a parameter of `net`: bool [rows], those of the heads}."""
    names = {id(p): name for name, p in net.named_parameters()}
    return {names[id(p)]: part[:, 0] > 0 for p, part in looking_parts(net).items()}


def keep_looks(state, net):
    """`state`: weights of a `Seeing` whose network is built as `net`."""
    half = {name: state[name] for name in PROBE} | {name: state[f"net.{name}"][rows] for name, rows in rows_by_name(net).items()}
    np.savez_compressed(PATH, **{name: value.half().cpu().numpy() for name, value in half.items()})


@torch.no_grad()
def take_looks(model):
    kept = {name: torch.from_numpy(value).float() for name, value in np.load(PATH).items()}
    for name in PROBE:
        getattr(model, name).copy_(kept[name])
    for name, rows in rows_by_name(model.net).items():
        model.net.get_parameter(name)[rows] = kept[name]
