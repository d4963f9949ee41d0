"""How well a frozen embedding serves given labels: by evidence, by class separation, by cross-validation and by a learning curve."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import targets
from .heads import Ints, Matrix, Ridge, by_turns, turns
from .kernel import Frozen, fit_frozen
from .targets import Mask

FOLDS = 5
CURVE_REPEATS = 5
CURVE_DRAWS = 200
Z95 = 1.96
Fit = Callable[[Matrix, Ints, int], Frozen | Ridge]


def log_me(features: Matrix, y: Ints, classes: int) -> float:
    """Log maximum evidence per row of a Bayesian linear model from features to one-hot labels, mean over classes (You et al. 2021, alg. 3).

    Precisions alpha (weights) and beta (noise) by the fixed point alpha = gamma / |m|^2, beta = (n - gamma) / |F m - y|^2.
    """
    n, d = features.shape
    u, s, _ = np.linalg.svd(features, full_matrices=False)
    sigma = s**2
    has = targets.indicator(y, classes)
    evidence = []
    for c in range(classes):
        target = has[:, c].astype(np.float64)
        if not target.any():
            continue
        projected = u.T @ target
        projected2 = projected**2
        rest = max(float(target @ target - projected2.sum()), 0.0)
        alpha = beta = 1.0
        for _ in range(100):
            ratio = alpha / beta
            gamma = float((sigma / (sigma + ratio)).sum())
            m2 = max(float((sigma * projected2 / (sigma + ratio) ** 2).sum()), 1e-12)
            residual = max(float((projected2 / (1 + sigma / ratio) ** 2).sum()) + rest, 1e-12)
            alpha, beta = gamma / m2, max(n - gamma, 1e-9) / residual
            if abs(alpha / beta - ratio) / ratio < 1e-3:
                break
        value = d * np.log(alpha) + n * np.log(beta) - np.log(alpha + beta * sigma).sum() - (d - len(sigma)) * np.log(alpha)
        value -= beta * residual + alpha * m2 + n * np.log(2 * np.pi)
        evidence.append(0.5 * float(value) / n)
    return float(np.mean(evidence))


def h_score(features: Matrix, y: Ints) -> float:
    """tr(cov(f)^-1 cov(E[f|y])) (Bao et al. 2019); cov(f) shrunk towards its mean variance (Ledoit & Wolf 2004), as Ibrahim et al. 2021 do, because
    with fewer rows than dimensions the plain score grows with noise. Of several labels a row the mean over labels, each there or not."""
    x = features - features.mean(axis=0)
    n, d = x.shape
    mu = float((x * x).sum()) / (n * d)
    # Ledoit-Wolf intensity from the Gram matrix: |S - mu I|^2 and the spread of the rows' own outer products around S.
    gram = x @ x.T
    s2 = float((gram * gram).sum()) / n**2
    delta2 = max(s2 - d * mu**2, 1e-12)
    spread = float((np.diag(gram) ** 2).sum()) / n**2 - s2 / n
    shrink = float(np.clip(spread / delta2, 1e-4, 1.0))
    groups, questions = targets.groups(y)
    means = np.stack([np.sqrt(group.mean()) * x[group].mean(axis=0) for group in groups])
    # (a I + (1 - shrink) X'X / n)^-1 through the n by n system (Woodbury).
    a, w = shrink * mu, (1 - shrink) / n
    if a <= 0:
        return 0.0
    inner = x @ means.T
    solved = np.linalg.solve(np.eye(n) / w + gram / a, inner) if w > 0 else np.zeros_like(inner)
    return float((1 - shrink) * ((means * means).sum() / a - (inner * solved).sum() / a**2)) / questions


def leep(source: Matrix, y: Ints, classes: int) -> float:
    """Log expected empirical prediction (Nguyen et al. 2020): mean log sum_z P(y|z) theta(x)_z over the backbone's own classes z. Of several labels a
    row the mean over labels, each there or not."""
    has = targets.indicator(y, classes)
    given = (has.T @ source) / np.maximum(source.sum(axis=0, keepdims=True), 1e-12)
    said = source @ given.T
    right = np.where(has, said, 1 - said) if targets.several(y) else said[has]
    return float(np.log(np.maximum(right, 1e-12)).mean())


def out_of_fold_scores(x: Matrix, y: Ints, classes: int, folds: int = FOLDS, fit: Fit = fit_frozen) -> tuple[Matrix, Ints]:
    """Scores of each row by a fit without its fold (stratified), and the rows that could be scored (their class has another row)."""
    place = turns(targets.strata(y)) % folds
    scores = np.zeros((len(y), classes))
    for f in range(folds):
        inside, outside = np.flatnonzero(place != f), np.flatnonzero(place == f)
        if len(outside) and targets.teaches(y[inside]):
            scores[outside] = fit(x[inside], y[inside], classes).scores(x[outside])
    return scores, np.flatnonzero(targets.fair(y, classes))


def weighted_share(right: Mask, weights: Matrix) -> tuple[float, dict[str, float]]:
    """Share of all rows that is answered right, with its 95 % interval by the effective number of rows (Kish 1965)."""
    if len(right) == 0:
        return 0.0, {"low": 0.0, "high": 1.0}
    share, n = float(np.average(right, weights=weights)), float(weights.sum() ** 2 / (weights**2).sum())
    return share, wilson(share * n, n)


def least_recall(scores: Matrix, y: Ints) -> float:
    """Lower 95 % limit of the mean over labels of the share of their rows that is answered right. Of several labels a row that of their balanced
    accuracy, the rows with a label and the rows without it counting alike."""
    if targets.several(y):
        of = [(scores[:, c] >= 0)[y[:, c] == 1] for c in range(y.shape[1])] + [(scores[:, c] < 0)[y[:, c] == 0] for c in range(y.shape[1])]
        of = [r for r in of if len(r)]
    else:
        right = targets.right(scores, y)
        of = [right[y == c] for c in np.unique(y)]
    spreads = [wilson_spread(float(r.sum()), len(r)) for r in of]
    # The same rows answer for every one of several labels, so their errors are taken to go together.
    spread = np.mean(spreads) if targets.several(y) else np.sqrt(np.sum(np.square(spreads))) / len(of)
    return float(np.mean([r.mean() for r in of]) - Z95 * spread)


def wilson_spread(right: float, n: int) -> float:
    """Standard error of a share, as its interval has it: not 0 where all of few rows are right."""
    around = wilson(right, n)
    return (around["high"] - around["low"]) / (2 * Z95)


def wilson(right: float, n: float) -> dict[str, float]:
    """95 % interval of a share (Wilson 1927); `right` may be a fraction of rows."""
    if n == 0:
        return {"low": 0.0, "high": 1.0}
    p = right / n
    middle = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * np.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n))
    return {"low": float(max(middle - half, 0)), "high": float(min(middle + half, 1))}


@dataclass(frozen=True)
class PowerLaw:
    """error(m) = a m^-b + c."""

    a: float
    b: float
    c: float

    def accuracy(self, m: float) -> float:
        return float(np.clip(1 - self.a * m**-self.b - self.c, 0, 1))


def fit_power_law(sizes: Matrix, errors: Matrix, weights: Matrix) -> PowerLaw:
    """Weighted least squares over a grid of b and c; a in closed form (Hestness et al. 2017 for the shape)."""
    best, least = PowerLaw(float(errors.mean()), 0.0, 0.0), np.inf
    for c in np.linspace(0, float(errors.min()), 12):
        for b in np.linspace(0, 1.5, 31):
            base = sizes**-b
            a = max(float((weights * base * (errors - c)).sum() / (weights * base * base).sum()), 0.0)
            loss = float((weights * (errors - c - a * base) ** 2).sum())
            if loss < least:
                best, least = PowerLaw(a, float(b), float(c)), loss
    return best


def learning_curve(
    x: Matrix, y: Ints, classes: int, weights: Matrix, seed: int, fit: Fit = fit_frozen
) -> tuple[list[dict[str, Any]], PowerLaw | None]:
    """Accuracy of the frozen head by training examples a class, measured on rows left out, then carried on by a power law to eight times as many.
    `weights` [n]: how many rows each stands for; of several labels, examples of a class are rows whose rarest label it is. That no more comes of more
    examples is never ruled out: a curve may end where its measuring does."""
    own = targets.strata(y)
    random = np.random.default_rng(seed)
    place = turns(own) % CURVE_REPEATS
    typical = int(np.median(np.unique(own, return_counts=True)[1]) * (1 - 1 / CURVE_REPEATS))
    sizes = [m for m in (1, 2, 4, 8, 16, 32, 64, 128, 256) if m < typical] + ([typical] if typical > 0 else [])
    points: list[dict[str, Any]] = []
    for m in sizes:
        accuracies, tested = [], 0
        for f in range(CURVE_REPEATS):
            inside, outside = random.permutation(np.flatnonzero(place != f)), np.flatnonzero(place == f)
            keep = inside[by_turns(own[inside], len(inside))]
            keep = keep[turns(own[keep]) <= m]
            if len(outside) == 0 or not targets.teaches(y[keep]):
                continue
            right = targets.right(fit(x[keep], y[keep], classes).scores(x[outside]), y[outside])
            accuracies.append(float(np.average(right, weights=weights[outside])))
            tested += len(outside)
        if accuracies:
            mean = float(np.mean(accuracies))
            points.append({"examples_per_class": m, "accuracy": mean, "interval": wilson(mean * tested, tested), "measured": True})
    if len(points) < 3:
        return points, None
    at = np.array([p["examples_per_class"] for p in points], dtype=np.float64)
    error = np.array([1 - p["accuracy"] for p in points])
    deviation = np.array([max((p["interval"]["high"] - p["interval"]["low"]) / (2 * Z95), 1e-3) for p in points])
    # The end of the curve is what is carried on, so later points count more.
    trust = at / deviation**2
    law = fit_power_law(at, error, trust)
    drawn = [fit_power_law(at, np.clip(error + random.normal(0, deviation), 0, 1), trust) for _ in range(CURVE_DRAWS)]
    for factor in (2, 4, 8):
        m = float(at[-1] * factor)
        low, high = np.quantile([d.accuracy(m) for d in drawn], [0.025, 0.975])
        expected = law.accuracy(m)
        interval = {"low": float(min(low, expected, points[len(at) - 1]["interval"]["low"])), "high": float(max(high, expected))}
        points.append({"examples_per_class": m, "accuracy": expected, "interval": interval, "measured": False})
    return points, law
