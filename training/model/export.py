#!/usr/bin/env python3
"""Writes models/scenes in the published layout: fp16 safetensors under the published names, config.json, vqvae/.

What a checkpoint trained replaces what the folder holds; tensors that no stage has trained yet are zero (the model card
says so), which costs the repository nothing. Two shards: all that only drawing reads, and the rest, so that new weights
of one do not store the other again."""
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
from folder import load_weights, network_of  # noqa: E402
from model_vq import load_vq  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from trainee import Trainee  # noqa: E402
from trainee import trained as drawn  # noqa: E402
from understanding import Sight, Understanding  # noqa: E402
from understanding import trained as understood  # noqa: E402

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def drawing(model: Trainee) -> dict:
    """fp32 tensors that a drawing checkpoint trained, under the published names."""
    used = {id(p) for part in drawn(model) for p in part}
    out = {f"model.{name}": p.detach().clone() for name, p in model.net.named_parameters() if id(p) in used}
    with torch.no_grad():
        out["model.gen_embedding.0.weight"] = model.table()
        out["model.gen_predictor.2.weight"] = model.head()
    return out


def understanding(weights: dict, averages: list) -> dict:
    """`weights` with what an understanding checkpoint trained on top of them; only what drawing does not read changes."""
    model = Understanding(network_of(weights, CONFIG), Sight())
    matrices, rest, _ = understood(model, torch.ones(CONFIG["embedding_size"], dtype=torch.bool))
    for p, value in zip(matrices + rest, averages):
        p.data.copy_(value)
    return weights | {f"model.{k}": p.detach().clone() for k, p in model.net.named_parameters()} | model.sight.published()


def of_drawing(name: str) -> bool:
    """Whether the first shard holds it: what `understanding` trains is in the second, with the embeddings of all words."""
    if any(part in name for part in ("wte", "transformer.ff_out", "vision_tower", "resampler", "projector", "image_newline")):
        return False
    block = name.split(".blocks.")[1].split(".") if ".blocks." in name else ["0", "attn_norm"]
    joint = CONFIG["dual_tower_layers"]
    if "_vision" in block[1] or int(block[0]) < joint:
        return True
    return int(block[0]) == joint and block[1] in ("attn_norm", "k_proj", "v_proj")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draw", type=pathlib.Path, help="a checkpoint of train_draw.py or train_edit.py (default: what the folder holds)")
    parser.add_argument("--understand", type=pathlib.Path, help="an understanding checkpoint, trained on top of this drawing")
    parser.add_argument("--weights", default="average", choices=["average", "model"], help="which ones of --draw")
    parser.add_argument("--base", type=pathlib.Path, default=SCENES, help="the folder that is written anew")
    parser.add_argument("--out", type=pathlib.Path, default=SCENES)
    options = parser.parse_args()
    draws = Draws()
    weights = load_weights(options.base)
    if options.draw:
        model = Trainee(torch.from_numpy(draws.table.codebook))
        saved = torch.load(options.draw, weights_only=True)
        model.load_state_dict(saved[options.weights], strict=False)
        weights |= drawing(model)
        seen = {k.removeprefix("sight."): v for k, v in saved[options.weights].items() if k.startswith("sight.")}
        if seen:  # train_edit.py trains the tower too
            sight = Sight()
            sight.load_state_dict(seen)
            weights |= sight.published()
    if options.understand:
        weights = understanding(weights, torch.load(options.understand, weights_only=True)["average"])
    options.out.mkdir(parents=True, exist_ok=True)
    if options.out != options.base:
        shutil.copytree(options.base, options.out, dirs_exist_ok=True)
    for old in options.out.glob("model*.safetensors*"):
        old.unlink()
    half = {name: value.half().contiguous() for name, value in weights.items()}
    where = {name: SHARDS[0] if of_drawing(name) else SHARDS[1] for name in half}
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
