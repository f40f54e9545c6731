"""The trained VQ tokenizer: the two halves' checkpoints of this machine, or the shipped one."""
import pathlib
import sys

import torch
from safetensors.torch import load_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "vq"))
from vq_model import VQ  # noqa: E402


def load_vq():
    vq = VQ()
    halves = [HERE.parent / "runs/vq" / f"{part}.pt" for part in ("decoder", "encoder")]
    if not all(path.exists() for path in halves):
        shipped = load_file(HERE.parents[1] / "models/scenes/vqvae/diffusion_pytorch_model.safetensors")
        vq.load_state_dict({k: v.float() for k, v in shipped.items()})
    for path in halves:
        if path.exists():
            vq.load_state_dict(torch.load(path, weights_only=True)["model"], strict=False)
    return vq.eval()
