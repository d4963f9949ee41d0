"""Uncertainty weighting, missing labels and the verdict on each task."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.multi_task import Task, Uncertainties, paired_interval, task_result
from engine.recipe import recipe_of
from engine.task_models import Tasks


def test_uncertainties_settle_where_the_variance_equals_twice_the_loss() -> None:
    """d/ds (e^{−s} L + s/2) = 0 at s = ln 2 L."""
    weights = Uncertainties(2)
    optimiser = torch.optim.Adam(weights.parameters(), lr=0.05)
    for _ in range(400):
        total = weights.total({0: torch.tensor(2.0), 1: torch.tensor(0.25)})
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    np.testing.assert_allclose(weights.log_variance.detach(), [np.log(4.0), np.log(0.5)], atol=1e-2)


def test_a_task_without_a_label_in_the_batch_does_not_move() -> None:
    weights = Uncertainties(3)
    weights.total({1: torch.tensor(3.0)}).backward()
    gradient = weights.log_variance.grad
    assert gradient is not None
    assert gradient[0] == 0 and gradient[2] == 0 and gradient[1] == -2.5


@pytest.mark.parametrize(("asked", "expected"), [("balanced", [7 / 8, 7 / 6]), ("none", [1.0, 1.0])])
def test_labels_of_every_task_count_as_the_job_asks(asked: str, expected: list[float]) -> None:
    """Of rows that have a label of the task, those without one of the served task among them."""
    tasks = Tasks.__new__(Tasks)
    tasks.names = [{"name": "topic", "labels": ["a", "b"]}, {"name": "size", "labels": ["short", "long"]}]
    tasks.near, tasks.far = np.array([[0, 1, 0, 1, 0], [0, 0, 1, -1, 1]]), np.array([[-1, -1, -1], [1, 0, 0]])
    tasks.features = []  # type: ignore[assignment]
    job: Any = SimpleNamespace(recipe=recipe_of("multi_task", {"class_weights": asked}, "text"), spec={"seed": 1})
    (weight,) = tasks.objective(job).weights
    assert weight.tolist() == pytest.approx(expected)


def test_only_rows_with_a_label_of_the_task_are_counted_and_a_clear_loss_is_named() -> None:
    truth = np.array([0, 1] * 40 + [-1] * 20)
    alone = np.where(truth < 0, 0, truth)
    together = alone.copy()
    together[:30] = 1 - together[:30]
    task = Task("colour", ["red", "green"], truth)
    result = task_result(task, truth, together, alone, 1)
    assert result["held_out_rows"] == 80
    assert result["single_task_accuracy"] == 1.0 and result["accuracy"] == 50 / 80
    assert result["negative_transfer"] and result["interval"]["high"] < 0
    same = task_result(task, truth, alone, alone, 1)
    assert not same["negative_transfer"] and same["interval"] == {"low": 0.0, "high": 0.0}
    one = together.copy()
    one[:80] = alone[:80]
    one[0] = 1 - one[0]
    assert not task_result(task, truth, one, alone, 1)["negative_transfer"]


def test_the_paired_interval_covers_the_true_difference() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for trial in range(100):
        ours, theirs = random.random(200) < 0.8, random.random(200) < 0.7
        low, high = paired_interval(ours, theirs, trial)
        covered += low <= 0.1 <= high
    assert 88 <= covered <= 100
