"""The trained VQ tokenizer, put together from the two halves' checkpoints."""
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "vq"))
from vq_model import VQ  # noqa: E402


def load_vq():
    vq = VQ()
    for part in ("decoder", "encoder"):
        path = HERE.parent / "runs/vq" / f"{part}.pt"
        if path.exists():
            vq.load_state_dict(torch.load(path, weights_only=True)["model"], strict=False)
    return vq.eval()
