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


def open_folder(folder: pathlib.Path = ROOT / "models/scenes"):
    """-> (network, VQ, config). The two VQ tables are in the network: `gen_embedding[0]`, `gen_predictor[2]`."""
    config = json.loads((folder / "config.json").read_text())
    network = Network(config)
    tensors = load_file(folder / "model.safetensors")
    network.load_state_dict({k.removeprefix("model."): v.float() for k, v in tensors.items()})
    vq = VQ(json.loads((folder / "vqvae/config.json").read_text()))
    vq.load_state_dict({k: v.float() for k, v in load_file(folder / "vqvae/diffusion_pytorch_model.safetensors").items()})
    return network.eval(), vq.eval(), config
