"""The closed-form head for another domain: its algebra against brute force, and that it undoes a shift that the plain head does not survive."""

import numpy as np
import pytest

from engine import heads
from engine.aligned_head import KERNEL_PENALTY, PENALTY, SHRINKAGE, coral, fit_aligned, power, ridge
from engine.heads import Ints, Matrix
from engine.kernel import KERNEL_ROWS_MAX, kernel, landmarks_of


def brute(rows: Matrix, p: float, x: Matrix) -> Matrix:
    """The power of the shrunk covariance by its eigenvectors in all dimensions."""
    c = rows.T @ rows / len(rows)
    d = len(c)
    values, vectors = np.linalg.eigh((1 - SHRINKAGE) * c + SHRINKAGE * np.trace(c) / d * np.eye(d))
    return x @ (vectors * values**p) @ vectors.T


def test_a_power_of_few_rows_is_that_of_the_whole_matrix() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(7, 20))
    for n in (5, 60):
        rows = random.normal(size=(n, 20)) @ random.normal(size=(20, 20))
        for p in (-0.5, 0.5):
            np.testing.assert_allclose(power(rows, p, x), brute(rows, p, x), atol=1e-8)
        np.testing.assert_allclose(power(rows, 0.5, power(rows, -0.5, x)), x, atol=1e-8)
    np.testing.assert_array_equal(power(np.zeros((3, 20)), 0.5, x), x)


def test_recoloured_rows_have_the_targets_directions() -> None:
    random = np.random.default_rng(1)
    source = random.normal(size=(400, 6)) * np.array([3, 1, 1, 1, 1, 1])
    target = random.normal(size=(400, 6)) * np.array([1, 1, 1, 1, 1, 3])
    spread = coral(source - source.mean(0), target - target.mean(0)).var(axis=0)
    assert spread[0] < 0.5 * source.var(axis=0)[0]
    assert spread[5] > 2 * source.var(axis=0)[5]


def domains(seed: int, shift: float = 3.0) -> tuple[Matrix, Ints, Matrix, Ints]:
    """Three classes in 30 dimensions; the target is moved along one direction and stretched along others."""
    random = np.random.default_rng(seed)
    means = random.normal(size=(3, 30))
    stretch = random.uniform(0.4, 2.5, 30)
    away = random.normal(size=30)

    def rows(n: int, far: bool) -> tuple[Matrix, Ints]:
        y = np.arange(n) % 3
        x = means[y] + random.normal(size=(n, 30))
        return (x * stretch + shift * away if far else x), y.astype(np.int64)

    return *rows(24, False), *rows(90, True)


def accuracies(seed: int, over_kernel: bool) -> tuple[float, float]:
    x, y, far, truth = domains(seed)
    seen, unseen = far[:45], far[45:]
    aligned = fit_aligned(x, y, 3, np.zeros(len(x), dtype=bool), seen, np.ones(len(seen), dtype=bool), over_kernel=over_kernel)
    plain = heads.fit_ridge(x, y, 3)
    return tuple(float((s.argmax(1) == truth[45:]).mean()) for s in (aligned.scores(unseen), plain.scores(unseen)))  # type: ignore[return-value]


@pytest.mark.parametrize("over_kernel", [False, True])
def test_a_shift_is_undone_on_rows_that_alignment_has_not_seen(over_kernel: bool) -> None:
    reached = np.array([accuracies(seed, over_kernel) for seed in range(12)])
    assert reached[:, 0].mean() > 0.9
    assert reached[:, 0].mean() > reached[:, 1].mean() + 0.1
    assert (reached[:, 0] < reached[:, 1]).sum() <= 1


def test_over_the_kernel_it_is_linear_in_similarities_to_the_rows_as_the_target_would_show_them() -> None:
    x, y, far, truth = domains(5)
    near = np.concatenate([np.zeros(len(x), dtype=bool), np.ones(9, dtype=bool)])
    both, answers = np.vstack([x, far[:9]]), np.concatenate([y, truth[:9]])
    head = fit_aligned(both, answers, 3, near, far[:45], np.arange(45) >= 9, over_kernel=True)
    centre = far[:45].mean(axis=0)
    np.testing.assert_allclose(head.shown[near], far[:9] - centre)
    np.testing.assert_allclose(head.shown[~near], coral(x - x.mean(axis=0), far[:45] - centre))
    marks = heads.unit(head.shown)[landmarks_of(head.shown, answers)]
    assert head.part.landmarks is not None and head.part.ridge.lam == KERNEL_PENALTY
    np.testing.assert_array_equal(head.part.landmarks, marks)
    similarity = kernel(heads.unit(far[45:] - centre), marks)
    np.testing.assert_allclose(head.scores(far[45:]), similarity @ head.part.ridge.weight.T + head.part.ridge.bias)


def test_beyond_the_rows_of_a_kernel_it_is_linear() -> None:
    random = np.random.default_rng(0)
    n = KERNEL_ROWS_MAX + 1
    x, y, far = random.normal(size=(n, 4)), np.arange(n) % 2, random.normal(size=(30, 4))
    args = 2, np.zeros(n, dtype=bool), far, np.ones(30, dtype=bool)
    assert fit_aligned(x, y, *args, over_kernel=True).part.landmarks is None
    fewer = fit_aligned(x[:-1], y[:-1], 2, args[1][:-1], far, args[3], over_kernel=True).part.landmarks
    assert fewer is not None and len(fewer) == heads.SUPPORT_ROWS_MAX


def test_labelled_rows_of_the_target_lose_its_mean_and_are_not_labelled_again() -> None:
    x, y, far, truth = domains(3)
    near = np.concatenate([np.zeros(len(x), dtype=bool), np.ones(9, dtype=bool)])
    both, answers = np.vstack([x, far[:9]]), np.concatenate([y, truth[:9]])
    unknown = np.arange(45) >= 9
    head = fit_aligned(both, answers, 3, near, far[:45], unknown)
    np.testing.assert_allclose(head.middle, x.mean(axis=0))
    np.testing.assert_allclose(head.offset, far[:45].mean(axis=0))
    np.testing.assert_allclose(head.scores(both, near)[near], head.scores(far[:9]))
    # With every row labelled there is nothing left to guess: a wrong label in `far` beyond those rows cannot matter.
    known = fit_aligned(both, answers, 3, near, far[:45], np.zeros(45, dtype=bool))
    assert not np.allclose(known.part.ridge.weight, head.part.ridge.weight)
    assert (known.scores(far[:9]).argmax(1) == truth[:9]).all()


def test_the_penalty_is_fixed_and_the_scale_of_features_does_not_matter() -> None:
    x, y, far, _ = domains(4)
    a, b = ridge(x, y, 3), ridge(100 * x, y, 3)
    assert a.lam == b.lam == PENALTY
    np.testing.assert_allclose(a.scores(far), b.scores(100 * far), atol=1e-6)
