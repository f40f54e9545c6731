"""The trained VQ tokenizer, put together from the two halves' checkpoints."""
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent


def load_vq():
    import importlib.util
    spec = importlib.util.spec_from_file_location("vq_model", HERE.parent / "vq/model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vq = module.VQ()
    for part in ("decoder", "encoder"):
        path = HERE.parent / "runs/vq" / f"{part}.pt"
        if path.exists():
            vq.load_state_dict(torch.load(path, weights_only=True)["model"], strict=False)
    return vq.eval()
