"""Draws with a checkpoint in PyTorch and lets the judge score it: `sample.py CHECKPOINT`. For watching a training run;
the figures that count come from `deno task eval`, through the runtime."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import random  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from data import Draws  # noqa: E402
from four_bits import in_four_bits  # noqa: E402
from model_vq import load_vq  # noqa: E402
from templates import draw_prompt_ids, unconditional_ids  # noqa: E402
from seeing import model_of  # noqa: E402


def stratified(n, seed=42):
    """Facts 6.3."""
    rng, order, blocks, side = random.Random(seed), [], [(0, 0)], n
    while side > 1:
        half = side // 2
        children = [(y + dy, x + dx) for y, x in blocks for dy, dx in ((0, 0), (0, half), (half, 0), (half, half))]
        rng.shuffle(children)
        taken = {(i // n // half, i % n // half) for i in order}
        for y, x in children:
            if (y // half, x // half) not in taken:
                px = rng.randint(x, x + half - 1)
                py = rng.randint(y, y + half - 1)
                order.append(py * n + px)
        blocks, side = children, half
    return order


def schedule(n, steps, shift=5.0):
    t = np.arange(steps + 1, dtype=np.float32) / steps
    k = np.floor(shift * t / (1 + (shift - 1) * t) * n).astype(int)
    counts = np.maximum(1, np.diff(k))
    i = 0
    while counts.sum() > n:
        if counts[i % steps] > 1:
            counts[i % steps] -= 1
        i += 1
    return counts[::-1].tolist()


@torch.no_grad()
def draw(model, draws, captions, steps=20, w=0.5, temperature=1.0, order="stratified", seed=0, batch=48):
    generator, out, net = torch.Generator().manual_seed(seed), [], model.net
    table, head = model.table(), model.head()
    permutation, counts = stratified(16), schedule(256, steps)
    for start in range(0, len(captions), batch):
        rows = [draw_prompt_ids(draws.tokenizer, c) for c in captions[start:start + batch]]
        lengths = torch.tensor([len(r) for r in rows])
        ids = torch.zeros(2, len(rows), int(lengths.max()), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[0, i, :len(row)] = torch.tensor(row)
            ids[1, i, :len(row)] = torch.tensor(unconditional_ids(draws.tokenizer, row))
        two = torch.cat([lengths, lengths])
        cache, bias = net.prompt(ids.flatten(0, 1), two)
        state, at = torch.full((len(rows), 256), net.mask), 0
        for n in counts:
            seen, known = state.view(-1, 16, 16).repeat(2, 1, 1).unique(return_inverse=True)
            hidden = net.gen(net.gen_tokens(known, table[seen]), cache, bias, two, 1)
            if order == "stratified":
                positions = torch.tensor(permutation[at:at + n]).expand(len(rows), -1)
            else:
                positions = torch.arange(256).expand(len(rows), -1)
            y, x = positions // 16, positions % 16
            cell = torch.arange(len(rows))[:, None] * 64 + y // 2 * 8 + x // 2
            corner = (y % 2 * 2 + x % 2).flatten()
            c = net.heads(hidden[:len(rows)], cell.flatten(), corner, head)
            u = net.heads(hidden[len(rows):], cell.flatten(), corner, head)
            logits = ((1 + w) * c - w * u) / temperature
            noise = -torch.log(-torch.log(torch.rand(logits.shape, generator=generator).clamp(1e-9, 1 - 1e-9)))
            pick = (logits + noise).argmax(-1).view(positions.shape)
            if order == "confidence":
                p = logits.log_softmax(-1).gather(1, pick.flatten()[:, None]).view(positions.shape)
                p = p.masked_fill(state != net.mask, -1e9)
                positions = p.topk(n, 1).indices
                pick = pick.gather(1, positions)
            state.scatter_(1, positions, pick)
            at += n
        out.append(state)
    return torch.cat(out).view(-1, 16, 16)


def prompts(draws, per_kind, seed=0):
    known = set(draws.world.names)
    records = [json.loads(line) for line in open(ROOT / "bench/geneval/evaluation_metadata.jsonl")]
    records = [r for r in records if all(e["class"] in known for e in r["include"])]
    rng = random.Random(seed)
    kinds = sorted({r["tag"] for r in records})
    return [r for k in kinds for r in rng.sample([r for r in records if r["tag"] == k], per_kind)]


def judge(pictures, records):
    with tempfile.TemporaryDirectory() as folder:
        pictures.tofile(pathlib.Path(folder) / "pictures.u8")
        (pathlib.Path(folder) / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        line = subprocess.run(["deno", "run", "--allow-read", "--allow-env=IMAGESCRIPT_WASM_SIMD", str(ROOT / "bench/scenes/judge_cli.ts"), folder],
                              capture_output=True, text=True, check=True).stdout
    return json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--per-kind", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--w", type=float, default=0.5)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--order", default="stratified")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", default="average", choices=["average", "model"])
    parser.add_argument("--int4", action="store_true", help="weights as int4 rounds them")
    parser.add_argument("--sheet", type=pathlib.Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    draws = Draws()
    saved = torch.load(options.checkpoint, weights_only=True)
    model = model_of(saved[options.weights], torch.from_numpy(draws.table.codebook))
    records = prompts(draws, options.per_kind)
    with in_four_bits(model.net, options.int4):
        ids = draw(model, draws, [r["prompt"] for r in records], options.steps, options.w, options.temperature, options.order)
    vq = load_vq()
    with torch.no_grad():
        pixels = torch.cat([vq.decode(part) for part in ids.split(8)])
    pictures = (pixels.clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    result = judge(pictures, records)
    if options.sheet:
        from PIL import Image
        rows = [np.concatenate(list(pictures[i::options.per_kind][:6]), 1) for i in range(min(4, options.per_kind))]
        Image.fromarray(np.concatenate(rows)).save(options.sheet)
    print(json.dumps({"step": saved["step"], "w": options.w, "order": options.order, "steps": options.steps, "int4": options.int4,
                      "mean": result["mean"], "strict": result["strict"], "kinds": result["kinds"]}))


if __name__ == "__main__":
    main()
