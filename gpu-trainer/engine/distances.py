"""How differently two sets of embeddings lie: between source and target, or between training and held-out rows.

Everything linear is closed form: held-out predictions of a ridge classifier come from its hat matrix, for all permutations of the labels at once.
"""

from dataclasses import dataclass

import numpy as np

from .heads import Ints, Matrix

ROWS_MAX = 500  # of each side: kernels are 1,000 by 1,000
PERMUTATIONS = 199
FOLDS = 5
PENALTY = 0.1
NEAR, FAR = 0.5, 1.2  # of the proxy A-distance, which runs from 0 to 2


@dataclass(frozen=True)
class Distance:
    proxy_a: float
    mmd: float
    mmd_p_value: float
    coral: float

    @property
    def kind(self) -> str:
        if self.mmd_p_value > 0.05 or self.proxy_a < NEAR:
            return "near"
        return "moderate" if self.proxy_a < FAR else "far"


def draw(x: Matrix, random: np.random.Generator, limit: int = ROWS_MAX) -> Matrix:
    return x if len(x) <= limit else x[np.sort(random.choice(len(x), limit, replace=False))]


def held_out_scores(x: Matrix, targets: Matrix, folds: Ints) -> Matrix:
    """Ridge predictions of each row by a fit on the other folds, for every column of `targets` [n, p].

    y_f - yhat_f = (I - H_ff)^-1 (y - H y)_f with the hat matrix H of all rows (An, Liu & Venkatesh 2007).
    """
    x = x - x.mean(axis=0)
    kernel = x @ x.T
    kernel /= max(float(np.trace(kernel)) / len(x), 1e-12)
    kernel += 1.0  # the intercept
    hat = np.linalg.solve(kernel + PENALTY * np.eye(len(x)), kernel)
    residual = targets - hat @ targets
    out = np.empty_like(targets)
    for f in np.unique(folds):
        inside = np.flatnonzero(folds == f)
        block = np.eye(len(inside)) - hat[np.ix_(inside, inside)]
        out[inside] = targets[inside] - np.linalg.solve(block, residual[inside])
    return out


def auc(scores: Matrix, positive: Matrix) -> Matrix:
    """Area under the ROC curve of each column (Mann & Whitney 1947)."""
    ranks = np.argsort(np.argsort(scores, axis=0), axis=0) + 1.0
    m = positive.sum(axis=0)
    n = len(positive) - m
    return ((ranks * positive).sum(axis=0) - m * (m + 1) / 2) / np.maximum(m * n, 1)


def two_sample_test(a: Matrix, b: Matrix, seed: int) -> tuple[float, float]:
    """Held-out AUC of a classifier that tells rows of `a` from rows of `b`, and its permutation p-value (Lopez-Paz & Oquab 2017)."""
    random = np.random.default_rng(seed)
    a, b = draw(a, random), draw(b, random)
    x = np.vstack([a, b])
    is_b = np.repeat([0.0, 1.0], [len(a), len(b)])
    # The first column is the true one; folds must not know it, or the permutations would not be exchangeable with it.
    labels = np.stack([is_b] + [random.permutation(is_b) for _ in range(PERMUTATIONS)], axis=1)
    folds = random.permutation(len(x)) % FOLDS
    areas = auc(held_out_scores(x, labels, folds), labels)
    return float(areas[0]), float((1 + (areas[1:] >= areas[0]).sum()) / (1 + PERMUTATIONS))


def proxy_a_distance(a: Matrix, b: Matrix, seed: int) -> float:
    """2 (1 - 2 e) with the held-out error e of a balanced domain classifier (Ben-David et al. 2007); 0: alike, 2: apart."""
    random = np.random.default_rng(seed)
    n = min(len(a), len(b), ROWS_MAX)
    x = np.vstack([draw(a, random, n), draw(b, random, n)])
    side = np.repeat([-1.0, 1.0], n)
    folds = np.concatenate([random.permutation(n) % FOLDS, random.permutation(n) % FOLDS])
    error = float((np.sign(held_out_scores(x, side[:, None], folds)[:, 0]) != side).mean())
    return 2 * (1 - 2 * min(error, 0.5))


def mmd_test(a: Matrix, b: Matrix, seed: int) -> tuple[float, float]:
    """Maximum mean discrepancy with a Gaussian kernel of the median distance, and its permutation p-value (Gretton et al. 2012).

    The value is the root of the unbiased estimate of the squared discrepancy, 0 where that is negative.
    """
    random = np.random.default_rng(seed)
    a, b = draw(a, random), draw(b, random)
    x = np.vstack([a, b])
    square = (x * x).sum(axis=1)
    distance = np.maximum(square[:, None] + square[None, :] - 2 * x @ x.T, 0)
    median = float(np.median(distance[np.triu_indices(len(x), 1)]))
    kernel = np.exp(-distance / max(median, 1e-12))
    np.fill_diagonal(kernel, 0)
    first = np.repeat([1.0, 0.0], [len(a), len(b)])
    side = np.stack([first] + [random.permutation(first) for _ in range(PERMUTATIONS)], axis=1)
    m, n = len(a), len(b)
    toward = kernel @ side
    within_a = (side * toward).sum(axis=0)
    cross = toward.sum(axis=0) - within_a
    within_b = kernel.sum() - within_a - 2 * cross
    squared = within_a / (m * (m - 1)) + within_b / (n * (n - 1)) - 2 * cross / (m * n)
    p = float((1 + (squared[1:] >= squared[0]).sum()) / (1 + PERMUTATIONS))
    return float(np.sqrt(max(squared[0], 0.0))), p


def coral_distance(a: Matrix, b: Matrix) -> float:
    """|C_a - C_b|_F^2 / (4 d^2) of the covariances (Sun & Saenko 2016), of features divided by their pooled deviation."""
    scale = np.vstack([a, b]).std(axis=0)
    keep = scale > 1e-9
    difference = np.cov(a[:, keep] / scale[keep], rowvar=False) - np.cov(b[:, keep] / scale[keep], rowvar=False)
    return float((np.atleast_2d(difference) ** 2).sum() / (4 * max(int(keep.sum()), 1) ** 2))


def between(source: Matrix, target: Matrix, seed: int) -> Distance:
    value, p = mmd_test(source, target, seed)
    return Distance(proxy_a_distance(source, target, seed), value, p, coral_distance(source, target))
