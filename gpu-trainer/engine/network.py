"""What is trained: the tail on cached activations of the shared trunk, or trunk and tail together. Blocks are counted from the input upwards."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, arange, nn

from . import efficientnet, minilm
from .efficientnet import ImageTail, ImageTrunk, load_image
from .minilm import TextTail, TextTrunk, load_text

SCRATCH_MOMENTUM = 0.1
# The first values of an embedding: what the last layer gives. Behind them is what the trunk gives.
OWN_DIMENSION = {"image": efficientnet.OWN_DIMENSION, "text": minilm.WIDTH}


class Network(nn.Module):
    """`trunk` is None when the inputs are its cached activations."""

    def __init__(self, trunk: nn.Module | None, tail: nn.Module) -> None:
        super().__init__()
        self.trunk, self.tail = trunk, tail

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if isinstance(self.trunk, TextTrunk):
            mask = None
            if lengths is not None:
                keep = (arange(x.shape[1], device=x.device)[None, :] < lengths[:, None]).to(torch.float32)
                mask = (1.0 - keep)[:, None, None, :] * -1e9
            x = self.trunk(x, mask)
        elif self.trunk is not None:
            x = self.trunk(x)
        return self.tail(x) if lengths is None else self.tail(x, lengths)


def load_network(weights: Path, image: bool, *, whole: bool, random: int | None) -> Network:
    """The published weights, or random ones of the same network from the seed `random`."""
    trunk, tail = (load_image if image else load_text)(load_file(weights))
    network = Network(trunk if whole else None, tail)
    if random is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random)
            network.apply(draw)
    return network.eval()


def draw(module: nn.Module) -> None:
    """He et al. 2015 for convolutions, N(0, 0.02²) for transformers (Devlin et al. 2019); statistics and norms as if never used."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0, math.sqrt(2 / (module.kernel_size[0] * module.kernel_size[1] * module.out_channels / module.groups)))
    elif isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, 0, 0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        module.reset_running_stats()
        # The published 0.01 needs thousands of steps to forget the start.
        module.momentum = SCRATCH_MOMENTUM
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


def blocks(network: Network) -> list[list[nn.Parameter]]:
    """Parameters block by block, the lowest first: what `last_blocks`, `layer_decay` and `gradual_unfreezing` count."""
    groups: list[list[nn.Module]] = []
    if isinstance(network.trunk, ImageTrunk):
        groups += [[network.trunk._conv_stem, network.trunk._bn0], *([b] for b in network.trunk._blocks)]
    if isinstance(network.trunk, TextTrunk):
        groups += [[network.trunk.words, network.trunk.positions, network.trunk.types, network.trunk.norm], *([x] for x in network.trunk.layers)]
    if isinstance(network.tail, ImageTail):
        groups += [*([b] for b in network.tail._blocks.values()), [network.tail._conv_head, network.tail._bn1]]
    if isinstance(network.tail, TextTail):
        groups += [[x] for x in network.tail.layers.values()]
    return [[p for module in group for p in module.parameters()] for group in groups]


# Blocks of the tail, and of the whole network: 16 inverted residuals with stem and head; the embeddings and 6 layers.
TAIL_BLOCKS = {"image": 2, "text": 2}
ALL_BLOCKS = {"image": 18, "text": 7}
