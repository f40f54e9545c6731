"""Muon for the hidden matrices: momentum, orthogonalised by a Newton-Schulz iteration, update scaled to Adam's size."""
import torch


def orthogonal(g, bf16=False, steps=5):
    x = g / (g.norm() + 1e-7)
    x = x.bfloat16() if bf16 else x
    flip = x.shape[0] > x.shape[1]
    if flip:
        x = x.T
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if flip else x).float()


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters, lr, momentum=0.95, bf16=False):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self.bf16 = bf16  # the iteration's products, which only have to come near an orthogonal matrix

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["m"] = torch.zeros_like(p)
                m = state["m"]
                m.lerp_(p.grad, 1 - group["momentum"])
                g = p.grad.lerp(m, group["momentum"])
                if g.ndim == 4 and g.shape[2:] == (2, 2):  # a 2x2 convolution of stride 2: one matrix a corner
                    update = torch.stack([orthogonal(g[:, :, i // 2, i % 2], self.bf16) for i in range(4)], -1).view_as(g)
                    scale = 0.2 * max(g.shape[:2]) ** 0.5
                elif g.ndim == 4:
                    update, scale = orthogonal(g.flatten(1), self.bf16).view_as(g), 0.2 * max(g.shape[0], g[0].numel()) ** 0.5
                else:
                    update, scale = orthogonal(g, self.bf16), 0.2 * max(g.shape) ** 0.5
                p.add_(update, alpha=-group["lr"] * scale)
