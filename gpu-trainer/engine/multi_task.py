"""Several tasks on one tail: losses weighed by learnt uncertainties (Kendall, Gal & Cipolla 2018), each task then held against itself alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .heads import Ints

RESAMPLES = 2_000


@dataclass(frozen=True)
class Task:
    """`labels_of`: label index of each row, −1 where this task has none."""

    name: str
    labels: list[str]
    labels_of: Ints


class Uncertainties(nn.Module):
    """log σ²_t of each task, from 0: all tasks weigh the same at the start."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(tasks))

    def total(self, losses: dict[int, Tensor]) -> Tensor:
        """Σ_t exp(−s_t) L_t + s_t / 2 over the tasks that the batch has a label of: a task without one neither moves its σ nor anything else."""
        terms = [(-self.log_variance[t]).exp() * loss + self.log_variance[t] / 2 for t, loss in losses.items()]
        return torch.stack(terms).sum()


def paired_interval(ours: NDArray[np.bool_], theirs: NDArray[np.bool_], seed: int) -> tuple[float, float]:
    """95 % percentile interval of mean(ours) − mean(theirs), the same rows drawn for both (Efron & Tibshirani 1993)."""
    difference = ours.astype(np.float64) - theirs.astype(np.float64)
    random = np.random.default_rng([seed & 0x7FFFFFFF, 22])
    n = len(difference)
    means = np.array([difference[random.integers(0, n, n)].mean() for _ in range(RESAMPLES)])
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def task_result(task: Task, truth: Ints, together: Ints, alone: Ints, seed: int) -> dict[str, Any]:
    """A TaskResult of the held-out rows that have a label of this task. `negative_transfer`: worse together, and zero is outside of the interval."""
    keep = truth >= 0
    n = int(keep.sum())
    ours, theirs = together[keep] == truth[keep], alone[keep] == truth[keep]
    accuracy, single = (float(a.mean()) if n else 0.0 for a in (ours, theirs))
    low, high = paired_interval(ours, theirs, seed) if n else (0.0, 0.0)
    return {
        "name": task.name,
        "labels": task.labels,
        "held_out_rows": n,
        "accuracy": accuracy,
        "single_task_accuracy": single,
        "difference": accuracy - single,
        "interval": {"low": low, "high": high},
        "negative_transfer": high < 0,
    }
