"""Drawing in PyTorch with every exact saving that the runtime has: what a good loop in the training library reaches.

Prompt keys and values once, folded input tables, fused q/k/v, gate/up and output linears, the generation branch only,
layer 0 once for both rows, the last layer's queries, projection and MLP only for cells with a revealed position, logits
at revealed positions only. Keys and values of prompt and image share one buffer, so that nothing is concatenated.
"""
import torch
import torch.nn.functional as F
from network import rope_table, rotate


def rms(x, weight, eps):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


def fused(*weights):
    return torch.cat([w.weight for w in weights]).contiguous()


class GoodLoop:
    def __init__(self, network, vq, config, compiled=False):
        n, c = network, config
        self.net, self.vq, self.c = network, vq, config
        self.heads, self.g, self.eps = c["n_heads"], c["d_model_gen"], c["rms_norm_eps"]
        self.table = n.corner_tables(n.gen_embedding[0].weight).contiguous()
        self.blocks = [(b.attn_norm_vision.weight, fused(b.q_proj_vision, b.k_proj_vision, b.v_proj_vision),
                        b.attn_out.weight[:self.g].contiguous(), b.ff_norm_vision.weight,
                        fused(b.ff_proj_vision, b.up_proj_vision), b.ff_out_vision.weight)
                       for b in n.transformer.blocks]
        ratio = c["d_model"] / self.g
        self.final = n.transformer.ln_f.weight[:self.g] * ratio ** 0.5, self.eps * ratio
        self.corners = n.upsample_gen.upsample.conv.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()
        self.middle = (n.gen_predictor[0].weight.double() @ n.gen_predictor_2[1].weight.double()).float()
        self.trunk = torch.compile(self.eager_trunk) if compiled else self.eager_trunk
        self.tail = torch.compile(self.eager_tail, dynamic=True) if compiled else self.eager_tail

    def prepare(self, rows, cells):
        c, t = self.c, rows.shape[1]
        cache, _ = self.net.prompt(rows, torch.full((len(rows),), t))
        cos, sin = rope_table(torch.arange(t, t + cells), c["d_model"] // self.heads, c["rope_theta"])
        self.rope = cos[:, None], sin[:, None]  # over [rows, cells, heads, head]
        self.buffers = []
        for index in range(c["n_layers"]):
            past = cache[index] if index < len(cache) else [torch.empty(len(rows), self.heads, 0, c["d_model"] // self.heads)] * 2
            self.buffers.append(tuple(torch.cat([p, p.new_empty(*p.shape[:2], cells, p.shape[3])], 2).contiguous() for p in past))

    def qkv(self, x, w):
        """[rows, cells, g] -> rotated q, k and v, [rows, heads, cells, head]."""
        q, k, v = F.linear(x, w).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        return (part.transpose(1, 2) for part in (rotate(q, *self.rope), rotate(k, *self.rope), v))

    def attend(self, q, k, v, buffers):
        cells = k.shape[2]
        for buffer, own in zip(buffers, (k, v)):
            buffer[:, :, -cells:] = own
        return F.scaled_dot_product_attention(q.expand(buffers[0].shape[0], -1, -1, -1), *buffers).transpose(1, 2).flatten(2)

    def finish(self, x, a, out, norm, gate_up, down):
        x = x + F.linear(a, out)
        gate, up = F.linear(rms(x, norm, self.eps), gate_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, down)

    def eager_trunk(self, corner_ids):
        """[4, cells] ids -> states [2, cells, g] before the last layer."""
        n = self.net
        d = sum(F.embedding(corner_ids[corner], self.table[corner]) for corner in range(4))
        x = F.linear(rms(d, n.gen_embedding_2[0].weight, 1e-6), n.gen_embedding_2[1].weight)[None]
        for (norm, w, *rest), buffers in zip(self.blocks[:-1], self.buffers):
            q, k, v = self.qkv(rms(x, norm, self.eps), w)
            x = self.finish(x, self.attend(q, k, v, buffers), *rest)
        return x

    def eager_tail(self, x, chosen, pick):
        """States, cells with a revealed position, index into them * 4 + corner -> logits [2, picks, codes]."""
        n = self.net
        norm, w, *rest = self.blocks[-1]
        normed, width = rms(x, norm, self.eps), w.shape[0] // 3
        k, v = F.linear(normed, w[width:]).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        q = F.linear(normed[:, chosen], w[:width]).unflatten(-1, (self.heads, -1))
        q = rotate(q, self.rope[0][chosen], self.rope[1][chosen]).transpose(1, 2)
        k, v = rotate(k, *self.rope).transpose(1, 2), v.transpose(1, 2)
        x = self.finish(x[:, chosen], self.attend(q, k, v, self.buffers[-1]), *rest)
        h = rms(rms(x, *self.final), n.upsample_gen.upsample.norm.weight, 1e-6)
        u = F.linear(h, self.corners).unflatten(-1, (4, -1)).flatten(1, 2)[:, pick]
        u = F.linear(rms(u, n.gen_predictor_2[0].weight, 1e-6), self.middle)
        return F.linear(rms(u, n.gen_predictor[1].weight, 1e-6), n.gen_predictor[2].weight)

    def step(self, ids, positions):
        side = ids.shape[0]
        corners = torch.stack([ids[a::2, b::2].flatten() for a in (0, 1) for b in (0, 1)])
        y, x = positions // side, positions % side
        chosen, place = (y // 2 * (side // 2) + x // 2).unique(return_inverse=True)
        return self.tail(self.trunk(corners), chosen, place * 4 + y % 2 * 2 + x % 2)

    def sample(self, both, guidance, temperature):
        """A draw at the revealed positions with PyTorch's own generator: softmax sampling by exponential races."""
        guided = (1 + guidance) * both[0] - guidance * both[1] if guidance > 0 else both[0]
        if not temperature:
            return guided.argmax(-1)
        return ((guided / temperature).softmax(-1) / torch.empty_like(guided).exponential_()).argmax(-1)

    def decode(self, ids):
        return (self.vq.decode(ids[None]).clamp(0, 1) * 255).byte()[0].permute(1, 2, 0).contiguous()
