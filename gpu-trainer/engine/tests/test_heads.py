"""Closed forms against scikit-learn and against refits."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference

from engine import calibration, heads


def rows(n: int, d: int, labels: int, seed: int = 3) -> tuple[heads.Matrix, heads.Ints]:
    random = np.random.default_rng(seed)
    y = np.arange(n) % labels
    return random.normal(size=(n, d)) * 0.2 + np.eye(labels, d)[y], y


@pytest.mark.parametrize(("n", "d"), [(12, 30), (60, 8)])
def test_ridge_equals_scikit_learn(n: int, d: int) -> None:
    x, y = rows(n, d, 3)
    y[:2] = 2  # unbalanced
    ours = heads.fit_once(x, y, 3, 0.3)
    target = np.where(np.arange(3)[None, :] == y[:, None], 1.0, -1.0)
    # The bias is penalised like a weight: a column of ones, no intercept.
    reference = Reference(alpha=0.3, fit_intercept=False, solver="cholesky")
    reference.fit(np.hstack([x, np.ones((n, 1))]), target, sample_weight=heads.balanced_weights(y, 3))
    np.testing.assert_allclose(np.hstack([ours.weight, ours.bias[:, None]]), reference.coef_, atol=1e-8)


@pytest.mark.parametrize(("n", "d"), [(12, 30), (60, 8)])
def test_left_out_scores_equal_refits(n: int, d: int) -> None:
    x, y = rows(n, d, 3)
    fit = heads.fit_once(x, y, 3, 0.3)
    root = np.sqrt(heads.balanced_weights(y, 3))
    target = np.where(np.arange(3)[None, :] == y[:, None], 1.0, -1.0)
    # Few rows are left out with one of each other class, many alone.
    folds = heads.folds_of(y) if n <= d else np.arange(n)
    for i in range(n):
        keep = folds != folds[i]
        reference = Reference(alpha=0.3, fit_intercept=False, solver="cholesky")
        reference.fit(np.hstack([x[keep], np.ones((keep.sum(), 1))]), target[keep], sample_weight=root[keep] ** 2)
        np.testing.assert_allclose(fit.left_out[i], reference.predict(np.append(x[i], 1)[None])[0], atol=1e-7)


def test_a_class_without_rows_scores_lowest() -> None:
    x, y = rows(20, 10, 2)
    scores = heads.fit_ridge(x, y, 3).scores(x)
    assert (scores.argmax(1) == y).all()
    assert np.isfinite(scores).all()


def test_temperature_makes_confident_mistakes_humble() -> None:
    x, y = rows(200, 10, 2)
    scores = heads.fit_ridge(x, y, 2).left_out * 3
    honest = calibration.fit_temperature(scores, y)
    spoiled = y.copy()
    spoiled[::3] = 1 - spoiled[::3]
    assert calibration.fit_temperature(scores, spoiled) > 2 * honest


def test_classes_take_turns() -> None:
    y = np.array([0, 0, 0, 0, 0, 1, 1, 2])
    assert sorted(y[heads.by_turns(y, 5)].tolist()) == [0, 0, 1, 1, 2]


def test_a_label_of_a_few_rows_beside_thousands_of_another_is_told() -> None:
    rng = np.random.default_rng(3)
    middles = 1 + 0.35 * rng.normal(size=(2, 256))
    y = np.array([1] * 2 + [0] * 2_100)
    x = rng.normal(size=(len(y), 256)) + middles[y]
    fit = heads.fit_ridge(x / np.linalg.norm(x, axis=1, keepdims=True), y, 2)
    for label in (0, 1):
        asked = rng.normal(size=(300, 256)) + middles[label]
        scores = asked / np.linalg.norm(asked, axis=1, keepdims=True) @ fit.weight.T + fit.bias
        assert (scores.argmax(axis=1) == label).mean() > 0.7
