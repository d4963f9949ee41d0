"""Rows beside other rows: near duplicates (also across splits and with other labels) and outliers, by cosine, block by block."""

from typing import Any

import numpy as np

from .data import TRAIN
from .heads import Ints, Matrix, unit

BLOCK = 512
NEIGHBOURS = 10
OUTLIER_Z = 4.0
SPLITS = ("training", "validation", "test")


def near_duplicates(x: Matrix, y: Ints, split: Ints, row: Ints, names: list[str], least: float) -> list[dict[str, Any]]:
    """One issue a row and kind, with the most similar other row. `names`: what the labels are called, in quotes. Within a split the later row repeats
    the earlier one; across splits it is the training row that repeats what is held out, so that leaving it out keeps the proof."""
    u = unit(x)
    n = len(u)
    issues: list[dict[str, Any]] = []
    for start in range(0, n, BLOCK):
        block = np.arange(start, min(start + BLOCK, n))
        close = u[block] @ u.T
        close[np.arange(len(block)), block] = -1.0
        for i, similar in zip(block.tolist(), close, strict=True):
            others = np.flatnonzero(similar >= least)
            if len(others) == 0:
                continue
            # Each pair is told of once: by its training row across splits, by its later row within one.
            before = (split[others] > split[i]) | ((split[others] == split[i]) & (others < i))
            conflicting = (y[others] != y[i]) & (y[others] >= 0) & (y[i] >= 0)
            across = split[others] != split[i]
            for code, mask in (
                ("conflicting_duplicate", before & conflicting),
                ("near_duplicate_across_splits", before & across & ~conflicting),
                ("near_duplicate", before & ~across & ~conflicting),
            ):
                if not mask.any():
                    continue
                j = int(others[mask][similar[others[mask]].argmax()])
                issues.append(issue(code, i, j, float(similar[j]), y, split, row, names))
    return issues


def issue(code: str, i: int, j: int, cosine: float, y: Ints, split: Ints, row: Ints, names: list[str]) -> dict[str, Any]:
    detail = f"Nearly the same as row {row[j]} (cosine {cosine:.3f})"
    if code == "conflicting_duplicate":
        detail += f", which is labelled {names[y[j]]} instead of {names[y[i]]}"
    if split[i] != split[j]:
        detail += f", which is in {SPLITS[split[j]]}" + (": what is measured there would be known from training" if split[i] == TRAIN else "")
    return {"code": code, "row": int(row[i]), "score": min(cosine, 1.0), "with": int(row[j]), "detail": detail + "."}


def outliers(x: Matrix, row: Ints) -> list[dict[str, Any]]:
    """Rows whose mean cosine distance to their 10 nearest rows lies more than 4 robust deviations (median, MAD) above that of the others
    (Ramaswamy, Rastogi & Shim 2000; Iglewicz & Hoaglin 1993). Score z / (z + 4)."""
    n = len(x)
    k = min(NEIGHBOURS, n - 1)
    if n < 3 * NEIGHBOURS:
        return []
    u = unit(x)
    distance = np.empty(n)
    for start in range(0, n, BLOCK):
        block = np.arange(start, min(start + BLOCK, n))
        close = u[block] @ u.T
        close[np.arange(len(block)), block] = -np.inf
        distance[block] = 1 - np.partition(close, n - k, axis=1)[:, n - k :].mean(axis=1)
    middle = float(np.median(distance))
    deviation = 1.4826 * float(np.median(np.abs(distance - middle)))
    z = (distance - middle) / max(deviation, 1e-9)
    return [
        {
            "code": "outlier",
            "row": int(row[i]),
            "score": float(z[i] / (z[i] + OUTLIER_Z)),
            "detail": f"Far from every other row: {distance[i]:.2f} from its {k} nearest, where {middle:.2f} is usual.",
        }
        for i in np.flatnonzero(z > OUTLIER_Z).tolist()
    ]
