"""Philox4x32-10 in numpy, and the samplers' choice from it: the numbers of core/diffusion, so that ids can be compared.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
"""
import numpy as np

LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = 0x9E3779B9, 0xBB67AE85
# Known answers of Random123: counter, key, block.
VECTORS = (
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
)


def philox(counter, key):
    """Four words (arrays that broadcast, or numbers) and a key of two words -> four uint64 arrays of 32-bit words."""
    x0, x1, x2, x3 = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(10):
        a, b = x0 * MULTIPLIERS[0], x2 * MULTIPLIERS[1]
        x0, x1, x2, x3 = (b >> SHIFT) ^ x1 ^ np.uint64(k0), b & LOW, (a >> SHIFT) ^ x3 ^ np.uint64(k1), a & LOW
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return x0, x1, x2, x3


def check():
    """Raises unless the published vectors come out."""
    for counter, key, block in VECTORS:
        got = tuple(int(word) for word in philox(counter, key))
        if got != block:
            raise ArithmeticError(f"Philox of {counter} under {key} is {got}, not {block}")


def uniform(seed, step, positions, candidates):
    """u in (0, 1), fp64 [positions, candidates]: counter (candidate >> 2, position, step, 0), lane candidate & 3."""
    groups = np.arange((candidates + 3) // 4, dtype=np.uint64)[None, :]
    counter = groups, np.asarray(positions, np.uint64)[:, None], step, 0
    block = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
    words = np.stack(np.broadcast_arrays(*block), -1).reshape(len(positions), -1)[:, :candidates]
    return ((words >> np.uint64(9)).astype(np.float64) + 0.5) * 2.0 ** -23


def choose(logits, temperature, seed, step, positions):
    """fp32 logits [positions, candidates] -> (ids, how far each winner is ahead of the second, in logits)."""
    if temperature == 0:
        scores = logits.astype(np.float64)
    else:
        noise = -np.log(-np.log(uniform(seed, step, positions, logits.shape[1])))
        scores = logits.astype(np.float64) / temperature + noise
    best = scores.argmax(1)
    two = np.partition(scores, -2, axis=1)[:, -2:]
    return best, (two[:, 1] - two[:, 0]) * (temperature or 1)


if __name__ == "__main__":
    check()
    print("Philox4x32-10 gives the published vectors")
