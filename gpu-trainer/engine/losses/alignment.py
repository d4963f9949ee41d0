"""Cross-entropy on the source (and on the target's labelled rows) with a discrepancy between the domains beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..adabn import set_statistics
from ..heads import Ints
from ..network import OWN_DIMENSION, Network
from ..objective import Batch, Loss
from .coral import coral_loss
from .dann import Critic, dann_loss, strength_at
from .mmd import mmd_loss

if TYPE_CHECKING:
    from ..job import Job
    from ..source import Source

# Where the target has labels, the last part of the training is fine-tuning on them; the source stays as a light anchor.
FINE_TUNING_FROM = 0.75
SOURCE_SHARE_AT_END = 0.1
DEFAULT_WEIGHTS = {"coral": 10.0, "mmd": 3.0, "dann": 0.1}
STATISTICS_BATCH = 64
# What the statistics before count beside those of a domain.
PRIOR_ROWS = 64.0


class Adapted(Loss):
    """CE + strength(place) · discrepancy(source, target); `from_target`: which rows of `job.train` are labelled rows of the target.

    With such rows every batch is half theirs (drawn again and again as they are few), and from FINE_TUNING_FROM on the source weighs little.
    """

    def __init__(self, from_target: Ints, target: Source | None, weight: float) -> None:
        super().__init__()
        self.from_target, self.unlabelled, self.weight = from_target, target, weight

    def discrepancy(self, source: Tensor, target: Tensor, place: float) -> Tensor:
        raise NotImplementedError

    def loss(self, batch: Batch, embedding: Tensor, logits: Tensor) -> Tensor:
        near = self.from_target[batch.row]
        each = F.cross_entropy(logits, batch.target, label_smoothing=batch.label_smoothing, reduction="none")
        share = batch.class_weight[batch.target]
        if near.any() and batch.place >= FINE_TUNING_FROM:
            share = share * torch.from_numpy(np.where(near, 1.0, SOURCE_SHARE_AT_END)).to(share)
        loss = (share * each).sum() / share.sum()
        source = embedding[torch.from_numpy(~near)]
        if batch.unlabelled is None or batch.probing or len(source) < 2 or self.weight == 0:
            return loss
        # Unit rows have entries of 1/√d; times √d the scale, and with it the weight of the loss, does not depend on the backbone.
        scale = math.sqrt(embedding.shape[1])
        return loss + self.discrepancy(scale * source, scale * batch.unlabelled, batch.place)

    def batches(self, y: Ints, size: int, generator: torch.Generator, rows: Ints) -> list[list[int]]:
        near = self.from_target[rows]
        if not near.any() or near.all():
            return super().batches(y, size, generator, rows)
        few, many = np.flatnonzero(near), np.flatnonzero(~near)
        order = torch.randperm(len(many), generator=generator).numpy()
        half = max(1, size // 2)
        parts = [many[order[i : i + half]] for i in range(0, len(order), half)]
        return [[*p.tolist(), *few[torch.randint(0, len(few), (len(p),), generator=generator).numpy()].tolist()] for p in parts]


class Moments(Adapted):
    """Deep CORAL or MMD, growing with the schedule of DANN, as the features of the first steps say little."""

    def __init__(self, measure: Callable[[Tensor, Tensor], Tensor], from_target: Ints, target: Source, weight: float) -> None:
        super().__init__(from_target, target, weight)
        self.measure = measure

    def discrepancy(self, source: Tensor, target: Tensor, place: float) -> Tensor:
        return strength_at(place, self.weight) * self.measure(source, target)


class Confused(Adapted):
    """DANN: the critic learns at full rate, the features receive its reversed gradient at the strength of the schedule."""

    def __init__(self, dimension: int, seed: int, from_target: Ints, target: Source, weight: float) -> None:
        super().__init__(from_target, target, weight)
        self.critic = Critic(dimension, torch.Generator().manual_seed(seed & 0x7FFFFFFF))

    def discrepancy(self, source: Tensor, target: Tensor, place: float) -> Tensor:
        return dann_loss(self.critic, source, target, strength_at(place, self.weight))


def weight_of(job: Job) -> float:
    weight = job.recipe.alignment_weight
    assert weight is not None
    return float(weight)


def source_only(job: Job, keep: Ints, network: nn.Module) -> Loss:
    return Adapted(job.from_target, None, 0.0)


def coral(job: Job, keep: Ints, network: nn.Module) -> Loss:
    return Moments(coral_loss, job.from_target, job.target_source(), weight_of(job))


def mmd(job: Job, keep: Ints, network: nn.Module) -> Loss:
    return Moments(mmd_loss, job.from_target, job.target_source(), weight_of(job))


def dann(job: Job, keep: Ints, network: nn.Module) -> Loss:
    return Confused(OWN_DIMENSION[job.recipe.modality], job.spec["seed"], job.from_target, job.target_source(), weight_of(job))


def adabn(job: Job, keep: Ints, network: nn.Module) -> Loss:
    """Trained under the source's own statistics; those of the target come in when it is served (deploy.py)."""
    source = job.source_of(job.train)
    adopt_statistics(network, source, keep[~job.from_target[keep]].tolist(), job.check_stop)
    return Adapted(job.from_target, None, 0.0)


def target_statistics(job: Job, network: Network, between: Callable[[], None]) -> Network:
    """`network` with its batch statistics moved to the target's."""
    adopt_statistics(network, job.target_source(), list(range(len(job.target_features))), between)
    return network


def adopt_statistics(network: nn.Module, source: Source, rows: list[int], between: Callable[[], None]) -> None:
    """`between`: called before each batch of each layer."""
    if not rows:
        return
    tail = network.get_submodule("tail")
    device = next(tail.parameters()).device
    parts = [rows[i : i + STATISTICS_BATCH] for i in range(0, len(rows), STATISTICS_BATCH)]
    set_statistics(tail, Batches(source, parts, device, between), PRIOR_ROWS)


class Batches(Sequence[Tensor]):
    """Read anew each time: the statistics of a layer take one pass over all rows, which may be more than memory holds."""

    def __init__(self, source: Source, parts: list[list[int]], device: torch.device, between: Callable[[], None]) -> None:
        self.source, self.parts, self.device, self.between = source, parts, device, between

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, i: Any) -> Any:
        self.between()
        return self.source.batch(self.parts[i], [0] * len(self.parts[i]), self.device)[0]
