"""Drawing as the published implementation does it (facts 10.1 lists what that costs), in plain PyTorch.

Every step: the whole prompt again, both branches of every layer (the text side of the split layers too), all embeddings
and the compression at every position, `attn_out` with all its rows, the LM head over the whole sequence, VQ logits at
every position, a softmax and a draw at every masked one. Conditional and unconditional row are a batch of two. What the
published code loses beyond that (gather and scatter of padded batches, host syncs, a checkpoint wrapper) is not here.

`prefix` attention is a mask under which prompt tokens see the prompt only, so that the ids are those of the runtime.
"""
import torch
import torch.nn.functional as F
from network import rope_table, rotate


def rms(x, weight, eps):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


class PublishedLoop:
    def __init__(self, network, vq, config):
        self.net, self.vq, self.c = network, vq, config

    def prepare(self, rows, cells):
        """Nothing is kept between steps but the ids; this stands where the other loop reads its prompt."""
        c = self.c
        self.rows, self.cells, self.tokens = rows, cells, rows.shape[1]
        total = self.tokens + cells
        self.rope = rope_table(torch.arange(total), c["d_model"] // c["n_heads"], c["rope_theta"])
        self.mask = torch.ones(total, total, dtype=torch.bool)
        self.mask[:self.tokens, self.tokens:] = False

    def embed(self, ids):
        """[n, n] -> [1, cells, g], as written: table, norm, linear, norm, convolution of stride 2, norm, linear."""
        n = self.net
        e = rms(F.embedding(ids.flatten(), n.gen_embedding[0].weight), n.gen_embedding[1].weight, 1e-6)
        e = rms(F.linear(e, n.gen_embedding[2].weight), n.downsample_gen.downsample.norm.weight, 1e-6)
        d = F.conv2d(e.T.reshape(1, -1, *ids.shape), n.downsample_gen.downsample.conv.weight, stride=2)
        d = d.flatten(2).transpose(1, 2)
        return F.linear(rms(d, n.gen_embedding_2[0].weight, 1e-6), n.gen_embedding_2[1].weight)

    def project(self, b, name, text, image):
        """Each branch with its own weights; [2, heads, total, head]."""
        parts = [F.linear(text, getattr(b, name).weight), F.linear(image, getattr(b, name + "_vision").weight)]
        return torch.cat(parts, 1).unflatten(-1, (self.c["n_heads"], -1)).transpose(1, 2)

    def mlp(self, b, x, suffix):
        w = [getattr(b, name + suffix).weight for name in ("ff_norm", "ff_proj", "up_proj", "ff_out")]
        h = rms(x, w[0], self.c["rms_norm_eps"])
        return x + F.linear(F.silu(F.linear(h, w[1])) * F.linear(h, w[2]), w[3])

    def layer(self, index, text, image):
        b, eps, t = self.net.transformer.blocks[index], self.c["rms_norm_eps"], self.tokens
        normed = rms(text, b.attn_norm.weight, eps), rms(image, b.attn_norm_vision.weight, eps)
        q, k, v = (self.project(b, name, *normed) for name in ("q_proj", "k_proj", "v_proj"))
        q, k = rotate(q, *self.rope), rotate(k, *self.rope)
        if index <= self.c["dual_tower_layers"]:
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        else:
            a = torch.cat([F.scaled_dot_product_attention(q[:, :, part], k[:, :, part], v[:, :, part])
                           for part in (slice(None, t), slice(t, None))], 2)
        o = F.linear(a.transpose(1, 2).flatten(2), b.attn_out.weight)
        text, image = text + o[:, :t], image + o[:, t:, :image.shape[-1]]
        return self.mlp(b, text, ""), self.mlp(b, image, "_vision")

    def step(self, ids, positions):
        """[n, n] ids -> logits [2, positions, codes]; they exist at all positions, these are looked up."""
        n, c = self.net, self.c
        text = F.embedding(self.rows, n.transformer.wte.weight)
        image = self.embed(ids).expand(len(self.rows), -1, -1)
        for index in range(c["n_layers"]):
            text, image = self.layer(index, text, image)
        g = image.shape[-1]
        states = torch.cat([text, F.pad(image, (0, c["d_model"] - g))], 1)
        states = rms(states, n.transformer.ln_f.weight, c["rms_norm_eps"])
        self.unused = F.linear(states, n.transformer.ff_out.weight)  # computed by the published forward, read by nobody
        h = rms(states[:, self.tokens:, :g], n.upsample_gen.upsample.norm.weight, 1e-6)
        side = ids.shape[0] // 2
        u = F.conv_transpose2d(h.transpose(1, 2).unflatten(2, (side, side)), n.upsample_gen.upsample.conv.weight, stride=2)
        u = F.linear(rms(u.flatten(2).transpose(1, 2), n.gen_predictor_2[0].weight, 1e-6), n.gen_predictor_2[1].weight)
        u = rms(F.linear(u, n.gen_predictor[0].weight), n.gen_predictor[1].weight, 1e-6)
        self.logits = F.linear(u, n.gen_predictor[2].weight)
        return self.logits[:, positions]

    def sample(self, ids, positions, guidance, temperature):
        """The published draw at every masked position. What is kept is chosen again by common random numbers."""
        masked = (ids.flatten() == self.net.mask).nonzero().flatten()
        both = self.logits[:, masked]
        guided = (1 + guidance) * both[0] - guidance * both[1] if guidance > 0 else both[0]
        return torch.multinomial((guided / temperature).softmax(-1), 1) if temperature else guided.argmax(-1)

    def decode(self, ids):
        return (self.vq.decode(ids[None]).clamp(0, 1) * 255).byte()[0].permute(1, 2, 0).contiguous()
