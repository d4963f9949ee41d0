"""What a method makes small. The loop in tune.py knows nothing of methods: it asks the recipe's `objective` for a `Loss` and calls it.

To add a method: write a subclass of `Loss` in losses/<name>.py, and a recipe in recipe.METHODS whose `objective` is a function
`(job, keep, network) -> Loss`. A loss may own

- parameters (a domain classifier, task heads): it is a `nn.Module`, and they are trained at the full rate and kept in checkpoints with its buffers;
- an unlabelled source (`self.unlabelled`, a `source.Source`, for instance `job.source_of(job.target)`): each step then draws a batch of it as large
  as the labelled one, sends it through the same network, and hands it over as `batch.unlabelled` (features) and `batch.unlabelled_logits`;
  `batch.unlabelled_row`: which of its rows they are;
- its own batches (`batches`): lists of positions in the rows that a stage learns from, default every row once in random order;
- `rows`, positions in `job.train` of the batch, when a loss needs more of a row than its label (`keep` maps the stage's rows to `job.train`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .heads import Ints, Matrix

if TYPE_CHECKING:
    from .job import Job
    from .source import Source


@dataclass(frozen=True)
class Batch:
    """`target`: labels, as targets.py has them. `other`, `share`: mixup's second labels and the share of the first. `class_weight`: [labels].
    `place`: part of all steps done, 0 to 1. `row`: positions in `job.train`. `probing`: only the head learns in this epoch."""

    target: Tensor
    row: Ints
    class_weight: Tensor
    place: float
    epoch: int
    probing: bool
    label_smoothing: float
    other: Tensor | None = None
    share: float = 1.0
    unlabelled: Tensor | None = None
    unlabelled_logits: Tensor | None = None
    unlabelled_row: Ints | None = None


class Loss(nn.Module):
    """Base of every objective. `embedding`: [b, d] features as the heads see them (transformed, unit length); `logits`: the cosine classifier's."""

    unlabelled: Source | None = None

    def loss(self, batch: Batch, embedding: Tensor, logits: Tensor) -> Tensor:
        raise NotImplementedError

    def aside(self, embedding: Tensor, logits: Tensor, target: Tensor) -> Tensor:
        """Loss on rows that only watch, without weights: of what is trained, or it would say nothing about when to stop."""
        return F.cross_entropy(logits, target)

    def counted(self, class_weight: Tensor, target: Ints) -> Matrix:
        """How much each row of a batch counts in its mean."""
        return class_weight.detach().cpu().numpy()[target]

    def batches(self, y: Ints, size: int, generator: torch.Generator, rows: Ints) -> list[list[int]]:
        """The batches of one epoch, as places in `y`; `rows`: where those are in `job.train`. Must draw from `generator` alone, so that a resumed run
        equals an uninterrupted one."""
        order = torch.randperm(len(y), generator=generator).tolist()
        return [order[i : i + size] for i in range(0, len(order), size)]

    def split(self, size: int, pieces: int) -> list[Ints]:
        """The places of a batch in `pieces` parts, for a batch that memory cannot hold at once."""
        return [part for part in np.array_split(np.arange(size), pieces) if len(part)]


Objective = Callable[["Job", Ints, nn.Module], Loss]
