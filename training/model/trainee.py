"""What is trained: the network, its two VQ tables in factored form, and probes that only training has."""
import torch
import torch._inductor.config
import torch.nn as nn
import torch.nn.functional as F
from codes import CodeTable
from config import CONFIG
from data import CLASSES, SAID, TINTS, held_out_things
from folder import open_folder
from fused_loss import FusedCrossEntropy
from network import Network
from pair_codes import pair_codes, shape_codes
from tables import CODES, GROUND_CODES, SHAPES, Factored


class Things(nn.Module):
    """A row for no thing and one for each class in each tint: class + tint + a learned map of their code, so that what is
    learned of some pairs holds for the others."""

    def __init__(self, width):
        super().__init__()
        self.none, self.classes = nn.Parameter(torch.zeros(1, width)), nn.Parameter(torch.zeros(CLASSES, 1, width))
        self.tints = nn.Parameter(torch.zeros(1, TINTS, width))
        self.register_buffer("codes", pair_codes(), persistent=False)
        self.map = nn.Parameter(torch.zeros(self.codes.shape[1], width))

    def forward(self):
        # A small share of the codes, since Adam's steps are those of a table.
        return torch.cat([self.none, (self.classes + self.tints).flatten(0, 1) + 0.05 * self.codes @ self.map])


class Pairs(nn.Module):
    """Reads the code of a thing from the und states of its name, sign by sign: a measure, which teaches these states
    nothing (`bind.py` writes the products; taught by gradients, they were learned by heart)."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("codes", pair_codes(), persistent=False)
        self.map = nn.Parameter(torch.randn(width, self.codes.shape[1]) / width ** 0.5)

    def forward(self, states, pairs):
        """Normalised states [K, width], pairs [K] -> (loss, share of pairs whose nearest code is theirs)."""
        signs = states.detach() @ self.map
        right = (signs.detach() @ self.codes.T).argmax(-1) == pairs
        return F.softplus(-signs * self.codes[pairs]).mean(), right.float().mean()


class Trainee(nn.Module):
    """The network with its two VQ tables in factored form."""

    def __init__(self, codebook, bf16=False):
        super().__init__()
        self.bf16 = bf16  # matrix products in bf16, weights and sums in fp32: pays off where the CPU has AMX
        self.net = Network(CONFIG)
        g = CONFIG["d_model_gen"]
        self.table = Factored(CODES + 256, g, codebook, 0.5)
        self.head = Factored(CODES, g, codebook, 0.5 / g ** 0.5, shape_codes(CodeTable().tables, SHAPES, GROUND_CODES))
        # Training only. Where things go is a few nats in a loss of hundreds, and takes words, classes and places at once:
        # without these probes "left of" was still unused after 600 thousand pictures, and two tints were swapped as often as
        # not after 860. One reads which class in which tint stands in each blank cell, from the last layer and the last
        # joint one; one reads from the und states of a thing's name what the caption says of it (side, count, colour); one
        # only measures whether class and tint can be read there as a pair.
        self.layout = nn.ModuleList([Things(g) for _ in range(2)])
        self.pairs = Pairs(CONFIG["d_model"])
        self.register_buffer("held_out", held_out_things(), persistent=False)
        self.said = nn.ParameterList([nn.Parameter(torch.zeros(SAID, CONFIG["d_model"])) for _ in range(2)])

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

    def states(self, b, group):
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
            g, middle = net.gen_and_middle(tokens, cache, bias, b["lengths"], group)
            return net.before_head(g, b["cell"], b["corner"]), (g, middle), hidden

    def loss(self, b, group):
        """-> (loss, cross-entropy of each scored position, {name: its part} of the layout, of what is said of each
        thing, of pairs, and of binding)."""
        states, hidden, words = self.states(b, group)
        head = self.head()
        swapped = (b["rival"] > 0) & (b["ratio"] > 0.9)  # later the neighbours say it
        rows = (head[b["target"][swapped]] - head[b["rival"][swapped]])
        bound = F.softplus(-(states[swapped].float() * rows).sum(-1)).sum() / (swapped.sum() + 1)
        states = states.bfloat16() if self.bf16 else states
        codes, each = FusedCrossEntropy.apply(states, head, b["target"], b["weight"] / b["weight"].sum())
        things, blank, layout = self.probed_layout(b, hidden)
        two, probed = blank & (b["rival_things"] > 0), 0
        for h, w in zip(hidden, things):
            rows = w[b["things"][two]] - w[b["rival_things"][two]]
            probed = probed + F.softplus(-(self.normal(h[two]) * rows).sum(-1)).sum() / (two.sum() + 1)
        names = [h.flatten(0, 1)[b["name"]] for h in words]
        said = self.probes(self.said, names, b["said"])
        pairs, right = self.pairs(self.normal(names[-1]), b["pair"])
        parts = {"layout": layout / 2, "said": said / 2, "pairs": pairs, "pairs_right": right, "bound": bound,
                 "bound_probes": probed / 2}
        return codes + layout + said + pairs + 3 * bound + probed, each, {k: v.detach() for k, v in parts.items()}

    def probed_layout(self, b, hidden):
        """-> (rows of things of each probe, blank cells [P*group, cells], loss of the probes over those)."""
        blank = (b["masked"] < 0).unflatten(1, (8, 2)).unflatten(3, (8, 2)).all(4).all(2).flatten(1)
        things = [table() for table in self.layout]
        if not blank.any():  # few pictures may have none among them, and a mean of nothing is no number
            return things, blank, hidden[0].new_zeros((), dtype=torch.float32)
        # Pairs that are held out are never the right ones: they must not be taught to be wrong.
        return things, blank, self.probes(things, [h[blank] for h in hidden], b["things"][blank], self.held_out)

    @staticmethod
    def normal(h):
        h = h.float()
        return h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-5)

    @classmethod
    def probes(cls, heads, states, target, without=None):
        """Cross-entropies over the rows of `heads`, those of `without` [rows] left out."""
        total = 0
        for h, w in zip(states, heads):
            logits = cls.normal(h) @ w.T
            total = total + F.cross_entropy(logits if without is None else logits.masked_fill(without, -1e9), target)
        return total

    @torch.no_grad()
    def pairs_right(self, draws):
        """Share of the held-out class-colours whose code can be read from the states of their name that enter the last
        joint layer. A measure, never a loss: no picture of them is made."""
        rows, at, pairs = draws.held_out_colors()
        states = self.net.prompt_and_hidden(rows, (rows > 0).sum(1))[2][-1].flatten(0, 1)[at]
        return float(self.pairs(self.normal(states), pairs)[1])

    @torch.no_grad()
    def start_grounds(self, batch, group):
        """Rows of the ground codes such that their logits start near 7 at masked positions: there is no bias for them,
        and without this the model spends its first thousands of pictures on learning that most of a picture is ground."""
        h = self.states(dict(batch, masked=torch.full_like(batch["masked"], -1)), group)[0].float().mean(0)
        self.head.free[:6] += 7 * h / h.pow(2).sum()


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
