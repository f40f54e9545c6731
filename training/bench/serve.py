#!/usr/bin/env python3
"""The PyTorch sides of `deno task bench draw`: one JSON request a line on stdin, one answer a line on stdout."""
import base64
import json
import pathlib
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "model")]

import philox  # noqa: E402
import torch  # noqa: E402
from folder import open_folder  # noqa: E402
from good_loop import GoodLoop  # noqa: E402
from published_loop import PublishedLoop  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

LOOPS = {}


def clock():
    return time.perf_counter(), time.process_time()


def open_(request):
    """{folder, threads, compiled} -> {torch, loops, compile_error?}. A loop that does not compile is reported, not hidden."""
    philox.check()
    torch.set_num_threads(request["threads"])
    network, vq, config = open_folder(pathlib.Path(request["folder"]))
    LOOPS["published"] = PublishedLoop(network, vq, config)
    LOOPS["good"] = GoodLoop(network, vq, config)
    answer = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    if request["compiled"]:
        LOOPS["compiled"] = GoodLoop(network, vq, config, compiled=True)
    return answer


def draw(request):
    """One picture. On the clock: what the loop does by itself, its own random draw included. Off it: the choice by the
    runtime's random numbers that replaces this draw, so that ids can be compared."""
    loop, parts = LOOPS[request["loop"]], {"prompt": 0.0, "steps": 0.0, "sampling": 0.0, "decode": 0.0}
    cpu = 0.0

    def timed(part, work):
        nonlocal cpu
        wall, spent = clock()
        value = work()
        now = clock()
        parts[part] += now[0] - wall
        cpu += now[1] - spent
        return value

    side, guidance, temperature = request["side"], request["guidance"], request["temperature"]
    rows = torch.tensor(request["rows"])
    ids = torch.full((side, side), request["mask"])
    timed("prompt", lambda: loop.prepare(rows, side * side // 4))
    order, gaps, at = torch.tensor(request["order"]), torch.zeros(side * side, dtype=torch.float64), 0
    for step, count in enumerate(request["counts"], 1):
        positions = order[at:at + count]
        at += count
        logits = timed("steps", lambda: loop.step(ids, positions))
        if request["loop"] == "published":
            timed("sampling", lambda: loop.sample(ids, positions, guidance, temperature))
        else:
            timed("sampling", lambda: loop.sample(logits, guidance, temperature))
        guided = (1 + guidance) * logits[0] - guidance * logits[1] if guidance > 0 else logits[0]
        chosen, ahead = philox.choose(guided.numpy(), temperature, request["seed"], step, positions.numpy())
        ids.view(-1)[positions] = torch.from_numpy(chosen)
        gaps[positions] = torch.from_numpy(ahead)
    pixels = timed("decode", lambda: loop.decode(ids))
    return {"seconds": sum(parts.values()), "cpu_seconds": cpu, "parts": parts, "ids": ids.flatten().tolist(),
            "gaps": gaps.tolist(), "pixels": base64.b64encode(pixels.numpy().tobytes()).decode()}


def work(request):
    """Multiply-adds of all steps of one picture, as PyTorch counts them while it runs."""
    with FlopCounterMode(display=False) as counter:
        draw(request)
    decode = FlopCounterMode(display=False)
    with decode:
        LOOPS[request["loop"]].decode(torch.zeros(request["side"], request["side"], dtype=torch.long))
    return {"multiply_adds": (counter.get_total_flops() - decode.get_total_flops()) // 2}


def gemm(request):
    """Best rate of torch.mm, multiply-adds a second, for each [m, k, n]."""
    rates = []
    for m, k, n in request["shapes"]:
        a, b, out = torch.rand(m, k), torch.rand(n, k), torch.empty(m, n)
        best = float("inf")
        for _ in range(request["repeats"]):
            start = time.perf_counter()
            torch.mm(a, b.T, out=out)
            best = min(best, time.perf_counter() - start)
        rates.append(m * k * n / best)
    return {"rates": rates}


CALLS = {"open": open_, "draw": draw, "work": work, "gemm": gemm}


@torch.inference_mode()
def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = CALLS[request["call"]](request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
