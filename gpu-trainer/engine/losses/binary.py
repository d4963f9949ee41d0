"""Binary cross-entropy of every label by itself, for rows that may have any number of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import targets
from ..heads import Ints, Matrix
from ..objective import Batch, Loss

if TYPE_CHECKING:
    from ..job import Job


class BinaryCrossEntropy(Loss):
    """Mean over rows of Σ_c w_c y_c log σ(z_c + b_c) + (1 − y_c) log σ(−z_c − b_c), negated; w is `Batch.class_weight`.

    Each label has a bias, because most rows lack it: it begins where a head that sees nothing would be (Lin et al. 2017, 3.3). Smoothed targets
    (Szegedy et al. 2016, eq. 7) go towards the label's own share of rows instead of ½, and with mixup (Zhang et al. 2018) a row has the labels of its
    two rows by their shares.
    """

    def __init__(self, shares: Matrix) -> None:
        """`shares`: of rows that have each label, [labels], between 0 and 1."""
        super().__init__()
        share = torch.tensor(shares, dtype=torch.float32)
        self.register_buffer("share", share, persistent=False)
        self.share: Tensor
        self.bias = nn.Parameter(share.logit())

    def loss(self, batch: Batch, embedding: Tensor, logits: Tensor) -> Tensor:
        y = batch.target.float()
        if batch.other is not None:
            y = batch.share * y + (1 - batch.share) * batch.other.float()
        y = (1 - batch.label_smoothing) * y + batch.label_smoothing * self.share
        return F.binary_cross_entropy_with_logits(logits + self.bias, y, pos_weight=batch.class_weight, reduction="sum") / len(y)

    def aside(self, embedding: Tensor, logits: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits + self.bias, target.float(), reduction="sum") / len(target)

    def counted(self, class_weight: Tensor, target: Ints) -> Matrix:
        return np.ones(len(target))


def binary_cross_entropy(job: Job, keep: Ints, network: nn.Module) -> Loss:
    return of_rows(job.train.labels[keep])


def of_rows(y: Ints) -> BinaryCrossEntropy:
    """With the shares of these rows, [n, labels]; none is said to be 0 or 1 by a few rows."""
    return BinaryCrossEntropy((targets.counts(y, y.shape[1]) + 0.5) / (len(y) + 1))
