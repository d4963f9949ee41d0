"""Which labels are likely wrong, and how many: by the likelihood of out-of-sample scores, with the share of wrong labels as one of its parameters
(Lawrence & Schölkopf 2001; Bootkrajang & Kabán 2012)."""

from dataclasses import dataclass

import numpy as np

from . import targets
from .calibration import LOG_RANGE, softmax
from .heads import Ints, Matrix

ROWS_MIN = 30  # fewer say nothing about a share
SUSPECT = 0.3  # a row that is left out in vain costs less than a wrong label that is learnt
SHARES = np.concatenate([[0.0], np.geomspace(0.001, 0.6, 60)])
COARSE, FINE = 41, 9
# Half of the 95 % quantile of chi-square with one degree of freedom (Wilks 1938), and how wide an interval of shares may be to be worth telling.
LIKELY = 1.92
WIDTH_MAX = 0.4


@dataclass(frozen=True)
class LabelNoise:
    """`rows`: positions of suspected rows, surest first; `suggested`: what they look like; `score`: probability that the given label is wrong;
    `share`: of wrong labels among all, None where the rows cannot tell; `p` [n, k]: probabilities of what each row really is."""

    rows: Ints
    suggested: Ints
    score: Matrix
    share: float | None
    p: Matrix


def noise_share(scores: Matrix, y: Ints) -> float | None:
    """Share of wrong labels; of several a row the mean over labels, of decisions whether one is there."""
    return mean_share(find_presence_issues(scores, y) if targets.several(y) else [find_label_issues(scores, y)])


def mean_share(found: list[LabelNoise]) -> float | None:
    """Over those that can tell theirs."""
    shares = [noise.share for noise in found if noise.share is not None]
    return float(np.mean(shares)) if shares else None


def find_presence_issues(scores: Matrix, y: Ints) -> list[LabelNoise]:
    """The same for each of several labels by itself, there or not (Thyagarajan et al. 2022); scores, y [n, labels]."""
    return [find_label_issues(np.stack([-s, s], axis=1), there.astype(np.int64)) for s, there in zip(scores.T, y.T, strict=True)]


def find_label_issues(scores: Matrix, y: Ints) -> LabelNoise:
    """scores [n, k]: of rows by a model that has not seen them; y [n]: given labels.

    What a row is has probability p = softmax(scores / T); its label is any other one with probability e. T and e maximise the likelihood, the sum of
    log((1 - e) p_y + e (1 - p_y) / (k - 1)), and Bayes' rule says of each row whether its label is wrong. Classes that are hard to tell apart make T
    larger and not e: rows that are merely mistaken for each other are no wrong labels.
    """
    n, k = scores.shape
    own = np.arange(n), y

    def given(log: float) -> tuple[Matrix, Matrix]:
        """Of each row's label: its probability where none is wrong, and where all are."""
        right = softmax(scores, float(np.exp(log)))[own]
        return right, (1 - right) / (k - 1)

    def likelihood(log: float) -> Matrix:
        """By SHARES."""
        right, wrong = given(log)
        return np.array([np.log(np.maximum(right + e * (wrong - right), 1e-300)).sum() for e in SHARES])

    logs = np.linspace(*LOG_RANGE, COARSE)
    coarse = np.stack([likelihood(float(log)) for log in logs])
    at, step = float(logs[coarse.max(axis=1).argmax()]), float(logs[1] - logs[0])
    near = np.linspace(at - step, at + step, FINE)
    fine = np.stack([likelihood(float(log)) for log in near])
    log, share = float(near[fine.max(axis=1).argmax()]), float(SHARES[fine.max(axis=0).argmax()])
    right, wrong = given(log)
    likely = SHARES[np.maximum(coarse.max(axis=0), fine.max(axis=0)) >= fine.max() - LIKELY]
    told = n >= ROWS_MIN and float(likely.max() - likely.min()) <= WIDTH_MAX
    score = share * wrong / np.maximum(right + share * (wrong - right), 1e-300)
    p = softmax(scores, float(np.exp(log)))
    others = p.copy()
    others[own] = -1
    found = np.flatnonzero(score > SUSPECT) if told else np.zeros(0, dtype=np.int64)
    rows = found[np.argsort(-score[found], kind="stable")]
    return LabelNoise(rows, others.argmax(axis=1)[rows], score[rows], share if told else None, p)
