"""Cross-entropy over the cosine classifier, with label smoothing (Szegedy et al. 2016), class weights and mixup's two labels (Zhang et al. 2018)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..heads import Ints
from ..objective import Batch, Loss


class CrossEntropy(Loss):
    """share · CE(logits, target) + (1 − share) · CE(logits, other)."""

    def loss(self, batch: Batch, embedding: Tensor, logits: Tensor) -> Tensor:
        def against(target: Tensor) -> Tensor:
            return F.cross_entropy(logits, target, weight=batch.class_weight, label_smoothing=batch.label_smoothing)

        if batch.other is None:
            return against(batch.target)
        return batch.share * against(batch.target) + (1 - batch.share) * against(batch.other)


def cross_entropy(job: object, keep: Ints, network: nn.Module) -> Loss:
    return CrossEntropy()
