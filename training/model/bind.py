#!/usr/bin/env python3
"""Writes into trained weights how class and tint are bound: `bind.py --init models/scenes --out training/runs/bound.pt`.

Blank cells take up the sum of what two names say, and as a sum of class and tint that is the same for either binding
("red car, blue dog"). Gradients did learn products of class and tint, but by heart: pairs that training never shows had
none (training/README.md). Where class and tint can be read linearly, their product is a few units of a gated MLP, so it
is written instead of learned, and then trained on like all other weights:

1. und MLP of layer 0: its 96 least used units compute the outer product of the name's two sign words (pair_codes.py).
2. last joint layer: the 24 least used directions of the values of the two heads that look at names carry it to the gen
   stream, into the 48 directions that this stream uses least.
3. gen layers after it neither read nor write these directions; up to the head's rows they are handed on likewise.
4. the head's rows: the codes of shapes in palettes, read back from there by a ridge regression.

The checkpoint is one for `train_draw.py --init`, whose probes start anew.
"""
import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from data import TINTS, Draws  # noqa: E402
from directions import forget, least, ridge, silence  # noqa: E402
from network import rms  # noqa: E402
from pair_codes import CLASS_WORDS, TINT_BITS, TINT_WORDS, WIDTH, pair_codes  # noqa: E402
from states import States  # noqa: E402
from trainee import Trainee  # noqa: E402

HEADS = (2, 3)  # of the last joint layer: three quarters of what blank cells look at there are names
PRODUCT, VALUE, HANDED = 0.7, 0.5, 0.4  # sizes, against what these streams hold: smaller ones drown in training's steps
READ = 0.1


class Binding(States):
    """The edits."""

    codes = pair_codes()

    def products(self):
        """Edit 1: und layer 0."""
        states, pairs = (torch.cat(t) for t in zip(*(self.at_names(b, 0) for b in self.batches(0, 60))))
        name, b = (pairs >= 0)[:, None], self.blocks[0]
        word = lambda words, index: ridge(states, torch.where(name, words[index], 0.0), 3.0)
        cls, tint = word(CLASS_WORDS, pairs.clamp(min=0) // TINTS), word(TINT_WORDS, pairs.clamp(min=0) % TINTS)
        used = F.silu(states @ b.ff_proj.weight.T) * (states @ b.up_proj.weight.T)
        units = (used.pow(2).mean(0) * b.ff_out.weight.pow(2).sum(0)).argsort()[:2 * WIDTH]
        streams = [self.und(batch) for batch in self.batches(0, 12)]
        entering = torch.cat([stream[1].flatten(0, 1) for stream in streams])
        spare = torch.cat([x / x.pow(2).mean().sqrt() for x in (entering, *(stream[-1].flatten(0, 1) for stream in streams))])
        out = least(spare, WIDTH)
        size = PRODUCT * entering.pow(2).mean().sqrt()
        gain = b.ff_proj.weight.norm(dim=1).mean() / tint.norm(dim=0).mean()
        raise_ = b.up_proj.weight.norm(dim=1).mean() / cls.norm(dim=0).mean()
        i = torch.arange(WIDTH)
        for sign, rows in ((1, units[:WIDTH]), (-1, units[WIDTH:])):  # silu(x) - silu(-x) = x
            b.ff_proj.weight[rows] = sign * gain * tint[:, i % TINT_BITS].T
            b.up_proj.weight[rows] = raise_ * cls[:, i // TINT_BITS].T
            b.ff_out.weight[:, rows] = sign * size / (gain * raise_) * out
        for b in self.blocks[1:self.joint - 1]:
            for norm, names in ((b.attn_norm, ("q_proj", "k_proj", "v_proj")), (b.ff_norm, ("ff_proj", "up_proj"))):
                for n in names:
                    forget(getattr(b, n).weight, norm.weight[:, None] * out)
            silence(b.ff_out.weight, out)
        last = self.blocks[self.joint - 1]
        forget(last.k_proj.weight, last.attn_norm.weight[:, None] * out)  # where cells look stays as it was

    def carried(self):
        """Edit 2 and 3: -> the directions [d_gen, WIDTH] of the gen stream."""
        last, g = self.blocks[self.joint - 1], self.c["d_model_gen"]
        brought, states = self.shown(self.batches(500, 24, 16), self.joint - 1)
        spare, size = least(states, WIDTH), VALUE * states.pow(2).mean().sqrt()
        names, pairs = (torch.cat(t) for t in zip(*(self.at_names(b, self.joint - 1) for b in self.batches(700, 40))))
        code = ridge(names, torch.where((pairs >= 0)[:, None], self.codes[pairs.clamp(min=0)], 0.0), 3.0)
        for number, part in zip(HEADS, torch.arange(WIDTH).chunk(len(HEADS))):
            rows, values = slice(number * self.head, (number + 1) * self.head), brought[:, number]
            basis, typical = least(values, len(part)), values.pow(2).mean().sqrt()
            for w in (last.v_proj.weight, last.v_proj_vision.weight):
                silence(w[rows], basis)
            last.v_proj.weight[rows] += typical * basis @ code[:, part].T
            out = last.attn_out.weight[:g, rows]
            out += (size / typical * spare[:, part] - out @ basis) @ basis.T
        for index, b in enumerate(self.blocks):
            silence(b.ff_out_vision.weight, spare)
            if index >= self.joint:
                silence(b.attn_out.weight[:g], spare)
                for n in ("q_proj_vision", "k_proj_vision", "v_proj_vision"):
                    forget(getattr(b, n).weight, b.attn_norm_vision.weight[:, None] * spare)
            if index >= self.joint - 1:
                for n in ("ff_proj_vision", "up_proj_vision"):
                    forget(getattr(b, n).weight, b.ff_norm_vision.weight[:, None] * spare)
        return spare

    def handed_on(self, spare):
        """Edit 3, from the gen stream to the head."""
        net, up = self.net, self.net.upsample_gen.upsample
        first, second, third = up.conv.weight, net.gen_predictor_2[1].weight, net.gen_predictor[0].weight
        corners = [first[:, :, i // 2, i % 2].T for i in range(4)]
        ln_f = net.transformer.ln_f.weight[:self.c["d_model_gen"]]
        _, h = self.shown(self.batches(600, 20, 16), len(self.blocks) - 1)
        h = rms(rms(h, ln_f, self.eps, self.c["d_model"]), up.norm.weight, 1e-6)
        spare = self.hand(corners, h, (ln_f * up.norm.weight)[:, None] * spare)
        h = rms(torch.cat([h @ w.T for w in corners]), net.gen_predictor_2[0].weight, 1e-6)
        spare = self.hand([second], h, net.gen_predictor_2[0].weight[:, None] * spare)
        self.hand([third], h @ second.T, spare)

    @staticmethod
    def hand(weights, states, source):
        """Lets each of `weights` [out, in] carry `source` [in, WIDTH] of its inputs `states` to what their outputs use
        least, and nothing else to and from there. -> these directions [out, WIDTH]."""
        target = least(torch.cat([states @ w.T for w in weights]), WIDTH)
        source = source / source.norm(dim=0)
        for w in weights:
            forget(w, source)
            silence(w, target)
        size = HANDED * torch.cat([states @ w.T for w in weights]).pow(2).mean().sqrt() / (states @ source).std()
        for w in weights:
            w += size * target @ source.T
        return target

    def read(self):
        """Edit 4: the head's rows."""
        states, codes, weights = [], [], []
        for batch in self.batches(2000, 40, 24, blank=0.3, objects=0.5, background=0.05):
            length, prompts = batch["prompt"].shape[1], len(batch["prompt"])
            who = batch["name"] // length
            said = torch.zeros(prompts, WIDTH).index_add_(0, who, self.codes[batch["pair"]])
            count = torch.bincount(who, minlength=prompts).clamp(min=1)
            states.append(self.model.states(batch, 1)[0])
            codes.append((said / count[:, None])[batch["cell"] // 64])
            weights.append(batch["ratio"])
        states, codes, root = torch.cat(states), torch.cat(codes), torch.cat(weights).sqrt()[:, None]
        fitted = ridge(root * states, root * codes, 1e-6 * float(states.pow(2).mean()) * len(states))
        self.model.head.map.copy_(READ * fitted.T)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--init", type=pathlib.Path, required=True, help="model folder")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="checkpoint")
    options = parser.parse_args()
    torch.manual_seed(0)
    draws = Draws(77)
    model = Trainee(torch.from_numpy(draws.table.codebook))
    with torch.no_grad():
        model.take(options.init)
        binding = Binding(model, draws)
        binding.products()
        binding.handed_on(binding.carried())
        binding.read()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"average": model.state_dict(), "step": 0}, options.out)


if __name__ == "__main__":
    main()
