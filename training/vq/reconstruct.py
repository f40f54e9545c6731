#!/usr/bin/env python3
"""The judge's word on the VQ tokenizer, before anything is trained on it: 1,000 scenes as pixels, through the code
table and the decoder, and through encoder and decoder. `reconstruct.py [--n 1000] [--held-out]`."""
import argparse
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "world"), str(HERE.parent / "model")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from codes import CodeTable  # noqa: E402
from model_vq import load_vq  # noqa: E402
from sample import judge  # noqa: E402
from scenes import KINDS, World  # noqa: E402


def metadata(world, kind, prompt, scene):
    """GenEval's record of a scene that was drawn for a prompt of that kind."""
    name = lambda t: world.names[t.cls]
    include = []
    for t in scene.things:
        entry = {"class": name(t), "count": 1}
        if t.color:
            entry["color"] = world.colors[t.color - 1]
        include.append(entry)
    record = {"tag": kind, "include": include, "prompt": prompt}
    if kind == "counting":
        record["include"] = [{"class": name(scene.things[0]), "count": len(scene.things)}]
        record["exclude"] = [{"class": name(scene.things[0]), "count": len(scene.things) + 1}]
    if kind == "position":
        a, b = include
        relation = next(r for r in world.data["relations"] if f" {r} " in prompt)
        record["include"] = [b, {**a, "position": [relation, 0]}]
    return record


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--held-out", action="store_true", help="colours: held-out class-colours only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    world, table, vq = World(), CodeTable(), load_vq()
    rng = np.random.default_rng(99)
    if options.held_out:
        world.pick_color = lambda r, cls: (lambda own: own[int(r.integers(len(own)))] if own else 1)(
            [c for k, c in sorted(world.held_colors) if k == cls])
    truth, records, grids = [], [], []
    for i in range(options.n):
        kind = KINDS[i % 6] if not options.held_out else "colors"
        prompt, make = world.prompt_and_maker(rng, kind)
        scene = make()
        truth.append(world.render(scene))
        records.append(metadata(world, kind, prompt, scene))
        grids.append(table.ids(scene))
    truth = np.stack(truth)
    ids = torch.from_numpy(np.stack(grids).astype(np.int64))
    x = torch.from_numpy(truth).permute(0, 3, 1, 2).float() / 255
    coded = torch.cat([vq.encode(p) for p in x.split(8)])
    report = {"n": options.n, "encoder_agrees": round(float((coded == ids).float().mean()), 4)}
    things = ids >= 8
    report["encoder_agrees_on_objects"] = round(float((coded == ids)[things].float().mean()), 4)
    for name, pixels in (("exact", None), ("table_decode", ids), ("encode_decode", coded)):
        if pixels is None:
            pictures = truth
        else:
            out = torch.cat([vq.decode(p) for p in pixels.split(8)]).clamp(0, 1)
            report[name + "_db"] = round(float(-10 * torch.log10(((out - x) ** 2).mean((1, 2, 3))).mean()), 2)
            pictures = (out * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
        result = judge(pictures, records)
        report[name] = {"mean": round(result["mean"], 4), "strict": round(result["strict"], 4),
                        "kinds": {k: round(v, 3) for k, v in result["kinds"].items()}}
        wrong = [r["reason"] for r in result["results"] if not r["strict"]]
        report[name]["wrong"] = wrong[:6]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
