"""What is trained: the network, and its two VQ tables in factored form, or as they are once nothing trains them."""
import torch
import torch._inductor.config
import torch.nn as nn
import torch.nn.functional as F
from codes import CodeTable
from config import CONFIG
from folder import open_folder
from fused_loss import FusedCrossEntropy
from network import Network
from pair_codes import shape_codes
from tables import CODES, GROUND_CODES, SHAPES, Factored, Fixed


class Trainee(nn.Module):
    """`fixed`: the tables stay as they are."""

    def __init__(self, codebook, bf16=False, fixed=False):
        super().__init__()
        self.bf16 = bf16  # matrix products in bf16, weights and sums in fp32: pays off where the CPU has them
        self.net = Network(CONFIG)
        g = CONFIG["d_model_gen"]
        if fixed:
            self.table, self.head = Fixed(CODES + 256, g), Fixed(CODES, g)
        else:
            self.table = Factored(CODES + 256, g, codebook, 0.5)
            self.head = Factored(CODES, g, codebook, 0.5 / g ** 0.5, shape_codes(CodeTable().tables, SHAPES, GROUND_CODES))

    @torch.no_grad()
    def take(self, folder):
        """Starts from the weights of a model folder; the optimizers start anew. The folder's model may have fewer
        layers: theirs are spread over both kinds, joint and split, and the layers between start as identities. Tensors
        that no stage had trained are stored as zeros; they keep their fresh values here."""
        network, _, config = open_folder(folder)
        blocks, old = self.net.transformer.blocks, network.transformer.blocks
        joint, split = CONFIG["dual_tower_layers"] + 1, CONFIG["n_layers"] - CONFIG["dual_tower_layers"] - 1
        old_joint = config["dual_tower_layers"] + 1
        spread = lambda few, many: [round(i * (many - 1) / (few - 1)) for i in range(few)]
        source = {new: i for i, new in enumerate(spread(old_joint, joint))}
        source |= {joint + new: old_joint + i for i, new in enumerate(spread(len(old) - old_joint, split))}
        for index, block in enumerate(blocks):
            if index in source:
                for mine, theirs in zip(block.parameters(), old[source[index]].parameters()):
                    if theirs.any():
                        mine.copy_(theirs)
            else:
                for name in ("attn_out", "ff_out", "ff_out_vision"):
                    getattr(block, name).weight.zero_()
        own = dict(self.net.named_parameters())
        for name, theirs in network.named_parameters():
            if ".blocks." not in name and theirs.any():
                own[name].copy_(theirs)
        self.table.take(network.gen_embedding[0].weight)
        self.head.take(network.gen_predictor[2].weight)

    def states(self, b, group, looked=None):
        """-> (scored positions up to the last product of the head [K, d_model_gen], gen states that leave the last layer
        and the last joint one [P*group, cells, d_model_gen], und states that enter the last two joint ones [P, T, d_model])."""
        net = self.net
        ids = torch.where(b["masked"] < 0, net.mask, b["masked"])
        with torch.autocast(b["prompt"].device.type, torch.bfloat16, enabled=self.bf16):
            cache, bias, hidden = net.prompt_and_hidden(b["prompt"], b["lengths"])
            seen, ids = ids.unique(return_inverse=True)  # what precedes the first layer, per id that occurs
            tokens = net.gen_tokens(ids, self.table()[seen])
            if self.bf16:
                tokens, bias = tokens.bfloat16(), bias.bfloat16()
                cache = [(k.bfloat16(), v) for k, v in cache]
            g, middle = net.gen_and_middle(tokens, cache, bias, b["lengths"], group, looked=looked)
            return net.before_head(g, b["cell"], b["corner"]), (g, middle), hidden

    def codes(self, b, states, head, taught=None):
        """-> (weighted cross-entropy of the scored positions, that of each). `taught`: as FusedCrossEntropy takes it."""
        states = states.bfloat16() if self.bf16 else states
        return FusedCrossEntropy.apply(states, head, b["target"], b["weight"] / b["weight"].sum(), taught)

    @torch.no_grad()
    def lesson(self, b, group):
        """-> (states, head) from which another trainee learns what this one says at the scored positions."""
        of = torch.bfloat16 if self.bf16 else torch.float32
        return self.states(b, group)[0].to(of), self.head().to(of)

    @staticmethod
    def bound(b, states, head):
        """Loss of each code's logit against the same shape in the other thing's tint, where nearly all is masked."""
        swapped = (b["rival"] > 0) & (b["ratio"] > 0.9)  # later the neighbours say it
        rows = head[b["target"][swapped]] - head[b["rival"][swapped]]
        return F.softplus(-(states[swapped].float() * rows).sum(-1)).sum() / (swapped.sum() + 1)


def compile_gen(model):
    """Without the pattern matcher, which would put the CPU's slow fused attention back (its backward costs 5 times the
    plain products')."""
    torch._inductor.config.pattern_matcher = False
    model.net.gen_and_middle = torch.compile(model.net.gen_and_middle, dynamic=False)


def trained(model):
    """Parameters that drawing uses, as (hidden matrices for Muon, the rest for Adam)."""
    joint = CONFIG["dual_tower_layers"] + 1
    matrices, rest = [], []
    for name, p in model.named_parameters():
        n = name.removeprefix("net.")
        if n.startswith(("transformer.ff_out", "gen_embedding.0", "gen_predictor.2")):
            continue  # the LM head is trained with the text tasks; the two tables live in factored form
        if n.startswith("transformer.blocks.") and "_vision" not in n:
            layer = int(n.split(".")[2])
            part = n.split(".")[3]
            if layer >= joint and part != "attn_out":
                continue
            if layer == joint - 1 and part not in ("attn_norm", "k_proj", "v_proj", "attn_out"):
                continue
        (matrices if p.ndim >= 2 and "wte" not in n and not name.startswith(("table", "head", "layout", "said", "pairs")) else rest).append(p)
    return matrices, rest
