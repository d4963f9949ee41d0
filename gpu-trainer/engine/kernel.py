"""The head that the edge solves on a frozen embedding, the same formulas as functions/learning (kernel.ts, novelty.ts, blend.ts), in float64.

Ridge on the polynomial kernel ((1 + cos) / 2)^4 over at most 512 landmarks; with more rows than landmarks, blended with plain ridge by the loss on
left-out rows; for texts of single labels, up to 256 rows, with ridge on values of equal usual spread. Not here: ridge in the background's metric,
which the edge adds for pictures of single labels up to 256 rows, and the few directions in which the edge writes more than 256 rows (basis.ts).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import calibration, heads, targets
from .heads import Ints, Matrix, Ridge

POWER = 4
JITTER = 1e-6
KERNEL_ROWS_MAX = 4096
SHARPNESS = 0.5
NEGLIGIBLE = 0.01
SCALED_ROWS_MAX = 256
# What a candidate counts before there is evidence, where the first one counts 1 (functions/learning/candidates.ts).
PRIORS = {"ridge": 0.2, "scaled_ridge": 0.5}
NOISE = 0.1
VARIANCE_WEIGHT = 2.0
SPREAD_MIN = 0.02


def kernel(a: Matrix, b: Matrix, power: int = POWER) -> Matrix:
    """Of unit rows, [n, m]."""
    return ((1 + a @ b.T) / 2) ** power


@dataclass(frozen=True)
class Part:
    """`weight` applies to the features, or with `landmarks` [m, d] to the kernel over them. `share` of 1, `factor` on the common scale."""

    name: str
    ridge: Ridge
    landmarks: Matrix | None
    share: float
    factor: float

    def scores(self, x: Matrix) -> Matrix:
        z = x if self.landmarks is None else kernel(heads.unit(x), self.landmarks)
        return self.factor * self.ridge.scores(z)


@dataclass(frozen=True)
class Frozen:
    """The whole head on one embedding."""

    parts: list[Part]
    lam: float
    left_out: Matrix

    @property
    def labels(self) -> int:
        return len(self.parts[0].ridge.bias)

    def scores(self, x: Matrix) -> Matrix:
        """x: features less the centre [n, d]."""
        return sum((part.scores(x) for part in self.parts), np.zeros((len(x), self.labels)))


def landmarks_of(x: Matrix, y: Ints) -> Ints:
    return heads.by_turns(y, heads.SUPPORT_ROWS_MAX)


def fit_kernel(x: Matrix, landmarks: Matrix, y: Ints, labels: int, fit_ridge: Callable[[Matrix, Ints, int], Ridge] = heads.fit_ridge) -> Ridge:
    """Ridge on L^-1 k(x, landmarks); weights [labels, m] for the kernel itself."""
    lower = np.linalg.cholesky(kernel(landmarks, landmarks) + JITTER * np.eye(len(landmarks)))
    fit = fit_ridge(np.linalg.solve(lower, kernel(heads.unit(x), landmarks).T).T, y, labels)
    return Ridge(weight=np.linalg.solve(lower.T, fit.weight.T).T, bias=fit.bias, lam=fit.lam, left_out=fit.left_out)


def fit_scaled(x: Matrix, y: Ints, labels: int, scale: Matrix) -> Ridge:
    """Ridge on x times `scale`; the weights apply to x."""
    fit = heads.fit_ridge(x * scale, y, labels)
    return Ridge(weight=fit.weight * scale, bias=fit.bias, lam=fit.lam, left_out=fit.left_out)


def fit_frozen(x: Matrix, y: Ints, labels: int, usual: Matrix | None = None) -> Frozen:
    """x: features less the centre [n, d]; `usual`: `heads.usual_scale` of the background."""
    chosen = landmarks_of(x, y)
    landmarks = heads.unit(x)[chosen]
    fair = np.flatnonzero(targets.fair(y, labels))
    every = len(chosen) == len(x)
    found: list[tuple[str, Ridge, Matrix | None]] = []
    if every or (len(x) <= KERNEL_ROWS_MAX and len(fair)):
        found.append(("kernel_ridge", fit_kernel(x, landmarks, y, labels), landmarks))
    if not every:
        found.append(("ridge", heads.fit_ridge(x, y, labels), None))
    if usual is not None and len(x) <= SCALED_ROWS_MAX and not targets.several(y):
        found.append(("scaled_ridge", fit_scaled(x, y, labels, usual), None))
    judged = [calibration.temperature_and_loss(ridge.left_out[fair], y[fair]) for _, ridge, _ in found]
    prior = np.array([1.0 if i == 0 else PRIORS[name] for i, (name, _, _) in enumerate(found)])
    odds = prior * np.exp(-SHARPNESS * np.array([loss - min(j[1] for j in judged) for _, loss in judged]))
    odds[odds / odds.sum() < NEGLIGIBLE] = 0
    shares = odds / odds.sum()
    parts = [
        Part(name, ridge, marks, float(share), float(share) * judged[0][0] / t)
        for (name, ridge, marks), share, (t, _) in zip(found, shares, judged, strict=True)
        if share > 0
    ]
    left_out = sum((p.factor * p.ridge.left_out for p in parts), np.zeros((len(x), labels)))
    return Frozen(parts, found[0][1].lam, left_out)


@dataclass(frozen=True)
class Novelty:
    """v(x) = 1 - |F k(x)|^2, the posterior variance of a Gaussian process with this kernel (Rasmussen & Williams 2006, eq. 2.26)."""

    factor: Matrix
    weight: float
    noise: float

    def variance(self, k: Matrix) -> Matrix:
        return 1 - ((k @ self.factor.T) ** 2).sum(axis=1)

    def left_out(self) -> Matrix:
        """Of each landmark without itself (there, eq. 5.12)."""
        return 1 / (self.factor**2).sum(axis=0) - self.noise


def fit_novelty(landmarks: Matrix) -> Novelty:
    k = kernel(landmarks, landmarks)
    s = max(SPREAD_MIN, 1 - float(k.mean())) if len(k) > 1 else 1.0
    lower = np.linalg.cholesky(k + NOISE * s * np.eye(len(k)))
    return Novelty(np.linalg.inv(lower).astype(np.float64), VARIANCE_WEIGHT / s, NOISE * s)
