"""One batch through the network to its loss. With several ranks each sends its own rows through, and all compute the loss of the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from . import ranks
from .heads import Ints
from .network import OWN_DIMENSION, Network
from .objective import Batch
from .recipe import Recipe
from .source import Inputs, Source

if TYPE_CHECKING:
    from .tune import State

COSINE_SCALE = 16.0
DRAWS = 1_000_003


def features(embedding: Tensor, sqrt: bool) -> Tensor:
    """[b, d] -> [b, own], unit rows: what a loss sees is the network's own embedding, which training moves; a trunk that is frozen makes the rest."""
    own = embedding[:, : OWN_DIMENSION["image" if sqrt else "text"]].float()
    return F.normalize((own.clamp_min(0) + 1e-6).sqrt() if sqrt else own, dim=1)


def mixing(size: int, alpha: float, generator: torch.Generator) -> tuple[float, Ints]:
    """Mixup (Zhang et al. 2018): the share of each row, and which row of the batch has the rest. On cached trunk activations it is manifold mixup
    (Verma et al. 2019)."""
    share = float(np.random.default_rng(int(torch.randint(DRAWS, (1,), generator=generator))).beta(alpha, alpha))
    return share, torch.randperm(size, generator=generator).numpy()


def mixed(source: Source, rows: Ints, draws: Ints, own: Ints, share: float, partner: Ints, device: torch.device) -> Inputs:
    """Inputs of the places `own` of a batch, mixed with those of their partners."""
    (x,) = source.batch(rows[own].tolist(), draws[own].tolist(), device)
    if len(own) == len(rows):
        return (share * x + (1 - share) * x[torch.from_numpy(partner).to(device)],)
    (other,) = source.batch(rows[partner[own]].tolist(), draws[partner[own]].tolist(), device)
    return (share * x + (1 - share) * other,)


def forward(network: Network, size: int, inputs: Callable[[Ints], Inputs]) -> Tensor:
    """Embeddings of a batch of `size` rows; each rank sends its own places through the network."""
    if ranks.count() == 1:
        return network(*inputs(np.arange(size)))
    own = ranks.own(size)
    with ranks.memory_shared():
        given = inputs(own if len(own) else np.arange(1))
        # A rank without rows takes part, its gradient is zero. Batch norms must not see a row too many; attention cannot do without one.
        made = network(given[0][: len(own)]) if len(given) == 1 else network(*given)[: len(own)]
    return ranks.whole(made, size)


def step_loss(
    state: State,
    source: Source,
    y: Ints,
    rows: Ints,
    draws: Ints,
    recipe: Recipe,
    weight: Tensor,
    place: float,
    sqrt: bool,
    generator: torch.Generator,
) -> Tensor:
    device = state.classifier.device
    probing = state.epoch < recipe.probe_epochs
    target = torch.from_numpy(y[rows]).to(device)
    share, partner = mixing(len(rows), recipe.mixup, generator) if recipe.mixup > 0 else (1.0, None)
    unlabelled = state.criterion.unlabelled

    def inputs(own: Ints) -> Inputs:
        if partner is not None:
            return mixed(source, rows, draws, own, share, partner, device)
        return source.batch(rows[own].tolist(), draws[own].tolist(), device)

    with torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext():
        raw = forward(state.network, len(rows), inputs)
        extra, chosen = None, None
        if unlabelled is not None:
            far = torch.randint(0, len(unlabelled), (len(rows),), generator=generator).numpy()
            chosen, beside = far, unlabelled
            extra = forward(state.network, len(rows), lambda own: beside.batch(far[own].tolist(), draws[own].tolist(), device))
    classifier = F.normalize(state.classifier, dim=1).T
    feature = features(raw, sqrt)
    distant = None if extra is None else features(extra, sqrt)
    batch = Batch(
        target=target,
        row=rows,
        class_weight=weight,
        place=place,
        epoch=state.epoch,
        probing=probing,
        label_smoothing=recipe.label_smoothing,
        other=None if partner is None else target[torch.from_numpy(partner).to(device)],
        share=share,
        unlabelled=distant,
        unlabelled_logits=None if distant is None else COSINE_SCALE * distant @ classifier,
        unlabelled_row=chosen,
    )
    loss = state.criterion.loss(batch, feature, COSINE_SCALE * feature @ classifier)
    if state.anchor and not probing:
        pull = torch.stack([((p - state.anchor[k]) ** 2).sum() for k, p in state.network.named_parameters() if p.requires_grad]).sum()
        # The pull needs no rows: each rank adds its share of the gradient to the whole value.
        n = ranks.count()
        loss = loss + recipe.l2_sp / 2 * (pull + (n - 1) * pull.detach()) / n
    return loss
