"""The trainee of all tasks: it draws, sees pictures in prompts, and reads."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from config import CONFIG, VISION
from data import held_out_things
from folder import load_weights
from picture_prompt import picture_prompt
from probes import Probed, Things
from trainee import Trainee
from trainee import trained as drawn
from understanding import Sight, attention_bias, embed, sight_parameters, text_states
from understanding import trained as understood


class Seeing(Trainee):
    """With the VQ tables as drawing left them: no task brings new codes."""

    def __init__(self, codebook, bf16=False):
        super().__init__(codebook, bf16, fixed=True)
        self.sight = Sight()
        # Training only: which class in which tint stands in each patch, read from the tower's last layer and from what of
        # it enters the text. Questions ask for one thing of a picture, and late; these ask for all of it.
        widths = [VISION["hidden_size"], CONFIG["d_model"]]
        self.seen = nn.ModuleList([Things(width) for width in widths])
        self.corners = nn.Parameter(torch.randn(4, widths[1], widths[1]) / widths[1] ** 0.5)
        self.register_buffer("held_out", held_out_things(), persistent=False)

    @torch.no_grad()
    def take(self, folder):
        super().take(folder)
        weights = load_weights(folder)
        if "model.image_newline" in weights:
            self.sight.take(weights)

    @torch.no_grad()
    def look(self, b):
        """Features of the batch's pictures, in the order of their places in the prompts. What draws takes the tower as it is:
        text tasks train it."""
        if b["pixels"] is None:
            return None
        return self.sight.single(b["pixels"]) if b["single"] else self.sight(b["pixels"])

    def picture_states(self, b, group):
        """As `states`, for a batch of picture_data.py: (scored positions up to the last product of the head, the loss of
        looking)."""
        net, n = self.net, len(b["ids"])
        grids = torch.where(b["masked"] < 0, net.mask, b["masked"])
        if b["source"] is not None:
            grids = torch.cat([b["source"], grids])
        with torch.autocast(b["ids"].device.type, torch.bfloat16, enabled=self.bf16):
            seen, ids = grids.unique(return_inverse=True)
            tokens = net.gen_tokens(ids, self.table()[seen])
            tokens = tokens.bfloat16() if self.bf16 else tokens
            source, looked = None, []
            if b["source"] is not None:
                source, tokens = (tokens[:n], b["source_places"], b["shown"]), tokens[n:]
            x = embed(net, b["ids"], self.look(b))
            cache, bias, split = picture_prompt(net, x, b["places"], b["real"], source)
            if self.bf16:
                bias, cache = bias.bfloat16(), [(k.bfloat16(), v.bfloat16()) for k, v in cache]
                split = [tuple(t.bfloat16() for t in layer) for layer in split]
            g, _ = net.gen_and_middle(tokens, cache, bias, b["lengths"], group, split=split, looked=looked)
            states = net.before_head(g, b["cell"], b["corner"])
        return states, 0 if source is None else self.looking_loss(looked[:2], b["kept"] & b["shown"].repeat_interleave(group)[:, None])

    @staticmethod
    def looking_loss(looked, kept):
        """What is kept is found in the source's cell of the same place, at a distance that differs from prompt to prompt; by
        the loss of pictures alone nothing was copied for the first 15 thousand edits. So one head of the first two split
        layers is told where to look. `looked` [P*group, cells, cells] each, `kept` [P*group, cells]."""
        return sum(-each.diagonal(dim1=1, dim2=2)[kept].mean() for each in looked)

    def picture_loss(self, b, group):
        """-> (loss, cross-entropy of each scored position, {name: another part})."""
        states, looking = self.picture_states(b, group)
        codes, each = self.codes(b, states, self.head())
        return codes + looking, each, {"looking": float(torch.as_tensor(looking).detach()) / 2}

    def draw_loss(self, b, group):
        """As `picture_loss`, for a batch of data.py."""
        states, head = self.states(b, group)[0], self.head()
        codes, each = self.codes(b, states, head)
        bound = self.bound(b, states, head)
        return codes + 3 * bound, each, {"bound": float(bound.detach())}

    def text_loss(self, b):
        """Of a batch of records.py -> (loss, {name: its part}: the words, the share of asked tokens whose likeliest word is
        the right one, weighted as the loss, and what is seen)."""
        net, features, seen = self.net, None, 0
        with torch.autocast(b["ids"].device.type, torch.bfloat16, enabled=self.bf16):
            if b["pixels"] is not None:
                patches = self.sight.patches(b["pixels"])
                cells = self.sight.cells(patches)
                features = self.sight.tiles(cells[:len(b["ids"])])
                seen = self.seen_loss(patches, cells, b["things"])
            bias = attention_bias(b["prompt"], b["whole"], b["ids"].shape[1])
            x = embed(net, b["ids"], features)
            states = text_states(net, x, bias.bfloat16() if self.bf16 else bias, b["asked"])
            logits = (states @ net.transformer.ff_out.weight.T).float()
        each, weight = F.cross_entropy(logits, b["target"], reduction="none"), b["weight"]
        right = (logits.detach().argmax(-1) == b["target"]).float()
        mean = lambda values: (values * weight).sum() / weight.sum()
        parts = {"loss": mean(each), "right": mean(right), "seen": seen}
        return parts["loss"] + seen, {name: float(torch.as_tensor(value).detach()) for name, value in parts.items()}

    def seen_loss(self, patches, cells, things):
        """Cross-entropy of the probes: `patches` [B, 64, hidden], `cells` [B, 16, d_model], `things` [B, 64] (-1: unknown)."""
        known = things >= 0
        if not known.any():
            return 0
        n = self.sight.across // 2
        corners = torch.stack([cells @ corner for corner in self.corners], 2)  # [B, 16, 4, d_model]
        corners = corners.unflatten(1, (n, n)).unflatten(3, (2, 2)).transpose(2, 3).flatten(1, 4)
        states = [patches[known], corners[known]]
        return Probed.probes([table() for table in self.seen], states, things[known], self.held_out) / 2


def trained(model, fresh):
    """-> {"picture": what drawing reads, "text": what understanding alone reads, "sight": the tower}, each (hidden matrices
    for Muon, the rest for Adam), and the parts of the text's (understanding.trained, which takes `fresh`)."""
    text, parts = understood(model.net, fresh)
    (matrices, rest), probes = sight_parameters(model.sight), [*model.seen.parameters(), model.corners]
    others = {id(p) for p in matrices + rest + probes}
    pictures = tuple([p for p in part if id(p) not in others] for part in drawn(model))
    return {"picture": pictures, "text": text, "sight": (matrices, rest + probes)}, parts


def model_of(state, codebook):
    """Weights of a checkpoint in a model as it was trained: `Seeing` by train_all.py, else a `Trainee` without its probes."""
    every = any(name.startswith("sight.") for name in state)
    model = (Seeing if every else Trainee)(codebook)
    model.load_state_dict(state, strict=every)
    return model
