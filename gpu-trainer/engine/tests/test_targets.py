"""What rows of several labels are to heads, folds and weights, beside rows of one."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference

from engine import calibration, heads, kernel, targets

# Rows of two labels, of one, of none, and of one that is alone.
Y = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1], [0, 0, 0], [0, 1, 0]])


def rows(n: int, d: int, seed: int = 3) -> tuple[heads.Matrix, heads.Ints]:
    """Each label has its own direction; a row is the sum of those it has."""
    random = np.random.default_rng(seed)
    y = (random.random((n, 3)) < (0.5, 0.35, 0.2)).astype(np.int64)
    return y @ np.eye(3, d) + random.normal(size=(n, d)) * 0.15, y


def test_a_row_is_fair_when_each_of_its_labels_has_another_row() -> None:
    assert targets.fair(Y, 3).tolist() == [True, True, True, True, False, True, True]
    assert targets.fair(np.array([0, 0, 1]), 2).tolist() == [True, True, False]


def test_classes_are_first_labels_and_strata_rarest_ones() -> None:
    assert targets.classes(Y).tolist() == [0, 0, 1, 3, 0, 3, 1]
    assert targets.strata(np.array([[1, 1, 0], [1, 0, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]])).tolist() == [1, 2, 0, 1, 3]
    alone = np.array([2, 0, 1])
    assert targets.classes(alone) is alone and targets.strata(alone) is alone


def test_answers_are_right_when_they_are_exact() -> None:
    scores = np.where(Y == 1, 0.2, -0.1)
    assert targets.right(scores, Y).all()
    scores[0, 2], scores[3, 0] = 0.1, 0.1
    assert targets.right(scores, Y).tolist() == [False, True, True, False, True, True, True]


def test_labels_find_their_places_and_rows_with_strange_ones_are_unlabelled() -> None:
    y = np.vstack([Y[:3], [[-1, -1, -1]], [[0, 0, 1]]])
    placed = targets.placed(y, ["a", "b", "c"], ["d", "b", "a"])
    assert placed.tolist() == [[0, 1, 1], [0, 0, 1], [0, 1, 0], [-1, -1, -1], [-1, -1, -1]]


def test_the_most_frequent_set_answers_without_looking() -> None:
    said, sure, name = targets.most_frequent(np.array([[1, 1], [1, 1], [1, 0], [0, 0]]), 2)
    assert (said, sure, name) == ([[0, 1]], [[0.75, 0.5]], "probability")
    assert targets.most_frequent(np.array([1, 1, 0]), 2) == ([1], [2 / 3], "confidence")


def test_something_can_be_learnt_where_a_label_is_there_and_lacks() -> None:
    assert targets.teaches(Y)
    assert not targets.teaches(np.array([[1, 0], [1, 0]]))


@pytest.mark.parametrize(("n", "d"), [(24, 30), (90, 8)])
def test_ridge_of_several_labels_equals_scikit_learn(n: int, d: int) -> None:
    x, y = rows(n, d)
    ours = heads.fit_once(x, y, 3, 0.3)
    reference = Reference(alpha=0.3, fit_intercept=False, solver="cholesky")
    # A row weighs the mean of what its labels do, n / (labels · their rows); one of none weighs 1.
    each = n / (3 * y.sum(axis=0))
    weight = np.array([np.mean(each[row == 1]) if row.any() else 1.0 for row in y])
    reference.fit(np.hstack([x, np.ones((n, 1))]), 2.0 * y - 1, sample_weight=weight)
    np.testing.assert_allclose(np.hstack([ours.weight, ours.bias[:, None]]), reference.coef_, atol=1e-8)


def test_a_head_of_several_labels_answers_them() -> None:
    x, y = rows(120, 20)
    other, truth = rows(80, 20, 4)
    head = kernel.fit_frozen(x, y, 3, np.ones(20))
    assert [p.name for p in head.parts] == ["kernel_ridge"]
    assert targets.right(head.scores(other), truth).mean() > 0.8


def test_the_temperature_of_sigmoids_is_found_again_and_is_the_best_of_the_whole_grid() -> None:
    random = np.random.default_rng(1)
    for t in (0.1, 0.5, 2.0):
        scores = (random.random((400, 3)) - 0.5) * 6 * t
        y = (random.random((400, 3)) < calibration.sigmoid(scores, t)).astype(np.int64)
        found, loss = calibration.sigmoid_temperature(scores, y)
        assert abs(np.log(found / t)) < 0.25
        low, high = calibration.LOG_RANGE
        steps = [calibration.sigmoid_loss(scores, y, float(np.exp(low + (high - low) * s / 200))) for s in range(201)]
        assert loss == pytest.approx(min(steps), rel=1e-12)


def test_few_rows_hardly_move_the_temperature() -> None:
    prior = 2 / np.log(calibration.CAUTIOUS_BELIEF / (1 - calibration.CAUTIOUS_BELIEF))
    assert calibration.fit_temperature(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)) == pytest.approx(prior)
