"""Which parameters of a `Seeing` its stages train together: each as (hidden matrices for Muon, the rest for Adam)."""
import torch
from config import CONFIG
from copying import copier_parameters, looking_parts
from sight import sight_parameters
from stage import Team
from trainee import trained as drawn
from understanding import trained as understood
from understanding import LOUD, writers

JOINT = CONFIG["dual_tower_layers"] + 1


def words_of(batches):
    """bool [vocabulary]: words that any of the prompts holds, ids below 0 aside."""
    held = torch.zeros(CONFIG["embedding_size"], dtype=torch.bool)
    for ids in batches:
        held[ids[ids >= 0]] = True
    return held


def sight_of(model):
    """The tower with its probes, without what of it writes into the text side."""
    matrices, rest = sight_parameters(model.sight)
    return [*matrices, model.extents], [*rest, *model.seen.parameters(), model.corners, model.extents_bias]


def sight_teams(model, rate, adam, writer_rate, writer_adam, bf16, until=1.0):
    """-> {name: Team} of the tower and of the last of the projector."""
    projector = [model.sight.project[1].weight], [model.sight.project[1].bias]
    return {"sight": Team(sight_of(model), rate, adam, bf16, until),
            "projector": Team(projector, writer_rate, writer_adam, bf16, until)}


def text_teams(model, fresh, rate, adam, bf16):
    """-> {name: Team} of what understanding alone reads. `fresh` bool [vocabulary]: words whose embeddings may change."""
    text, parts = understood(model.net, fresh)
    return {"text": Team(text, rate, adam, bf16, parts=parts),
            "writers": Team((writers(model.net), []), rate * LOUD, adam * LOUD, bf16)}


def places_team(model, rate, adam):
    """The probe of places: tables, all of Adam's."""
    return Team(([], [model.places, model.places_bias]), rate, adam)


def picture_teams(model, fresh, rate, adam, copier_rate, bf16):
    """-> {name: Team} of the generation branch and of the embeddings of `fresh` words: nothing that answering, finding,
    planning and judging read. So the shared output projections and the final norm stay, too."""
    names = {id(p): name for name, p in model.net.named_parameters()}
    own = lambda p: (id(p) in names and not names[id(p)].startswith("transformer.ln_f")
                     and ("_vision" in names[id(p)] or not names[id(p)].startswith("transformer.")))
    matrices, rest = (list(filter(own, part)) for part in drawn(model))
    copiers, theirs = copier_parameters(model.net)
    others = {key: 1 - part for key, part in theirs.items()}
    embeddings = model.net.transformer.wte.weight
    return {
        "picture": Team((matrices, rest), rate, adam, bf16, parts=others),
        "copiers": Team(copiers, copier_rate, copier_rate, bf16, parts=theirs),
        "places": places_team(model, rate, adam),
        "words": Team(([], [embeddings]), rate, adam, bf16, parts={id(embeddings): fresh[:, None]}),
    }


def looking_teams(model, rate, adam):
    """-> {name: Team} of where copying heads look and of the probe of places."""
    parts = looking_parts(model.net)
    return {"heads": Team((list(parts), []), rate, adam, parts={id(p): part for p, part in parts.items()}),
            "places": places_team(model, rate, adam)}
