"""Confident learning (Northcutt, Jiang & Chuang 2021): which labels are likely wrong, and how many, from out-of-sample probabilities."""

from dataclasses import dataclass

import numpy as np

from .heads import Ints, Matrix

ROWS_MIN = 30  # fewer say nothing about a share
CLASS_ROWS_MIN = 4
MARGIN_MIN = 0.1  # the other class must lead the given one by this much probability


@dataclass(frozen=True)
class LabelNoise:
    """`rows`: positions of suspected rows, surest first; `suggested`: what they look like; `score`: (1 + p_other - p_given) / 2."""

    rows: Ints
    suggested: Ints
    score: Matrix
    share: float | None


def find_label_issues(p: Matrix, y: Ints) -> LabelNoise:
    """p [n, k]: probabilities of rows by a model that has not seen them; y [n]: given labels.

    t_j = mean p_j of the rows labelled j. A row labelled i counts as truly j when j has the largest p among classes with p_j >= t_j. The counts C_ij,
    scaled to the number of rows labelled i, estimate the joint of given and true labels; the noise share is what lies off its diagonal.
    """
    n, k = p.shape
    counts = np.bincount(y, minlength=k)
    usable = counts >= CLASS_ROWS_MIN
    threshold = np.array([p[y == j, j].mean() if usable[j] else np.inf for j in range(k)])
    above = np.where(p >= threshold[None, :], p, -1.0)
    looks = above.argmax(axis=1)
    sure = (above.max(axis=1) >= 0) & usable[y]
    joint = np.zeros((k, k))
    np.add.at(joint, (y[sure], looks[sure]), 1)
    share: float | None = None
    totals = joint.sum(axis=1)
    known = totals > 0
    if n >= ROWS_MIN and known.any():
        scaled = joint[known] / totals[known, None] * counts[known, None]
        share = float(1 - scaled[np.arange(int(known.sum())), np.flatnonzero(known)].sum() / scaled.sum())
    lead = p[np.arange(n), looks] - p[np.arange(n), y]
    found = np.flatnonzero(sure & (looks != y) & (p.argmax(axis=1) == looks) & (lead >= MARGIN_MIN))
    score = (1 + lead[found]) / 2
    order = np.argsort(-score, kind="stable")
    return LabelNoise(found[order], looks[found][order], score[order], share)
