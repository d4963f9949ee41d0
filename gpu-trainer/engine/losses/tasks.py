"""The losses of several tasks on one tail, weighed by their uncertainties (Kendall, Gal & Cipolla 2018); labels may be missing anywhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..heads import Ints
from ..multi_task import Uncertainties
from ..objective import Batch, Loss

if TYPE_CHECKING:
    from ..job import Job
    from ..source import Source

COSINE_SCALE = 16.0


class TaskLosses(Loss):
    """Task 0 is the loop's own (`logits`); each other has a cosine head here. `near[t]`: its labels of `job.train`, `far[t]`: of the rows that task 0
    has no label of, which come as the second batch of each step."""

    def __init__(self, weights: list[Tensor], near: list[Ints], far: list[Ints], beside: Source | None, dimension: int, seed: int) -> None:
        """`weights`: what a row of each label of each other task counts."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed & 0x7FFFFFFF)
        self.near, self.far, self.unlabelled = near, far, beside
        self.heads = nn.ParameterList(torch.randn(len(w), dimension, generator=generator) / math.sqrt(dimension) for w in weights)
        self.weights = weights
        self.uncertainties = Uncertainties(1 + len(weights))

    def logits_of(self, task: int, embedding: Tensor) -> Tensor:
        return COSINE_SCALE * embedding @ F.normalize(self.heads[task], dim=1).T

    def loss(self, batch: Batch, embedding: Tensor, logits: Tensor) -> Tensor:
        losses = {0: F.cross_entropy(logits, batch.target, weight=batch.class_weight, label_smoothing=batch.label_smoothing)}
        for t in range(len(self.near)):
            rows, labels = embedding, self.near[t][batch.row]
            if batch.unlabelled is not None and batch.unlabelled_row is not None:
                rows, labels = torch.cat([rows, batch.unlabelled]), np.concatenate([labels, self.far[t][batch.unlabelled_row]])
            known = np.flatnonzero(labels >= 0)
            if len(known) == 0:
                continue
            target = torch.from_numpy(labels[known]).to(rows.device)
            said = self.logits_of(t, rows[torch.from_numpy(known).to(rows.device)])
            losses[t + 1] = F.cross_entropy(said, target, weight=self.weights[t].to(rows.device), label_smoothing=batch.label_smoothing)
        return self.uncertainties.total(losses)


def tasks(job: Job, keep: Ints, network: nn.Module) -> Loss:
    assert job.tasks is not None
    return job.tasks.objective(job)
