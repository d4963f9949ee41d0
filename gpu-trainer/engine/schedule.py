"""Which blocks learn when and how fast, how much each class counts, and which rows only watch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from . import targets
from .heads import Ints
from .recipe import Recipe


def unfrozen(recipe: Recipe, epoch: int, total: int) -> int:
    """How many blocks, counted from the end, learn in this epoch. Gradual unfreezing (Howard & Ruder 2018) frees them one by one over the first half
    of the epochs after the probe; LP-FT (Kumar et al. 2022) frees none while the head alone learns."""
    most = recipe.last_blocks or total
    if epoch < recipe.probe_epochs:
        return 0
    if not recipe.gradual_unfreezing:
        return most
    half = max(1, math.ceil((recipe.epochs - recipe.probe_epochs) / 2))
    return min(most, 1 + (epoch - recipe.probe_epochs) * most // half)


def rate(recipe: Recipe, place: float, step: float) -> float:
    """Warm-up from 0, then a cosine to 0 (Loshchilov & Hutter 2017), as a share of the learning rate. `step`: share of all steps that one is."""
    if place < recipe.warmup:
        return (place + step) / (recipe.warmup + step)
    return 0.5 * (1 + math.cos(math.pi * (place - recipe.warmup) / (1 - recipe.warmup)))


def class_weight(recipe: Recipe, y: Ints, labels: int, device: torch.device) -> Tensor:
    """What a row of each class counts; of several labels, what each counts in a row that has it beside one that lacks it: the more the rarer it is,
    by the square root, as Mahajan et al. (2018) draw rare tags. Weighed fully, three rows of a label would outshout all others."""
    if recipe.class_weights == "none":
        return torch.ones(labels, device=device)
    counts = targets.counts(y, labels).astype(np.float64)
    if targets.several(y):
        lack = np.sqrt(np.divide(len(y) - counts, counts, out=np.ones_like(counts), where=(counts > 0) & (counts < len(y))))
        return torch.tensor(lack, dtype=torch.float32, device=device)
    weight = np.divide(len(y), (counts > 0).sum() * counts, out=np.zeros_like(counts), where=counts > 0)
    return torch.tensor(weight, dtype=torch.float32, device=device)


def set_aside(y: Ints) -> Ints:
    """Every fifth row of each class, of several labels by the rarest (Prechelt 1998: early stopping needs rows that nothing learns from)."""
    seen: dict[int, int] = {}
    out = np.zeros(len(y), dtype=bool)
    for i, c in enumerate(targets.strata(y).tolist()):
        seen[c] = seen.get(c, 0) + 1
        out[i] = seen[c] % 5 == 0
    return out
