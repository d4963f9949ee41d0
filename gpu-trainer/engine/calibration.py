"""From scores to probabilities that hold: temperatures by left-out scores, of a softmax or of the sigmoids of several labels."""

import numpy as np

from . import targets
from .targets import Ints, Matrix

PRIOR_BELIEF = 0.9999
# The same for scores of several labels at once.
CAUTIOUS_BELIEF = 0.9975
SIGMOID_PRIOR = float(2 / np.log(CAUTIOUS_BELIEF / (1 - CAUTIOUS_BELIEF)))
PRIOR_STRENGTH = 16.0
LOG_RANGE = (float(np.log(0.01)), float(np.log(5)))
STEPS = 200
STRIDE = 8


def softmax(scores: Matrix, temperature: float) -> Matrix:
    z = scores / temperature
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def log_loss(scores: Matrix, y: Ints, temperature: float) -> float:
    """Summed over rows; of several labels, over every decision of every row."""
    if targets.several(y):
        return float(np.logaddexp(0, np.where(y == 1, -2.0, 2.0) * scores / temperature).sum())
    z = scores / temperature
    z = z - z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]).sum())


def prior_temperature(labels: int) -> float:
    return float(2 / (np.log(max(1, labels - 1)) + np.log(PRIOR_BELIEF / (1 - PRIOR_BELIEF))))


def soft_loss(scores: Matrix, y: Ints, temperature: float, soft: float) -> float:
    """Cross-entropy summed over rows, `soft` of each target shared by the other labels."""
    k = scores.shape[1]
    share = soft / (k - 1) if k > 1 else 0.0
    z = scores / temperature
    z = z - z.max(axis=1, keepdims=True)
    expected = (1 - k * share) * z[np.arange(len(y)), y] + share * z.sum(axis=1)
    return float((np.log(np.exp(z).sum(axis=1)) - expected).sum())


def fit_temperature(scores: Matrix, y: Ints) -> float:
    return temperature_and_loss(scores, y)[0]


def temperature_and_loss(scores: Matrix, y: Ints) -> tuple[float, float]:
    """Temperature scaling (Guo et al. 2017) with Platt's (1999) soft targets, shrunk to a prior; as functions/learning/calibration.ts."""
    if targets.several(y):
        return sigmoid_temperature(scores, y)
    prior, soft = float(np.log(prior_temperature(scores.shape[1]))), 1 / (len(y) + 2)

    def objective(log: float) -> float:
        loss = soft_loss(scores, y, float(np.exp(log)), soft) if len(y) else 0.0
        return loss + PRIOR_STRENGTH / 2 * (log - prior) ** 2

    golden = (np.sqrt(5) - 1) / 2
    a, b = LOG_RANGE
    c, d = b - golden * (b - a), a + golden * (b - a)
    fc, fd = objective(c), objective(d)
    while b - a > 1e-4:
        if fc < fd:
            b, d, fd = d, c, fc
            c = b - golden * (b - a)
            fc = objective(c)
        else:
            a, c, fc = c, d, fd
            d = a + golden * (b - a)
            fd = objective(d)
    return float(np.exp((a + b) / 2)), objective((a + b) / 2)


def sigmoid(scores: Matrix, temperature: float) -> Matrix:
    """sigma(2 score / t): targets are +-1, a yes is told from a no at 0 (functions/learning/multi-label.ts)."""
    return 1 / (1 + np.exp(-2 * scores / temperature))


def sigmoid_loss(scores: Matrix, y: Ints, temperature: float) -> float:
    """Platt's (1999) soft targets on every pair of row and label, and the pull of the prior of two classes."""
    margins = np.where(y == 1, 2.0, -2.0) * scores / temperature
    pull = PRIOR_STRENGTH / 2 * (np.log(temperature) - np.log(SIGMOID_PRIOR)) ** 2
    return float(pull + np.logaddexp(0, -margins).sum() + margins.sum() / (len(y) + 2))


def sigmoid_temperature(scores: Matrix, y: Ints) -> tuple[float, float]:
    """The best temperature of sigmoids, and the loss there; as functions/learning/multi-label.ts. Its grid, first in strides and then about the best
    of them: a logistic loss has one valley."""
    prior, (low, high) = float(np.log(SIGMOID_PRIOR)), LOG_RANGE

    def least(steps: range, best: tuple[float, float]) -> tuple[float, float]:
        tried = [low + (high - low) * step / STEPS for step in steps]
        return min([best, *((sigmoid_loss(scores, y, float(np.exp(log))), log) for log in tried)], key=lambda found: found[0])

    coarse = least(range(0, STEPS + 1, STRIDE), (sigmoid_loss(scores, y, SIGMOID_PRIOR), prior))
    middle = round((coarse[1] - low) / (high - low) * STEPS)
    loss, log = least(range(max(0, middle - STRIDE), min(STEPS, middle + STRIDE) + 1), coarse)
    return float(np.exp(log)), loss
