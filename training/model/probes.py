"""Drawing with probes, which only training has: losses of what states say, beside that of the pictures."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from config import CONFIG
from data import CLASSES, SAID, TINTS, held_out_things
from pair_codes import pair_codes
from trainee import Trainee


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


class Probed(Trainee):
    def __init__(self, codebook, bf16=False):
        super().__init__(codebook, bf16)
        g = CONFIG["d_model_gen"]
        # Where things go is a few nats in a loss of hundreds, and takes words, classes and places at once:
        # without these probes "left of" was still unused after 600 thousand pictures, and two tints were swapped as often as
        # not after 860. One reads which class in which tint stands in each blank cell, from the last layer and the last
        # joint one; one reads from the und states of a thing's name what the caption says of it (side, count, colour); one
        # only measures whether class and tint can be read there as a pair.
        self.layout = nn.ModuleList([Things(g) for _ in range(2)])
        self.pairs = Pairs(CONFIG["d_model"])
        self.register_buffer("held_out", held_out_things(), persistent=False)
        self.said = nn.ParameterList([nn.Parameter(torch.zeros(SAID, CONFIG["d_model"])) for _ in range(2)])

    def loss(self, b, group):
        """-> (loss, cross-entropy of each scored position, {name: its part} of the layout, of what is said of each
        thing, of pairs, and of binding)."""
        states, hidden, words = self.states(b, group)
        head = self.head()
        bound, (codes, each) = self.bound(b, states, head), self.codes(b, states, head)
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
