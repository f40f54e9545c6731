#!/usr/bin/env python3
"""Writes test/fixtures/pictures.safetensors: what PyTorch computes for prompts with pictures in them, in a small model
whose weights follow from their names (test/core/model/small_model.ts makes the same ones)."""
import hashlib
import json
import math
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "tokenizer")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import templates  # noqa: E402
from network import Network  # noqa: E402
from picture_prompt import picture_prompt, sides  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from sight import Sight  # noqa: E402
from understanding import embed  # noqa: E402

CONFIG = {
    "d_model": 64, "d_model_gen": 32, "n_heads": 2, "n_layers": 5, "dual_tower_layers": 1, "mlp_hidden_size": 96,
    "mlp_hidden_size_gen": 64, "vocab_size": 2466, "rope_theta": 100.0, "rms_norm_eps": 1e-5, "vq_codes": 40,
    "prompt_attention": "prefix", "native_resolution": 128, "max_sequence_length": 512, "tokenizer_model_max_length": 512,
    "vision_config": {"image_size": 28, "patch_size": 7, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
                      "num_attention_heads": 2, "layer_norm_eps": 1e-6},
    "image_grid_pinpoints": [[28, 28]],
}
SIDE = 8  # VQ ids along a side
INSTRUCTION, CAPTION = "make the car red and remove the dog", "a photo of a red car and a blue dog"
REFUSED = ["The dog is missing.", "The car should be red but it is blue."]


def numbers(name: str, shape) -> torch.Tensor:
    """As `randomWeights` of small_model.ts."""
    state, count = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little"), math.prod(shape)
    out = np.empty(count)
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state / 2 ** 31 - 1
    if len(shape) == 1:
        out = out / 10 if name.endswith("bias") else 1 + out / 4
    else:
        out = out * 1.7 / math.sqrt(count / shape[0])
    return torch.from_numpy(out.astype(np.float32)).view(*shape)


def logits(net, rows, features, source, source_token, ids, positions):
    """Logits [rows, positions, codes] at `positions` of the grid `ids`, after the prompts `rows`."""
    table, head = net.gen_embedding[0].weight, net.gen_predictor[2].weight
    lengths = torch.tensor([len(row) for row in rows])
    b = sides(rows, source_token)
    of_source = None
    if source is not None:
        of_source = (net.gen_tokens(source.expand(len(rows), -1, -1), table), b["source_places"], b["shown"])
    cache, bias, split = picture_prompt(net, embed(net, b["ids"], features), b["places"], b["real"], of_source)
    side = ids.shape[-1]
    states, _ = net.gen_and_middle(net.gen_tokens(ids.expand(len(rows), -1, -1), table), cache, bias, lengths, 1, split=split)
    y, x = positions // side, positions % side
    at = y // 2 * (side // 2) + x // 2
    cell = torch.cat([row * side ** 2 // 4 + at for row in range(len(rows))])
    return net.heads(states, cell, (y % 2 * 2 + x % 2).repeat(len(rows)), head).view(len(rows), len(positions), -1)


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(ROOT / "models/scenes/tokenizer.json"))
    net, sight = Network(CONFIG), Sight(CONFIG["vision_config"], CONFIG["d_model"])
    for name, p in net.named_parameters():
        p.copy_(numbers(f"model.{name}", p.shape))
    sight.take({name: numbers(name, p.shape) for name, p in sight.published().items()})
    rng = np.random.default_rng(31)
    pictures = torch.from_numpy(rng.integers(0, 256, (2, 28, 28, 3), dtype=np.uint8))
    grid = lambda: torch.from_numpy(rng.integers(0, CONFIG["vq_codes"], (SIDE, SIDE)))
    source, ids = grid(), grid()
    ids[torch.from_numpy(rng.random((SIDE, SIDE)) < 0.6)] = net.mask
    positions = torch.from_numpy(rng.permutation(SIDE ** 2)[:9].copy()).sort().values
    out = {"pictures": pictures, "source": source.int(), "ids": ids.int(), "positions": positions.int()}

    features, token = sight(pictures[:1]), tokenizer.token_to_id(templates.SOURCE)
    full = templates.edit_prompt_ids(tokenizer, INSTRUCTION, features.shape[1], source.numel() // 4)
    un = templates.unconditional_ids(tokenizer, full)
    for mode in range(4):
        enc = templates.edit_known_ids(tokenizer, full, mode)
        seen = features.repeat(2 if mode in (1, 3) else 1, 1, 1)  # by the rows that show the picture
        out[f"edit_{mode}"] = logits(net, [full, enc, un], seen, source, token, ids, positions)

    single = sight.single(pictures)
    row = templates.draw_prompt_ids(tokenizer, CAPTION, "", "", REFUSED, single.shape[1])
    rows = [row, templates.unconditional_ids(tokenizer, row)]
    out["feedback"] = logits(net, rows, single, None, token, ids, positions)
    path = ROOT / "test/fixtures/pictures.safetensors"
    told = {"config": CONFIG, "instruction": INSTRUCTION, "caption": CAPTION, "refused": REFUSED}
    save_file(out, path, metadata={"told": json.dumps(told)})  # one key: of several the order changes
    print(json.dumps({name: list(value.shape) for name, value in out.items()}), path.stat().st_size)


if __name__ == "__main__":
    main()
