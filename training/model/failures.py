#!/usr/bin/env python3
"""Draws prompts of seen combinations with models/scenes, lets the exact judge look, and puts its verdicts into words:
what the model's own judge is trained on beside constructed mistakes. `failures.py --n 960`, resumed by `--seed`."""
import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from data import Draws  # noqa: E402
from model_vq import load_vq  # noqa: E402
from sample import draw, judge  # noqa: E402
from scenes import Thing  # noqa: E402
from tasks import LANGUAGE, Tasks  # noqa: E402
from verdicts import verdict  # noqa: E402
from trainee import Trainee  # noqa: E402


def include(world, kind, caption, things):
    """GenEval's record of a prompt."""
    color = lambda t: {"color": world.colors[t.color - 1]} if kind in ("colors", "color_attr") else {}
    if kind == "counting":
        entries = [{"class": world.names[things[0].cls], "count": len(things)}]
        return {"tag": kind, "prompt": caption, "include": entries, "exclude": [entries[0] | {"count": len(things) + 1}]}
    entries = [{"class": world.names[t.cls], "count": 1} | color(t) for t in things]
    if kind == "position":
        relation = next(r for r in world.data["relations"] if f" {r} " in caption)
        entries = [entries[1], entries[0] | {"position": [relation, 0]}]
    return {"tag": kind, "prompt": caption, "include": entries}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=960)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=0.9, help="above the default, for more that is wrong")
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parent / "runs/failures.pt")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    draws, vq = Draws(), load_vq()
    tasks = Tasks(draws.world)
    model = Trainee(torch.from_numpy(draws.table.codebook))
    model.take(HERE.parents[1] / "models/scenes")
    rng = np.random.default_rng([options.seed, 7])
    known = torch.load(options.out, weights_only=False) if options.out.exists() else []
    while options.n > 0:
        count = min(48, options.n)
        options.n -= count
        asked = [tasks.prompted(rng) for _ in range(count)]
        with torch.autocast("cpu", torch.bfloat16):
            ids = draw(model, draws, [caption for _, caption, _ in asked], options.steps, 0.5, options.temperature, seed=int(rng.integers(1 << 31)))
        with torch.no_grad():
            pixels = torch.cat([vq.decode(part) for part in ids.split(8)])
        pictures = (pixels.clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
        judged = judge(pictures, [include(draws.world, kind, caption, s.things) for kind, caption, s in asked])["results"]
        for (kind, caption, scene), picture, found in zip(asked, pictures, judged):
            said = verdict(tasks, kind, caption, scene.things, [Thing(*t) for t in found["things"]])
            if said == LANGUAGE["verdict"]["correct"] and not found["strict"]:
                said = LANGUAGE["verdict"]["broken"]
            known.append((caption, said, picture))
        torch.save(known, options.out)
        wrong = sum(said != LANGUAGE["verdict"]["correct"] for _, said, _ in known)
        print(len(known), "pictures,", wrong, "wrong", flush=True)


if __name__ == "__main__":
    main()
