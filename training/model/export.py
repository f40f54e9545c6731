#!/usr/bin/env python3
"""Writes models/scenes in the published layout: fp16 safetensors under the published names, config.json, vqvae/.

What a checkpoint trained replaces what the folder holds; tensors that no stage has trained yet are zero, which costs the
repository nothing. Two shards, so that new weights of one do not store the other again: what only drawing reads, and the
rest."""
import argparse
import hashlib
import json
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCENES = ROOT / "models/scenes"
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import torch  # noqa: E402
from config import CONFIG, PINPOINTS, VISION  # noqa: E402
from data import Draws  # noqa: E402
from folder import load_weights  # noqa: E402
from model_vq import load_vq  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from seeing import Seeing, model_of  # noqa: E402
from trainee import trained as drawn  # noqa: E402

SHARDS = [f"model-{n:05}-of-00002.safetensors" for n in (1, 2)]


@torch.no_grad()
def exported(state: dict, codebook) -> dict:
    """fp32 tensors that a checkpoint trained, under the published names: of train_draw.py what drawing reads, of the later
    stages everything."""
    model = model_of(state, codebook)
    every, used = isinstance(model, Seeing), {id(p) for part in drawn(model) for p in part}
    out = {f"model.{name}": p.detach().clone() for name, p in model.net.named_parameters() if every or id(p) in used}
    out |= {"model.gen_embedding.0.weight": model.table(), "model.gen_predictor.2.weight": model.head()}
    return out | (model.sight.published() if every else {})


def shard_of(name: str) -> str:
    return SHARDS[0] if of_drawing(name) else SHARDS[1]


def stored(value, before):
    """fp16, of which what was not trained stays as it was, to the bit, and the rest has the 8 bits of precision of bf16, as
    published weights have: that is a fifth less for the repository to keep. Numbers that fp16 holds are meant so
    (rounded_head.py)."""
    exact = torch.equal(value.half().float(), value)
    rounded = value.half() if exact else value.half().bfloat16().half()
    if before is None or before.shape != value.shape:
        return rounded.contiguous()
    return torch.where(value.half() == before.half(), before.half(), rounded).contiguous()


def of_drawing(name: str) -> bool:
    """Whether only drawing reads it, the embeddings of words aside."""
    if any(part in name for part in ("wte", "transformer.ff_out", "vision_tower", "resampler", "projector", "image_newline")):
        return False
    block = name.split(".blocks.")[1].split(".") if ".blocks." in name else ["0", "attn_norm"]
    joint = CONFIG["dual_tower_layers"]
    if "_vision" in block[1] or int(block[0]) < joint:
        return True
    return int(block[0]) == joint and block[1] in ("attn_norm", "k_proj", "v_proj")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=pathlib.Path, help="of any of the stages (default: what the folder holds)")
    parser.add_argument("--weights", default="average", choices=["average", "model"], help="which ones of it")
    parser.add_argument("--base", type=pathlib.Path, default=SCENES, help="the folder that is written anew")
    parser.add_argument("--out", type=pathlib.Path, default=SCENES)
    options = parser.parse_args()
    draws = Draws()
    weights = load_weights(options.base)
    before = dict(weights)
    if options.checkpoint:
        state = torch.load(options.checkpoint, weights_only=True)[options.weights]
        weights |= exported(state, torch.from_numpy(draws.table.codebook))
    options.out.mkdir(parents=True, exist_ok=True)
    if options.out != options.base:
        shutil.copytree(options.base, options.out, dirs_exist_ok=True)
    for old in options.out.glob("model*.safetensors*"):
        old.unlink()
    half = {name: stored(value, before.get(name)) for name, value in weights.items()}
    where = {name: shard_of(name) for name in half}
    for shard in SHARDS:
        save_file({k: v for k, v in half.items() if where[k] == shard}, options.out / shard, metadata={"format": "pt"})
        (options.out / shard).chmod(0o644)
    index = {"metadata": {"total_size": sum(v.nbytes for v in half.values())}, "weight_map": dict(sorted(where.items()))}
    (options.out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")
    token = draws.tokenizer.token_to_id
    sight = {"vision_config": VISION, "image_grid_pinpoints": PINPOINTS} if "model.image_newline" in half else {}
    config = {**CONFIG, **sight, "torch_dtype": "float16", "mask_token_id": token("<|mdm_mask|>"),
              "eos_token_id": token("<|endoftext|>"), "pad_token_id": token("<|endoftext|>")}
    (options.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    vq = load_vq()
    save_file({k: v.half().contiguous() for k, v in vq.state_dict().items()},
              options.out / "vqvae/diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    (options.out / "vqvae/config.json").write_text(json.dumps(vq.config, indent=1) + "\n")
    for file in (*SHARDS, "vqvae/diffusion_pytorch_model.safetensors"):
        data = (options.out / file).read_bytes()
        print(file, len(data), hashlib.sha256(data).hexdigest()[:16])


if __name__ == "__main__":
    main()
