#!/usr/bin/env python3
"""Writes test/fixtures/scenes.safetensors: what PyTorch computes from the shipped weights, for every graph of the
runtime. Tests hold each graph to these numbers within 1e-4 of their range, and VQ decodes within 1/255. The metadata
hold the SHA-256 of the weight files, so that a test can tell when the fixture is of other weights."""
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "tokenizer")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from data import Draws  # noqa: E402
from folder import load_weights, open_folder  # noqa: E402
from four_bits import in_four_bits  # noqa: E402
from picture_fixture import logits as picture_logits  # noqa: E402
from records import IMAGE_TOKENS, Records  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from scenes import KINDS  # noqa: E402
import templates  # noqa: E402
from templates import draw_prompt_ids, unconditional_ids  # noqa: E402
from sight import Sight  # noqa: E402
from understanding import attention_bias, embed, text_states  # noqa: E402

CAPTION = "a photo of a red car and a blue dog"
SCENES = ROOT / "models/scenes"


def weight_hashes() -> dict[str, str]:
    files = sorted(SCENES.rglob("*.safetensors"))
    return {f"sha256 {f.relative_to(SCENES)}": hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


QUESTION, EXPRESSIONS, INSTRUCTION = "What color is the car?", ["the dog", "the car"], "make the car blue"
REFUSED = "The dog is missing."
EVERY = 16  # of drawn logits each 16th code's, so that the file stays small


@torch.no_grad()
def understanding(network, picture) -> dict:
    """What is seen, answered and found in a picture uint8 [height, width, 3]."""
    records = Records(5)
    sight = Sight()
    sight.take(load_weights())
    ids = templates.encode(records.tokenizer, templates.chat(f"<image>\n {QUESTION}"), IMAGE_TOKENS)
    whole = torch.tensor([ids + records.tokenizer.encode("red", add_special_tokens=False).ids[:1] + [records.mask] * 15])
    found = torch.tensor([templates.encode(records.tokenizer, templates.ground_list_text(EXPRESSIONS), IMAGE_TOKENS)])
    out = {"sight/tokens": sight(picture[None])[0], "sight/single": sight.single(picture[None])[0]}
    first = records.tokenizer.token_to_id("<LOC_0>")
    for name, row, prompt in (("answer", whole, len(ids)), ("find", found, found.shape[1])):
        bias = attention_bias(torch.tensor([prompt]), torch.tensor([row.shape[1]]), row.shape[1])
        asked = (row[0] == records.mask).nonzero().flatten()
        states = text_states(network, embed(network, row, sight(picture[None])), bias, asked)
        logits = states @ network.transformer.ff_out.weight.T
        out |= {f"{name}/ids": row.int(), f"{name}/prompt": torch.tensor([prompt]).int(), f"{name}/asked": asked.int(),
                f"{name}/logits": logits if name == "answer" else logits[:, first:first + templates.LOC_TOKENS].contiguous()}
    return out


@torch.no_grad()
def pictured(network, tokenizer, picture, source) -> dict:
    """What is drawn after prompts that hold a picture uint8 [height, width, 3]: as an edit of it, whose VQ ids are `source`
    [16, 16], in rows full, enc and un; and after feedback on it, conditional and unconditional."""
    sight = Sight()
    sight.take(load_weights())
    rng, token = np.random.default_rng(13), tokenizer.token_to_id(templates.SOURCE)
    ids = source.clone()
    ids[torch.from_numpy(rng.random((16, 16)) < 0.6)] = network.mask
    positions = torch.from_numpy(rng.permutation(256)[:9].copy()).sort().values
    features, single = sight(picture[None]), sight.single(picture[None])
    full = templates.edit_prompt_ids(tokenizer, INSTRUCTION, features.shape[1], source.numel() // 4)
    rows = [full, templates.edit_known_ids(tokenizer, full, 0), templates.unconditional_ids(tokenizer, full)]
    after = templates.draw_prompt_ids(tokenizer, CAPTION, "", "", [REFUSED], single.shape[1])
    out = {"pictured/source": source.int(), "pictured/ids": ids.int(), "pictured/positions": positions.int()}
    for name, each, seen, shown in (("edit", rows, features, source),
                                    ("feedback", [after, templates.unconditional_ids(tokenizer, after)], single, None)):
        count = sum(templates.PICTURE in row for row in each)
        logits = picture_logits(network, each, seen.repeat(count, 1, 1), shown, token, ids, positions)
        out[f"{name}/logits"] = logits[..., ::EVERY].contiguous()
    return out


def drawn(network, cache, bias, lengths, ids, positions):
    """Logits at `positions` of the grid `ids` [16, 16] for both rows of the prompt, of each 16th code: [2, positions, codes]."""
    y, x = positions // 16, positions % 16
    tokens = network.gen_tokens(ids.expand(2, -1, -1), network.gen_embedding[0].weight)
    state = network.gen(tokens, cache, bias, lengths, 1)
    cell = torch.cat([y // 2 * 8 + x // 2 + 64 * r for r in (0, 1)])
    logits = network.heads(state, cell, (y % 2 * 2 + x % 2).repeat(2), network.gen_predictor[2].weight)
    return logits.view(2, len(positions), -1)[..., ::EVERY].contiguous()


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    network, vq, config = open_folder()
    draws, rng = Draws(), np.random.default_rng(11)
    out = {}
    row = draw_prompt_ids(draws.tokenizer, CAPTION)
    rows = torch.tensor([row, unconditional_ids(draws.tokenizer, row)])
    lengths = torch.tensor([len(row)] * 2)
    cache, bias = network.prompt(rows, lengths)
    out["prompt/ids"] = rows.int()
    for layer, (k, v) in enumerate(cache):  # [rows, heads, tokens, head]
        out[f"prompt/key_{layer}"], out[f"prompt/value_{layer}"] = k.contiguous(), v.contiguous()
    table = network.gen_embedding[0].weight
    pick = torch.tensor([0, 5, 8, 900, 1599, 1600, 3333, config["vq_codes"] - 1, network.mask])
    out["fold/rows"], out["fold/corners"] = pick.int(), network.corner_tables(table[pick]).contiguous()
    scenes = [draws.world.prompt_and_maker(rng, kind)[1]() for kind in KINDS]
    grids = np.stack([draws.table.ids(scene) for scene in scenes]).astype(np.int64)
    for name, share in (("blank", 1.0), ("half", 0.5), ("late", 0.1)):
        ids = torch.from_numpy(grids[5]).clone()
        ids[torch.from_numpy(rng.random((16, 16)) < share)] = network.mask
        masked = (ids.flatten() == network.mask).nonzero().flatten()
        positions = masked[torch.from_numpy(rng.permutation(len(masked))[:7])].sort().values
        out[f"draw_{name}/ids"], out[f"draw_{name}/positions"] = ids.int(), positions.int()
        out[f"draw_{name}/logits"] = drawn(network, cache, bias, lengths, ids, positions)
        if name == "half":
            with in_four_bits(network):
                out["rounded/logits"] = drawn(network, *network.prompt(rows, lengths), lengths, ids, positions)
    for i in (2, 5):
        pixels = vq.decode(torch.from_numpy(grids[i])[None])[0]
        out[f"decode_{i}/ids"] = torch.from_numpy(grids[i]).int()
        out[f"decode_{i}/pixels"] = (pixels.clamp(0, 1) * 255).byte().contiguous()  # [3, height, width]
        picture = draws.world.render(scenes[i])
        z = vq.latent(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
        out[f"encode_{i}/picture"] = torch.from_numpy(picture)  # [height, width, 3]
        out[f"encode_{i}/latent"] = z[0].contiguous()
        distance = vq.distances(z)
        out[f"encode_{i}/ids"] = distance.argmin(1).view(16, 16).int()
        two = distance.topk(2, 1, largest=False).values
        out[f"encode_{i}/gap"] = (two[:, 1] - two[:, 0]).view(16, 16)
    if "vision_config" in config:
        picture = torch.from_numpy(draws.world.render(scenes[5]))
        out |= {"sight/picture": picture, **understanding(network, picture)}
        out |= pictured(network, draws.tokenizer, picture, torch.from_numpy(grids[5]))
    path = ROOT / "test/fixtures/scenes.safetensors"
    told = {"question": QUESTION, "expressions": EXPRESSIONS, "instruction": INSTRUCTION, "refused": REFUSED, "every": EVERY}
    save_file(out, path, metadata={"caption": CAPTION, "told": json.dumps(told), "made_by": "training/model/fixtures.py"} | weight_hashes())
    print(json.dumps({k: list(v.shape) for k, v in out.items()}), path.stat().st_size)


if __name__ == "__main__":
    main()
