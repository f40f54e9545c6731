"""Opens models/scenes in PyTorch: the shipped fp16 weights as fp32, in the network of this folder."""
import json
import pathlib
import sys

from safetensors.torch import load_file

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "vq")]
from network import Network  # noqa: E402
from vq_model import VQ  # noqa: E402


def load_weights(folder: pathlib.Path = ROOT / "models/scenes") -> dict:
    """fp32 tensors of all shards, under the published names."""
    shards = sorted(folder.glob("model*.safetensors"))
    return {name: value.float() for shard in shards for name, value in load_file(shard).items()}


def network_of(weights: dict, config: dict) -> Network:
    network = Network(config)
    own = network.state_dict()
    network.load_state_dict({name: weights[f"model.{name}"] for name in own})
    return network


def open_folder(folder: pathlib.Path = ROOT / "models/scenes"):
    """-> (network, VQ, config). The two VQ tables are in the network: `gen_embedding[0]`, `gen_predictor[2]`."""
    config = json.loads((folder / "config.json").read_text())
    network = network_of(load_weights(folder), config)
    vq = VQ(json.loads((folder / "vqvae/config.json").read_text()))
    vq.load_state_dict({k: v.float() for k, v in load_file(folder / "vqvae/diffusion_pytorch_model.safetensors").items()})
    return network.eval(), vq.eval(), config
