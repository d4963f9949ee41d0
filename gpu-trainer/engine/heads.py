"""Closed-form heads, the same formulas as functions/learning (parity is shown by golden vectors). All mathematics in float64.

score_c(x) = sum_k mix_k (W_k phi_k(x) + b_k)_c; one-against-rest ridge on +-1 targets with class-balanced weights and exact leave-one-out
(Rifkin & Lippert 2007; Allen 1974).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import targets
from .targets import Ints, Matrix

LAMBDAS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
PRIOR_LAMBDA = 0.1
SEARCH_ROWS_MAX = 256
SUPPORT_ROWS_MAX = 512
FOLDS_MAX = 32
SURPLUS_ROWS_MAX = 2048
SURPLUS_EVEN_MAX = 512
SURPLUS_NEAR_MAX = 256
EVIDENCE_HALF_ROWS = 4
BACKGROUND_REJECTED = 0.6


@dataclass(frozen=True)
class Ridge:
    weight: Matrix  # [labels, d]
    bias: Matrix  # [labels]
    lam: float
    left_out: Matrix  # [n, labels]

    def scores(self, x: Matrix) -> Matrix:
        return x @ self.weight.T + self.bias


def transform(raw: NDArray[np.float32], kind: str, center: Matrix | None = None) -> Matrix:
    """`l2` or `sqrt_l2` features of raw embeddings [n, d], minus the centre."""
    x = raw.astype(np.float64)
    if kind == "sqrt_l2":
        x = np.sqrt(np.maximum(x, 0))
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, norm, out=np.zeros_like(x), where=norm > 0)
    return x if center is None else x - center


def center_of(background: NDArray[np.float32], kind: str) -> Matrix:
    """The background's mean; 0 without a background."""
    if len(background) == 0:
        return np.zeros(background.shape[1])
    return transform(background, kind).mean(axis=0).astype(np.float32).astype(np.float64)


def usual_scale(background: NDArray[np.float32], kind: str) -> Matrix | None:
    """1 / the usual spread of each centred feature, [d], 0 where it never changes; only for texts, as functions/learning/usual-spread.ts."""
    if kind != "l2" or len(background) < 2:
        return None
    squares = (transform(background, kind, center_of(background, kind)) ** 2).sum(axis=0)
    return np.divide(np.sqrt(len(background) - 1), np.sqrt(squares), out=np.zeros_like(squares), where=squares > 1e-12)


def unit(x: Matrix) -> Matrix:
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, norm, out=np.zeros_like(x), where=norm > 0)


def balanced_weights(y: Ints, labels: int) -> Matrix:
    """Every class weighs the same; of several labels a row has the mean of their weights, of none 1 (functions/learning/targets.ts)."""
    counts = targets.counts(y, labels).astype(np.float64)
    if not targets.several(y):
        return len(y) / ((counts > 0).sum() * counts[y])
    each = np.divide(len(y), (counts > 0).sum() * counts, out=np.zeros_like(counts), where=counts > 0)
    own = y.sum(axis=1)
    return np.divide(y @ each, own, out=np.ones(len(y)), where=own > 0)


def turns(y: Ints) -> Ints:
    """1 for the first row of each class, 2 for the second, and so on."""
    seen: dict[int, int] = {}
    out = np.empty(len(y), dtype=np.int64)
    for i, c in enumerate(targets.classes(y).tolist()):
        seen[c] = seen.get(c, 0) + 1
        out[i] = seen[c]
    return out


def by_turns(y: Ints, limit: int) -> Ints:
    """At most `limit` row indices; classes take turns, so the small ones stay whole."""
    return np.lexsort((np.arange(len(y)), turns(y)))[:limit]


def folds_of(y: Ints) -> Ints:
    """Rows of one number are left out together, one of each class (functions/learning/folds.ts); what is alone in its class alone."""
    own = targets.classes(y)
    alone = np.bincount(own)[own] == 1
    return np.where(alone, FOLDS_MAX + np.arange(len(y)), (turns(y) - 1) % FOLDS_MAX)


def fit_once(x: Matrix, y: Ints, labels: int, lam: float, alone: bool = False) -> Ridge:
    """Beyond d rows it makes no difference whether a row is left out alone, so there each is; with `alone` always."""
    n, d = x.shape
    root = np.sqrt(balanced_weights(y, labels))[:, None]
    xs = np.hstack([x, np.ones((n, 1))]) * root
    ys = np.where(targets.indicator(y, labels), root, -root)
    if n <= d + 1:
        inverse = np.linalg.inv(xs @ xs.T + lam * np.eye(n))
        alpha = inverse @ ys
        residual = np.empty_like(ys)
        folds = np.arange(n) if alone else folds_of(y)
        for f in np.unique(folds):
            rows = np.flatnonzero(folds == f)
            residual[rows] = np.linalg.solve(inverse[np.ix_(rows, rows)], alpha[rows])
        left_out = (ys - residual) / root
        w = xs.T @ alpha
    else:
        inverse = np.linalg.inv(xs.T @ xs + lam * np.eye(d + 1))
        w = inverse @ (xs.T @ ys)
        leverage = ((xs @ inverse) * xs).sum(axis=1, keepdims=True)
        left_out = (ys - (ys - xs @ w) / np.maximum(1 - leverage, 1e-12)) / root
    return Ridge(weight=w[:-1].T.copy(), bias=w[-1].copy(), lam=lam, left_out=left_out)


def spread(x: Matrix, y: Ints, labels: int) -> float:
    """sqrt of the weighted mean squared distance from the weighted mean; 1 where all rows are the same. As functions/learning/ridge.ts."""
    s = balanced_weights(y, labels)
    total = s.sum()
    value = float((s[:, None] * x * x).sum() / total - (((s[:, None] * x).sum(axis=0) / total) ** 2).sum())
    return float(np.sqrt(value)) if value > 1e-9 else 1.0


def fit_ridge(x: Matrix, y: Ints, labels: int) -> Ridge:
    """The penalty with the least left-out squared error (searched on at most 256 rows, over those whose class keeps a row), then one fit on all
    rows. Features are divided by their own spread first."""
    scale = 1 / spread(x, y, labels)
    x = x * scale
    keep = by_turns(y, SEARCH_ROWS_MAX)
    xs, ys = x[keep], y[keep]
    counts = targets.counts(ys, labels)
    # While most classes have but one row, the others would ask for the smallest penalty.
    fair = targets.fair(ys, labels) & (2 * (counts > 1).sum() >= (counts > 0).sum())
    root = balanced_weights(ys, labels)[fair, None]
    target = np.where(targets.indicator(ys, labels), 1.0, -1.0)[fair]
    errors = [float((root * (target - fit_once(xs, ys, labels, lam).left_out[fair]) ** 2).sum()) for lam in LAMBDAS]
    lam = LAMBDAS[int(np.argmin(errors))] if fair.any() else PRIOR_LAMBDA
    fit = fit_once(x, y, labels, lam)
    return without_surplus(x, y, labels, Ridge(weight=fit.weight * scale, bias=fit.bias, lam=lam, left_out=fit.left_out))


def without_surplus(x: Matrix, y: Ints, labels: int, fit: Ridge) -> Ridge:
    """Takes off what a label gains by nothing but having more rows than others, as functions/learning/imbalance.ts. x: on the penalty's scale."""
    if targets.several(y):
        # Several labels of one row are no rivals, and none is no class.
        if (y.sum(axis=1) != 1).any():
            return fit
        y = targets.classes(y)
    counts = np.bincount(y, minlength=labels)
    present = counts > 0
    least = int(counts[present].min())
    if least == counts.max():
        return fit
    order = np.lexsort((np.arange(len(y)), folds_of(y)))
    even = np.sort(order[turns(y[order]) <= least])
    if len(even) == 2:
        single = int(even[counts[y[even]] == 1][0])
        times = 1 + nearness(x, np.flatnonzero(np.arange(len(y)) != single), single)
        return less(fit, np.where(present, times * (fit.bias - fit.bias[present].mean()), 0.0))
    many = len(y) > SURPLUS_ROWS_MAX
    if many and len(even) > SURPLUS_EVEN_MAX:
        return fit

    def loudness(rows: Ints, left_out: Matrix) -> Matrix:
        weight = balanced_weights(y[rows], labels)[:, None] * (y[rows][:, None] != np.arange(labels)[None, :])
        return (weight * left_out).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-300)

    def alone(rows: Ints) -> Matrix:
        return fit_once(x[rows], y[rows], labels, fit.lam, alone=True).left_out

    every = np.arange(len(y))
    before = loudness(every, fit.left_out if many else alone(every))
    return less(fit, np.where(present, before - loudness(even, alone(even)), 0.0))


def less(fit: Ridge, surplus: Matrix) -> Ridge:
    return Ridge(weight=fit.weight, bias=fit.bias - surplus, lam=fit.lam, left_out=fit.left_out - surplus)


def nearness(x: Matrix, others: Ints, single: int) -> float:
    """Mean product of a row with rows of its own label and with one of another, from the rows of one label and the single one of the other."""
    some = x[others[:: -(-len(others) // SURPLUS_NEAR_MAX)]]
    # The products of all pairs are the square of the sum without the squares.
    own = ((some.sum(axis=0) ** 2).sum() - (some**2).sum()) / (len(some) * (len(some) - 1))
    return float(own + (some @ x[single]).mean()) / 2


def open_set_threshold(known: Matrix, background: Matrix, rate: float) -> float:
    """As functions/learning/open-set.ts."""
    if len(known) and len(background):
        w = len(known) / (len(known) + EVIDENCE_HALF_ROWS)
        mixed = w * np.quantile(known, rate) + (1 - w) * np.quantile(background, BACKGROUND_REJECTED)
        return float(min(mixed, np.quantile(known, max(2 * rate, 0.1))))
    if len(known):
        return float(np.quantile(known, rate))
    return float(np.quantile(background, BACKGROUND_REJECTED)) if len(background) else -1e9
