"""States inside a drawing model on batches without plans, as `bind.py` reads them."""
import torch
import torch.nn.functional as F
from data import Draws
from network import attention, rms, rope_table, rotate
from trainee import Trainee


class States:
    def __init__(self, model: Trainee, draws: Draws):
        self.model, self.net, self.draws = model, model.net, draws
        self.c, self.blocks = self.net.c, self.net.transformer.blocks
        self.joint = self.c["dual_tower_layers"] + 1
        self.head, self.eps = self.c["d_model"] // self.c["n_heads"], self.c["rms_norm_eps"]

    def batches(self, start, count, prompts=32, **options):
        return [self.draws.batch(start + i, prompts, 1, planned=0.0, **options) for i in range(count)]

    def at_names(self, batch, layer):
        """(normalised states as `und` gives them; the pair of each, -1 where no name ends): all names and a tenth of the
        other places."""
        pair = torch.full((batch["prompt"].numel(),), -1)
        pair[batch["name"]] = batch["pair"]
        keep = (batch["prompt"] > 0).flatten() & ((pair >= 0) | (torch.rand(len(pair)) < 0.1))
        x, _ = self.und(batch, layer)
        return x.flatten(0, 1)[keep], pair[keep]

    def und(self, batch, until):
        """(normalised states before the MLP of und layer `until`, or before its attention where it is the last joint one;
        the residual stream there) [P, T, d_model]."""
        ids, lengths = batch["prompt"], batch["lengths"]
        cos, sin = rope_table(torch.arange(ids.shape[1]), self.head, self.c["rope_theta"])
        bias = torch.zeros(ids.shape).masked_fill_(torch.arange(ids.shape[1]) >= lengths[:, None], -1e9)[:, None, None]
        x = F.embedding(ids, self.net.transformer.wte.weight)
        for index, b in enumerate(self.blocks[:until + 1]):
            h = rms(x, b.attn_norm.weight, self.eps)
            if index == self.joint - 1:
                return h, x
            q, k, v = (self.net.split_heads(h @ w.weight.T) for w in (b.q_proj, b.k_proj, b.v_proj))
            a = attention(rotate(q * self.head ** -0.5, cos, sin), rotate(k, cos, sin), v, bias)
            x = x + a.transpose(1, 2).flatten(2) @ b.attn_out.weight.T
            h = rms(x, b.ff_norm.weight, self.eps)
            if index == until:
                return h, x
            x = x + (F.silu(h @ b.ff_proj.weight.T) * (h @ b.up_proj.weight.T)) @ b.ff_out.weight.T

    def gen(self, batch, until):
        """(what the heads of gen layer `until` bring [P, heads, cells, head], gen states that leave it [P, cells, g])."""
        ids = torch.where(batch["masked"] < 0, self.net.mask, batch["masked"])
        seen, ids = ids.unique(return_inverse=True)
        x = self.net.gen_tokens(ids, self.model.table()[seen])
        cache, bias, _ = self.net.prompt_and_hidden(batch["prompt"], batch["lengths"])
        position = batch["lengths"][:, None] + torch.arange(x.shape[1])
        cos, sin = (t[:, None] for t in rope_table(position, self.head, self.c["rope_theta"]))
        for index, b in enumerate(self.blocks[:until + 1]):
            h = rms(x, b.attn_norm_vision.weight, self.eps)
            q, k, v = (self.net.split_heads(h @ w.weight.T) for w in (b.q_proj_vision, b.k_proj_vision, b.v_proj_vision))
            q, k = rotate(q * self.head ** -0.5, cos, sin), rotate(k, cos, sin)
            if index < self.joint:
                past_k, past_v = cache[index]
                score = torch.cat([q @ past_k.transpose(-1, -2) + bias, q @ k.transpose(-1, -2)], -1)
                a = score.softmax(-1) @ torch.cat([past_v, v], 2)
            else:
                a = attention(q, k, v)
            x = x + a.transpose(1, 2).flatten(2) @ b.attn_out.weight[:x.shape[-1]].T
            h = rms(x, b.ff_norm_vision.weight, self.eps)
            x = x + (F.silu(h @ b.ff_proj_vision.weight.T) * (h @ b.up_proj_vision.weight.T)) @ b.ff_out_vision.weight.T
        return a, x

    def shown(self, batches, until):
        """As `gen`, of the cells that show a thing and a few others, [n, heads, head] and [n, g]: most show ground, and what is
        little used there is not what tints are drawn with."""
        parts = []
        for batch in batches:
            brought, states = self.gen(batch, until)
            thing = (batch["things"] > 0) | (torch.rand(batch["things"].shape) < 0.2)
            parts.append((brought.transpose(1, 2)[thing], states[thing]))
        return (torch.cat(t) for t in zip(*parts))
