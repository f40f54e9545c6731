"""Cross-entropy over a wide vocabulary, a few rows at a time: logits, loss and both gradients of a chunk are made while
the chunk is still in the cache, and the [rows, vocabulary] matrix never exists as a whole."""
import torch


class FusedCrossEntropy(torch.autograd.Function):
    """(states [N, w], head [V, w], targets [N], weights [N]) -> (sum of weight * loss, unweighted loss [N]).

    The products run in the dtype of the states, softmax and sums in fp32. The second output has no gradient, and is that of
    the targets alone. `taught`: (states [N, w] and head of a teacher, its share): the gradient is that of a cross-entropy
    whose target is mixed from the teacher's distribution and the given target."""

    @staticmethod
    def forward(ctx, states, head, targets, weights, taught=None, rows=128):
        low = head.to(states.dtype)
        theirs, their_head, share = taught or (None, None, 0.0)
        each = torch.empty(len(states))
        grad_states = torch.empty_like(states)
        grad_head = torch.zeros(head.shape, dtype=torch.float32) if ctx.needs_input_grad[1] else None  # a fixed head needs none
        for at in range(0, len(states), rows):
            part = slice(at, at + rows)
            x, target = states[part], targets[part, None]
            logits = (x @ low.T).float()
            most = logits.amax(1, keepdim=True)
            hit = logits.gather(1, target) - most
            p = logits.sub_(most).exp_()
            total = p.sum(1, keepdim=True)
            each[part] = (total.log() - hit)[:, 0]
            p.mul_(weights[part, None] / total)
            p.scatter_add_(1, target, -weights[part, None] * (1 - share))
            if share:
                p.sub_((theirs[part] @ their_head.T).float().softmax(1).mul_(weights[part, None] * share))
            g = p.to(states.dtype)
            grad_states[part] = g @ low
            if grad_head is not None:
                grad_head += (g.T @ x).float()
        ctx.grads = grad_states, grad_head
        ctx.mark_non_differentiable(each)
        return (each * weights).sum(), each

    @staticmethod
    def backward(ctx, scale, _):
        grad_states, grad_head = ctx.grads
        return grad_states * scale.to(grad_states.dtype), None if grad_head is None else grad_head * scale, None, None, None
