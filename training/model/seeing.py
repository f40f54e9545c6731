"""The trainee of all tasks: it draws, sees pictures in prompts, and reads."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from config import CONFIG, VISION
from copying import looking_loss
from data import held_out_things
from folder import load_weights
from picture_prompt import picture_prompt
from probes import Probed, Things
from records import SEEN
from sight import Sight
from trainee import Trainee
from understanding import LOUD, attention_bias, embed, text_states, writers


SIGHT = ("sight.", "seen.", "corners", "extents")


class Seeing(Trainee):
    """With the VQ tables as drawing left them: no task brings new codes."""

    def __init__(self, codebook, bf16=False):
        super().__init__(codebook, bf16, fixed=True)
        self.sight = Sight()
        # Training only: which class in which tint stands in each patch, how far that thing extends and what it is to the
        # others, read from the tower's last layer and from what of it enters the text. Questions ask for one thing of a picture, and late; these
        # ask for all of it.
        widths = [VISION["hidden_size"], CONFIG["d_model"]]
        self.seen = nn.ModuleList([Things(width) for width in widths])
        self.corners = nn.Parameter(torch.randn(4, widths[1], widths[1]) / widths[1] ** 0.5)
        self.extents = nn.Parameter(torch.zeros(sum(widths), sum(SEEN)))
        self.extents_bias = nn.Parameter(torch.zeros(2, sum(SEEN)))
        # And one reads the cell of gen tokens behind the joint layers, of a source and of what is drawn alike, so that the
        # split layers can look at the same place (`looking_loss`).
        cells = (CONFIG["native_resolution"] // 32) ** 2
        self.places, self.places_bias = nn.Parameter(torch.zeros(cells, CONFIG["d_model_gen"])), nn.Parameter(torch.zeros(cells))
        self.register_buffer("held_out", held_out_things(), persistent=False)

    @torch.no_grad()
    def take(self, folder):
        super().take(folder)
        weights = load_weights(folder)
        if "model.image_newline" in weights:
            self.sight.take(weights)
        if not weights["model.transformer.ff_out.weight"].any():  # no text was trained yet
            for p in writers(self.net):
                p.mul_(LOUD)

    @torch.no_grad()
    def take_sight(self, state, pixels):
        """The tower of a checkpoint of train_sight.py, such that what it shows of `pixels` is as loud as the other writers."""
        self.load_state_dict({k: v for k, v in state.items() if k.startswith(SIGHT)}, strict=False)
        loud = LOUD / self.sight(pixels).std()
        for part in self.sight.project[1].parameters():
            part.mul_(loud)

    @torch.no_grad()
    def look(self, b):
        """Features of the batch's pictures, in the order of their places in the prompts. What draws takes the tower as it is:
        text tasks train it."""
        if b["pixels"] is None:
            return None
        return self.sight.single(b["pixels"]) if b["single"] else self.sight(b["pixels"])

    def picture_states(self, b, group):
        """As `states`, for a batch of picture_data.py: (scored positions up to the last product of the head, {name:
        loss} of the places and of looking)."""
        net, n = self.net, len(b["ids"])
        grids = torch.where(b["masked"] < 0, net.mask, b["masked"])
        if b["source"] is not None:
            grids = torch.cat([b["source"], grids])
        with torch.autocast(b["ids"].device.type, torch.bfloat16, enabled=self.bf16):
            seen, ids = grids.unique(return_inverse=True)
            tokens = net.gen_tokens(ids, self.table()[seen])
            tokens = tokens.bfloat16() if self.bf16 else tokens
            source, looked, middle = None, [], []
            if b["source"] is not None:
                source, tokens = (tokens[:n], b["source_places"], b["shown"]), tokens[n:]
            x = embed(net, b["ids"], self.look(b))
            cache, bias, split = picture_prompt(net, x, b["places"], b["real"], source, middle)
            if self.bf16:
                bias, cache = bias.bfloat16(), [(k.bfloat16(), v.bfloat16()) for k, v in cache]
                split = [tuple(t.bfloat16() for t in layer) for layer in split]
            g, drawn = net.gen_and_middle(tokens, cache, bias, b["lengths"], group, split=split, looked=looked)
            states = net.before_head(g, b["cell"], b["corner"])
        if source is None:
            return states, {"places": self.place_loss(drawn), "looking": looking_loss(looked)}
        shown = b["shown"].repeat_interleave(group)
        places = self.place_loss(middle[0][b["shown"]]) + self.place_loss(drawn[shown])
        return states, {"places": places, "looking": looking_loss(looked, shown, b["kept"])}

    @torch.no_grad()
    def layers(self, b):
        """States that leave each layer of the generation branch [P, cells, d_model_gen], for a batch of data.py with a picture
        a prompt."""
        net, out = self.net, []
        cache, bias, _ = net.prompt_and_hidden(b["prompt"], b["lengths"])
        seen, ids = torch.where(b["masked"] < 0, net.mask, b["masked"]).unique(return_inverse=True)
        net.gen_and_middle(net.gen_tokens(ids, self.table()[seen]), cache, bias, b["lengths"], 1, layers=out)
        return [states for _, states in out]

    def place_loss(self, states):
        """Cross-entropy of the cell of gen states [N, cells, d_model_gen]."""
        logits = Probed.normal(states) @ self.places.T + self.places_bias
        return F.cross_entropy(logits.flatten(0, 1), torch.arange(states.shape[1]).repeat(len(states)))

    def picture_loss(self, b, group, looks=1.0):
        """`looks`: how much places and looks count. -> (loss, cross-entropy of each scored position, {name: another part})."""
        states, others = self.picture_states(b, group)
        codes, each = self.codes(b, states, self.head())
        return codes + looks * sum(others.values()), each, {name: float(value.detach()) for name, value in others.items()}

    def draw_loss(self, b, group, looks=1.0, taught=None):
        """As `picture_loss`, for a batch of data.py. `taught`: (a teacher's lesson, its share in what is asked)."""
        looked = []
        states, (_, drawn), _ = self.states(b, group, looked)
        head = self.head()
        codes, each = self.codes(b, states, head, taught and (*taught[0], taught[1]))
        parts = {"bound": self.bound(b, states, head), "places": self.place_loss(drawn), "looking": looking_loss(looked)}
        loss = codes + 3 * parts["bound"] + looks * (parts["places"] + parts["looking"])
        return loss, each, {name: float(value.detach()) for name, value in parts.items()}

    def text_loss(self, b, seeing=True):
        """Of a batch of records.py -> (loss, {name: its part}: the words, the share of asked tokens whose likeliest word is
        the right one, weighted as the loss, and, while the tower is trained (`seeing`), what is seen)."""
        net, features, seen, pointed = self.net, None, 0, []
        with torch.autocast(b["ids"].device.type, torch.bfloat16, enabled=self.bf16):
            if b["pixels"] is not None:
                patches = self.sight.patches(b["pixels"])
                cells = self.sight.cells(patches)
                features = self.sight.tiles(cells[:len(b["ids"])])
                seen = self.seen_loss(patches, cells, b["things"]) if seeing else 0
            bias = attention_bias(b["prompt"], b["whole"], b["ids"].shape[1])
            x = embed(net, b["ids"], features)
            states = text_states(net, x, bias.bfloat16() if self.bf16 else bias, b["asked"], b["looks"], pointed, not seeing)
            logits = (states @ net.transformer.ff_out.weight.T).float()
        each, weight = F.cross_entropy(logits, b["target"], reduction="none"), b["weight"]
        right = (logits.detach().argmax(-1) == b["target"]).float()
        mean = lambda values: (values * weight).sum() / weight.sum()
        parts = {"loss": mean(each), "right": mean(right), "seen": seen, "pointing": sum(pointed)}
        return parts["loss"] + seen + parts["pointing"], {name: float(torch.as_tensor(value).detach()) for name, value in parts.items()}

    def seen_loss(self, patches, cells, things):
        """Cross-entropy of the probes: `patches` [B, 64, hidden], `cells` [B, 16, d_model], `things` [B, 64, 1 + SEEN]
        (records.shown; -1: unknown)."""
        known = things[..., 0] >= 0
        if not known.any():
            return 0
        n = self.sight.across // 2
        corners = torch.stack([cells @ corner for corner in self.corners], 2)  # [B, 16, 4, d_model]
        corners = corners.unflatten(1, (n, n)).unflatten(3, (2, 2)).transpose(2, 3).flatten(1, 4)
        loss = Probed.probes([table() for table in self.seen], [patches[known], corners[known]], things[..., 0][known], self.held_out)
        within = things[..., 1] >= 0
        columns, widths = things[..., 1:][within].T, [patches.shape[-1], corners.shape[-1]]
        for states, weight, bias in zip((patches, corners), self.extents.split(widths), self.extents_bias):
            logits = Probed.normal(states[within]) @ weight + bias
            each = [F.cross_entropy(of, column) for of, column in zip(logits.split(SEEN, -1), columns)]
            # How many of a class there are, in whatever tints, comes last.
            loss = loss + sum(each[:4]) / 4 + sum(each[4:]) / 2 + 2 * each[5]
        return loss / 2


def model_of(state, codebook):
    """Weights of a checkpoint in a model as it was trained: `Seeing` by train_texts.py and train_edits.py, else a `Trainee` without its probes."""
    every = any(name.startswith("sight.") for name in state)
    model = (Seeing if every else Trainee)(codebook)
    model.load_state_dict(state, strict=every)
    return model
