"""The kernel head against scikit-learn's kernel ridge and Gaussian process."""

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct, Exponentiation
from sklearn.kernel_ridge import KernelRidge

from engine import heads, kernel


def rows(n: int, d: int, labels: int) -> tuple[heads.Matrix, heads.Ints]:
    random = np.random.default_rng(11)
    y = np.arange(n) % labels
    return random.normal(size=(n, d)) * 0.3 + np.eye(labels, d)[y], y


def kernel_ridge(penalty: float) -> KernelRidge:
    return KernelRidge(alpha=penalty, kernel="precomputed")  # pyright: ignore[reportArgumentType]


def posterior_variance(units: heads.Matrix, others: heads.Matrix, noise: float) -> heads.Matrix:
    covariance = 0.5**4 * Exponentiation(DotProduct(sigma_0=1.0), 4)
    process = GaussianProcessRegressor(covariance, alpha=noise, optimizer=None)  # pyright: ignore[reportArgumentType]
    process.fit(units, np.zeros(len(units)))
    said = process.predict(others, return_std=True)
    return np.asarray(said[1], dtype=np.float64) ** 2


def test_with_all_rows_as_landmarks_it_is_kernel_ridge() -> None:
    x, y = rows(40, 12, 4)
    units = heads.unit(x)
    ours = kernel.fit_frozen(x, y, 4)
    assert [p.name for p in ours.parts] == ["kernel_ridge"]
    k = kernel.kernel(units, units)
    # The same scale and constant feature as the product: the penalty is in units of the spread.
    spread = 1 - k.mean()
    reference = kernel_ridge(ours.lam)
    reference.fit(k / spread + 1, np.where(np.arange(4)[None, :] == y[:, None], 1.0, -1.0))
    other = np.random.default_rng(5).normal(size=(9, 12))
    expected = reference.predict(kernel.kernel(heads.unit(other), units) / spread + 1)
    np.testing.assert_allclose(ours.scores(other), expected, atol=1e-3)


def test_left_out_scores_are_those_of_a_head_without_the_rows_of_the_fold() -> None:
    x, y = rows(24, 10, 3)
    units, penalty = heads.unit(x), kernel.fit_frozen(x, y, 3).lam
    left_out = kernel.fit_frozen(x, y, 3).left_out
    k = kernel.kernel(units, units)
    spread, target = 1 - k.mean(), np.where(np.arange(3)[None, :] == y[:, None], 1.0, -1.0)
    for i in (0, 7, 23):
        keep = heads.folds_of(y) != heads.folds_of(y)[i]
        reference = kernel_ridge(penalty)
        reference.fit(k[np.ix_(keep, keep)] / spread + 1, target[keep])
        np.testing.assert_allclose(left_out[i], reference.predict(k[i : i + 1, keep] / spread + 1)[0], atol=1e-3)


def test_more_rows_than_landmarks_are_blended_with_plain_ridge() -> None:
    x, y = rows(heads.SUPPORT_ROWS_MAX + 300, 16, 4)
    ours = kernel.fit_frozen(x, y, 4)
    assert {p.name for p in ours.parts} <= {"kernel_ridge", "ridge"}
    assert np.isclose(sum(p.share for p in ours.parts), 1)
    assert (ours.scores(x).argmax(1) == y).mean() > 0.9


def test_variance_is_that_of_a_gaussian_process() -> None:
    x, _ = rows(30, 8, 3)
    units = heads.unit(x)
    ours = kernel.fit_novelty(units)
    others = heads.unit(np.random.default_rng(2).normal(size=(7, 8)))
    np.testing.assert_allclose(ours.variance(kernel.kernel(others, units)), posterior_variance(units, others, ours.noise), atol=1e-6)
    for i in (0, 13):
        keep = np.arange(30) != i
        np.testing.assert_allclose(ours.left_out()[i], posterior_variance(units[keep], units[i : i + 1], ours.noise)[0], atol=1e-6)


def test_texts_up_to_256_rows_hear_quiet_values_too_where_classes_differ_in_them() -> None:
    """As test/learning/usual-spread.test.ts: the first values swing widely in every text, and classes differ in the others."""
    random = np.random.default_rng(3)
    swing = np.where(np.arange(48) < 16, 1.0, 0.12)
    y = np.arange(32) % 2
    moved = 0.5 * np.where(np.arange(48) % 2 == y[:, None], 1.0, -1.0) * (np.arange(48) >= 16)
    x = heads.unit((random.normal(size=(32, 48)) + moved) * swing)
    background = (random.normal(size=(64, 48)) * swing).astype(np.float32)
    usual = heads.usual_scale(background, "l2")
    assert usual is not None and heads.usual_scale(background, "sqrt_l2") is None
    parts = {p.name: p.share for p in kernel.fit_frozen(x, y, 2, usual).parts}
    assert parts["scaled_ridge"] > 0.5
    assert [p.name for p in kernel.fit_frozen(x, y, 2).parts] == ["kernel_ridge"]
    scaled, plain = kernel.fit_scaled(x, y, 2, usual), heads.fit_ridge(x * usual, y, 2)
    np.testing.assert_allclose(scaled.scores(x), plain.scores(x * usual), atol=1e-9)
