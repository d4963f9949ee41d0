"""Contrastive objectives on the embedding alone: no classifier learns from them, a closed-form head follows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..heads import Ints
from ..objective import Batch, Loss

TEMPERATURE = 0.1


class Halves(Loss):
    """A batch of two halves of which place i of one belongs to place i of the other."""

    def split(self, size: int, pieces: int) -> list[Ints]:
        half = size // 2
        return [np.concatenate([part, part + half]) for part in super().split(half, min(pieces, half))]


class Pairs(Halves):
    """SetFit's first step (Tunstall et al. 2022): (cos(u, v) − [same label])² over sampled pairs. Each epoch gives every row one partner of its own
    class and one of another; a batch is the left halves, then the right halves."""

    def loss(self, batch: Batch, embedding: Tensor, logits: Tensor) -> Tensor:
        half = len(embedding) // 2
        cosine = F.cosine_similarity(embedding[:half], embedding[half:])
        return F.mse_loss(cosine, (batch.target[:half] == batch.target[half:]).to(cosine.dtype))

    def batches(self, y: Ints, size: int, generator: torch.Generator) -> list[list[int]]:
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
        z = F.normalize(embedding, dim=1)
        own = torch.eye(len(z), dtype=torch.bool, device=z.device)
        similarity = (z @ z.T / TEMPERATURE).masked_fill(own, -1e9)
        log_share = similarity - similarity.logsumexp(dim=1, keepdim=True)
        positive = ((batch.target[:, None] == batch.target[None, :]) & ~own).to(z.dtype)
        return -((positive * log_share).sum(1) / positive.sum(1).clamp_min(1)).mean()

    def batches(self, y: Ints, size: int, generator: torch.Generator) -> list[list[int]]:
        return [part + part for part in super().batches(y, max(1, size // 2), generator)]


def pairs(job: object, keep: Ints, network: nn.Module) -> Loss:
    return Pairs()


def supervised(job: object, keep: Ints, network: nn.Module) -> Loss:
    return SupervisedContrastive()
