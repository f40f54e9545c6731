"""The trainee with eyes: what edits and drawing after feedback train, all that drawing and the tower read."""
import torch
from folder import load_weights
from fused_loss import FusedCrossEntropy
from picture_prompt import picture_prompt
from trainee import Trainee
from trainee import trained as drawn
from understanding import Sight, embed, sight_parameters


class Seeing(Trainee):
    def __init__(self, codebook, bf16=False):
        super().__init__(codebook, bf16)
        self.sight = Sight()

    @torch.no_grad()
    def take(self, folder):
        super().take(folder)
        weights = load_weights(folder)
        if "model.image_newline" in weights:
            self.sight.take(weights)

    def look(self, b):
        """Features of the batch's pictures, in the order of their places in the prompts."""
        if b["pixels"] is None:
            return None
        return self.sight.single(b["pixels"]) if b["single"] else self.sight(b["pixels"])

    def picture_states(self, b, group):
        """As `states`, for a batch of picture_data.py: (scored positions up to the last product of the head, gen states that
        leave the last layer and the last joint one)."""
        net, n = self.net, len(b["ids"])
        grids = torch.where(b["masked"] < 0, net.mask, b["masked"])
        if b["source"] is not None:
            grids = torch.cat([b["source"], grids])
        with torch.autocast(b["ids"].device.type, torch.bfloat16, enabled=self.bf16):
            seen, ids = grids.unique(return_inverse=True)
            tokens = net.gen_tokens(ids, self.table()[seen])
            tokens = tokens.bfloat16() if self.bf16 else tokens
            source = None
            if b["source"] is not None:
                source, tokens = (tokens[:n], b["source_places"], b["shown"]), tokens[n:]
            x = embed(net, b["ids"], self.look(b))
            cache, bias, split = picture_prompt(net, x, b["places"], b["real"], source)
            if self.bf16:
                bias, cache = bias.bfloat16(), [(k.bfloat16(), v.bfloat16()) for k, v in cache]
                split = [tuple(t.bfloat16() for t in layer) for layer in split]
            g, middle = net.gen_and_middle(tokens, cache, bias, b["lengths"], group, split=split)
            return net.before_head(g, b["cell"], b["corner"]), (g, middle)

    def picture_loss(self, b, group):
        """-> (loss, cross-entropy of each scored position, {"layout": its part})."""
        states, hidden = self.picture_states(b, group)
        states = states.bfloat16() if self.bf16 else states
        codes, each = FusedCrossEntropy.apply(states, self.head(), b["target"], b["weight"] / b["weight"].sum())
        layout = self.probed_layout(b, hidden)[2]
        return codes + layout, each, {"layout": layout.detach() / 2}


def trained(model):
    """Parameters that drawing uses and those of the tower, as (hidden matrices for Muon, the rest for Adam)."""
    tower = {id(p) for p in model.sight.parameters()}
    return tuple([p for p in part if id(p) not in tower] + seen for part, seen in zip(drawn(model), sight_parameters(model.sight)))
