"""Contrastive objectives on the embedding alone: no classifier learns from them, a closed-form head follows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..heads import Ints, Matrix
from ..objective import Batch, Loss

TEMPERATURE = 0.1
# Rows that are compared with one another where they only watch: the square of it is in memory.
WATCHED_MAX = 2_000


class Halves(Loss):
    """A batch of two halves of which place i of one belongs to place i of the other; its rows count the same, whatever their class."""

    def counted(self, class_weight: Tensor, target: Ints) -> Matrix:
        return np.ones(len(target))

    def split(self, size: int, pieces: int) -> list[Ints]:
        half = size // 2
        return [np.concatenate([part, part + half]) for part in super().split(half, min(pieces, half))]


def thinned(embedding: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """At most WATCHED_MAX rows, evenly spread: rows of a class often stand together."""
    kept = torch.linspace(0, len(target) - 1, min(len(target), WATCHED_MAX), device=target.device).round().long()
    return embedding[kept], target[kept]


class Pairs(Halves):
    """SetFit's first step (Tunstall et al. 2022): (cos(u, v) − [same label])² over sampled pairs. Each epoch gives every row one partner of its own
    class and one of another; a batch is the left halves, then the right halves."""

    def loss(self, batch: Batch, embedding: Tensor, logits: Tensor) -> Tensor:
        half = len(embedding) // 2
        cosine = F.cosine_similarity(embedding[:half], embedding[half:])
        return F.mse_loss(cosine, (batch.target[:half] == batch.target[half:]).to(cosine.dtype))

    def aside(self, embedding: Tensor, logits: Tensor, target: Tensor) -> Tensor:
        """Of every pair of rows; pairs of one class and of two weigh the same, as they do in training."""
        embedding, target = thinned(embedding, target)
        off = ~torch.eye(len(embedding), dtype=torch.bool, device=embedding.device)
        same = target[:, None] == target[None, :]
        error = (F.normalize(embedding, dim=1) @ F.normalize(embedding, dim=1).T - same.to(embedding.dtype)).square()
        each = [error[kind & off].mean() for kind in (same, ~same) if (kind & off).any()]
        return torch.stack(each).mean() if each else error.mean()

    def batches(self, y: Ints, size: int, generator: torch.Generator, rows: Ints) -> list[list[int]]:
        pairs: list[tuple[int, int]] = []
        for i, label in enumerate(y.tolist()):
            same = np.flatnonzero(y == label)
            same, others = same[same != i], np.flatnonzero(y != label)
            pools = [pool for pool in (same, others) if len(pool)]
            pairs += [(i, int(pool[int(torch.randint(len(pool), (1,), generator=generator))])) for pool in pools]
        order = torch.randperm(len(pairs), generator=generator).tolist()
        half = max(1, size // 2)
        parts = [[pairs[k] for k in order[s : s + half]] for s in range(0, len(order), half)]
        return [[a for a, _ in part] + [b for _, b in part] for part in parts]


class SupervisedContrastive(Halves):
    """Khosla et al. 2020 (L_out): −1/|P(i)| Σ_{p∈P(i)} log( exp(z_i·z_p/τ) / Σ_{a≠i} exp(z_i·z_a/τ) ), every row in two views a batch."""

    def loss(self, batch: Batch, embedding: Tensor, logits: Tensor) -> Tensor:
        return self.among(embedding, batch.target)

    def aside(self, embedding: Tensor, logits: Tensor, target: Tensor) -> Tensor:
        return self.among(*thinned(embedding, target))

    def among(self, embedding: Tensor, target: Tensor) -> Tensor:
        z = F.normalize(embedding, dim=1)
        own = torch.eye(len(z), dtype=torch.bool, device=z.device)
        similarity = (z @ z.T / TEMPERATURE).masked_fill(own, -1e9)
        log_share = similarity - similarity.logsumexp(dim=1, keepdim=True)
        positive = ((target[:, None] == target[None, :]) & ~own).to(z.dtype)
        return -((positive * log_share).sum(1) / positive.sum(1).clamp_min(1)).mean()

    def batches(self, y: Ints, size: int, generator: torch.Generator, rows: Ints) -> list[list[int]]:
        return [part + part for part in super().batches(y, max(1, size // 2), generator, rows)]


def pairs(job: object, keep: Ints, network: nn.Module) -> Loss:
    return Pairs()


def supervised(job: object, keep: Ints, network: nn.Module) -> Loss:
    return SupervisedContrastive()
