"""States inside a drawing model on batches without plans, as `bind.py` reads them."""
import torch
from data import Draws
from network import rms
from trainee import Trainee


class States:
    def __init__(self, model: Trainee, draws: Draws):
        self.model, self.net, self.draws = model, model.net, draws
        self.c, self.blocks = self.net.c, self.net.transformer.blocks
        self.joint = self.c["dual_tower_layers"] + 1
        self.head, self.eps = self.c["d_model"] // self.c["n_heads"], self.c["rms_norm_eps"]

    def batches(self, start, count, prompts=32, **options):
        return [self.draws.batch(start + i, prompts, 1, planned=0.0, **options) for i in range(count)]

    def und(self, batch):
        """The und stream [P, T, d_model] before the MLP of each joint layer, of the last one before its attention."""
        streams = []
        hidden = self.net.prompt_and_hidden(batch["prompt"], batch["lengths"], streams)[2]
        return [*streams, hidden[-1]]

    def at_names(self, batch, layer):
        """(states of `und` in `layer`, normalised as that layer does; the pair of each, -1 where no name ends): all names
        and a tenth of the other places."""
        pair = torch.full((batch["prompt"].numel(),), -1)
        pair[batch["name"]] = batch["pair"]
        keep = (batch["prompt"] > 0).flatten() & ((pair >= 0) | (torch.rand(len(pair)) < 0.1))
        b = self.blocks[layer]
        norm = b.attn_norm if layer == self.joint - 1 else b.ff_norm
        return rms(self.und(batch)[layer].flatten(0, 1)[keep], norm.weight, self.eps), pair[keep]

    def gen(self, batch, layer):
        """(what the heads of gen layer `layer` bring [P, heads, cells, head], gen states that leave it [P, cells, g])."""
        ids = torch.where(batch["masked"] < 0, self.net.mask, batch["masked"])
        seen, ids = ids.unique(return_inverse=True)
        cache, bias, _ = self.net.prompt_and_hidden(batch["prompt"], batch["lengths"])
        layers = []
        tokens = self.net.gen_tokens(ids, self.model.table()[seen])
        self.net.gen_and_middle(tokens, cache, bias, batch["lengths"], 1, layers)
        return layers[layer]

    def shown(self, batches, layer):
        """As `gen`, of the cells that show a thing and a few others, [n, heads, head] and [n, g]: most show ground, and
        what is little used there is not what tints are drawn with."""
        parts = []
        for batch in batches:
            brought, states = self.gen(batch, layer)
            thing = (batch["things"] > 0) | (torch.rand(batch["things"].shape) < 0.2)
            parts.append((brought.transpose(1, 2)[thing], states[thing]))
        return (torch.cat(t) for t in zip(*parts))
