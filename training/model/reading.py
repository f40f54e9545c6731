"""How plans read the numbers and relations that they look at.

After 1,600 batches their heads looked at the right places in all cases (0.00 nats), and still a far edge was drawn from its
marginal distribution: what the head brings, its near edge, was not in the values (they said other things, for other
tasks), and a value that nothing reads yet gets no gradient. So it is written: each word below, as far as it can be read
linearly from the state that looks are at (all of it), in its own direction.
"""
import torch
from network import rms
from understanding import attention_bias, embed, text_block

# Layer: its heads that look at what decides an edge, and at a relation (understanding.POINTING).
READERS = {5: (3,), 6: (0, 1, 2)}
LOCATIONS = range(0, 1025, 128)  # edges lie on the world's grid
RIDGE = 1e-2  # of the mean square of what is read


def read_words(looks):
    """Ids of the tokens that are told apart: edges, and the first words of relations."""
    return [looks.tokenizer.token_to_id(f"<LOC_{at}>") for at in LOCATIONS] + sorted(looks.relations)


@torch.no_grad()
def write_reads(model, batches, words, gain):
    """Adds to the values of READERS. `batches` of records.py, in which `words` (ids) occur; `gain`: how loud each becomes, 1
    being as loud as the state that it is added to."""
    net = model.net
    size, count = net.c["d_model"] // net.c["n_heads"], len(words)
    number = torch.full((net.c["vocab_size"],), count)
    number[words] = torch.arange(count)
    sums = {index: [0, 0, 0.0, 0] for index in READERS}
    for b in batches:
        seen = None if b["pixels"] is None else model.sight.tiles(model.sight.cells(model.sight.patches(b["pixels"])))
        x, bias = embed(net, b["ids"], seen), attention_bias(b["prompt"], b["whole"], b["ids"].shape[1])
        real = torch.arange(b["ids"].shape[1]) < b["whole"][:, None]
        # What a picture shows, and every other word, is none of them.
        target = torch.where(b["ids"] < 0, count, number[b["ids"].clamp(min=0)])[real]
        wanted = torch.nn.functional.one_hot(target, count + 1)[:, :count].double()
        for index, block in enumerate(net.transformer.blocks[:max(READERS) + 1]):
            if index in READERS:
                states = rms(x, block.attn_norm.weight, net.c["rms_norm_eps"])[real].double()
                for at, value in enumerate((states.T @ states, states.T @ wanted, float(x[real].square().sum()), len(states))):
                    sums[index][at] = sums[index][at] + value
            x, _ = text_block(net, block, x, bias)
    for index, heads in READERS.items():
        square, product, power, rows = sums[index]
        readout = torch.linalg.solve(square + RIDGE * rows * torch.eye(len(square)).double(), product).float()  # [d_model, count]
        block = net.transformer.blocks[index]
        for head in heads:
            at = slice(head * size, (head + 1) * size)
            directions = torch.linalg.qr(torch.randn(size, count, generator=torch.Generator().manual_seed(index)))[0]
            loud = gain * (power / rows) ** 0.5 / (block.attn_out.weight[:, at] @ directions).norm(dim=0)
            block.v_proj.weight[at] += (directions * loud) @ readout.T
