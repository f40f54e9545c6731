#!/usr/bin/env python3
"""Writes models/scenes in the published layout from a drawing checkpoint and the two VQ checkpoints: fp16 safetensors
under the published names, config.json, vqvae/. Tensors that no stage has trained yet are zero (the model card says so),
which costs the repository nothing."""
import argparse
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import torch  # noqa: E402
from data import Draws  # noqa: E402
from model_vq import load_vq  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from config import CONFIG  # noqa: E402
from trainee import Trainee, trained  # noqa: E402


def published(model: Trainee) -> dict:
    """fp32 tensors under the published names."""
    used = {id(p) for part in trained(model) for p in part}
    out = {}
    for name, p in model.net.named_parameters():
        out[f"model.{name}"] = p.detach().clone() if id(p) in used else torch.zeros_like(p)
    with torch.no_grad():
        out["model.gen_embedding.0.weight"] = model.table()
        out["model.gen_predictor.2.weight"] = model.head()
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=pathlib.Path, default=HERE.parent / "runs/draw/checkpoint.pt")
    parser.add_argument("--weights", default="average", choices=["average", "model"])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "models/scenes")
    options = parser.parse_args()
    draws = Draws()
    model = Trainee(torch.from_numpy(draws.table.codebook))
    if options.checkpoint.exists():
        saved = torch.load(options.checkpoint, weights_only=True)
        model.load_state_dict(saved[options.weights])
        print("step", saved["step"])
    else:
        print("no checkpoint: random weights, for tests of the layout only")
    half = {k: v.half().contiguous() for k, v in published(model).items()}
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(half, options.out / "model.safetensors", metadata={"format": "pt"})
    token = draws.tokenizer.token_to_id
    config = {**CONFIG, "torch_dtype": "float16", "mask_token_id": token("<|mdm_mask|>"),
              "eos_token_id": token("<|endoftext|>"), "pad_token_id": token("<|endoftext|>")}
    (options.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    vq = load_vq()
    (options.out / "vqvae").mkdir(exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in vq.state_dict().items()},
              options.out / "vqvae/diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    (options.out / "vqvae/config.json").write_text(json.dumps(vq.config, indent=1) + "\n")
    for file in ("model.safetensors", "vqvae/diffusion_pytorch_model.safetensors"):
        data = (options.out / file).read_bytes()
        print(file, len(data), hashlib.sha256(data).hexdigest()[:16])


if __name__ == "__main__":
    main()
