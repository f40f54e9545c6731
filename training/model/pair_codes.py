"""A fixed code for each class in each tint: the outer product of a sign word of its class and one of its tint.

What only adds class and tint up has nothing in common with a product, and this one is small enough that computing it is
cheaper than learning every pair by heart (training/README.md, "What was measured")."""
import torch
from data import CLASSES, TINTS

CLASS_BITS, TINT_BITS = 8, 6
WIDTH = CLASS_BITS * TINT_BITS


def sign_words(bits: int, count: int, seed: int, half: bool = False) -> torch.Tensor:
    """[count, bits] of -1 and 1: different words of even parity, so that any two differ in two places at least. `half`
    leaves out each word's opposite, which would make (-class, -tint) the same product as (class, tint)."""
    words = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], device="cpu")] * bits)
    words = words[(words.prod(1) > 0) & ((words[:, 0] > 0) | (not half))]
    order = torch.randperm(len(words), generator=torch.Generator(device="cpu").manual_seed(seed), device="cpu")
    return words[order[:count]]


CLASS_WORDS, TINT_WORDS = sign_words(CLASS_BITS, CLASSES, 1), sign_words(TINT_BITS, TINTS, 2, half=True)


def outer(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """[..., CLASS_BITS], [..., TINT_BITS] -> [..., WIDTH]."""
    return (left[..., :, None] * right[..., None, :]).flatten(-2)


def pair_codes() -> torch.Tensor:
    """[CLASSES * TINTS, WIDTH]."""
    return outer(CLASS_WORDS[:, None], TINT_WORDS[None]).flatten(0, 1)


def shape_codes(tables: dict, shapes: int, grounds: int) -> torch.Tensor:
    """[TINTS * shapes, WIDTH], palette-major as the VQ codes are: the codes of the classes that use a shape, by how much
    of their picture it is. `tables`: CodeTable.tables."""
    use = torch.zeros(shapes, CLASSES, device="cpu")
    for size, table in tables.items():
        for cls in range(CLASSES):
            shape = torch.from_numpy(table[cls, 0].astype("int64")).flatten()
            shape = shape[shape >= 0] - grounds
            use[:, cls].index_add_(0, shape, torch.full(shape.shape, 1 / size ** 2, device="cpu"))
    words = use / use.sum(1, keepdim=True).clamp(min=1e-9) @ CLASS_WORDS
    return outer(words[None], TINT_WORDS[:, None]).flatten(0, 1)
