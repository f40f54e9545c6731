"""The head over the codes as numbers that int4 holds, so that a conversion keeps it as it is.

Rounded as it stood it cost more than all layers together: at 0.95 and more masked 0.067 nats of KL divergence, they 0.006.
Training leaves the two tables as they are, so nothing made up for it. Here each column's error is made up for by the columns
behind it, as GPTQ does (arXiv 2210.17323), by what drawing's states have in common; training does the rest.
"""
import torch
from four_bits import BLOCK, EXTREMES

DAMPING = 0.01


@torch.no_grad()
def round_head(model, batches):
    """Columns of like size first, which the norm before them takes on; then `rounded_head` for the states of `batches`
    (data.py)."""
    head, norm = model.head.rows, model.net.gen_predictor[1].weight
    loud = head.square().mean(0).sqrt()
    norm.mul_(loud)
    states = torch.cat([model.states(b, len(b["masked"]) // len(b["prompt"]))[0].float() for b in batches])
    model.head.take(rounded_head(head / loud, states))


def seven_bits(values):
    """Of so many significant bits that a product with -8 to 7 is exact in fp16."""
    mantissa, exponent = torch.frexp(values)
    return torch.ldexp((mantissa * 128).round(), exponent - 7)


@torch.no_grad()
def rounded_head(head, states):
    """head [codes, width], read by `states` [N, width] -> the same as int4 stores it: `rounded` (four_bits.py) changes
    nothing in it."""
    moments = states.double().T @ states.double() / len(states)
    moments += DAMPING * moments.diagonal().mean() * torch.eye(len(moments), dtype=torch.double)
    factor = torch.linalg.cholesky(torch.linalg.inv(moments), upper=True).float()
    left, out = head.clone(), torch.zeros_like(head)
    for start in range(0, head.shape[1], BLOCK):
        block = left[:, start:start + BLOCK]
        at = block.abs().argmax(1)
        scale = best_scale(block, at)
        for column in range(start, start + block.shape[1]):
            code = (left[:, column] / scale).round().clamp(-8, 7)
            code = torch.where(at == column - start, -8.0, code)  # what a conversion finds the scale by
            out[:, column] = code * scale
            error = (left[:, column] - out[:, column]) / factor[column, column]
            left[:, column + 1:] -= error[:, None] * factor[column, column + 1:]
    return out


def best_scale(block, at):
    """The better of two for each row, as four_bits.rounded takes them, of few bits. [rows]"""
    extreme, best, least = block.gather(1, at[:, None]), None, None
    for most in EXTREMES:
        scale = seven_bits(extreme / most)
        error = (block - (block / scale).round().clamp(-8, 7) * scale).square().sum(1, keepdim=True)
        best = scale if best is None else torch.where(error < least, scale, best)
        least = error if least is None else torch.minimum(error, least)
    return best[:, 0]
