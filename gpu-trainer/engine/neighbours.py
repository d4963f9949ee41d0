"""Rows beside other rows: near duplicates (also across splits and with other labels) and outliers, by cosine, block by block."""

from typing import Any

import numpy as np

from .data import TRAIN
from .export import Floats
from .heads import Ints, Matrix, unit

BLOCK = 512
NEIGHBOURS = 10
OUTLIER_Z = 4.0
# 1 - correlation of small pictures: at most this, and at most so much of the distance to the third nearest row, or next to nothing.
APART_MAX = 0.03
RATIO = 0.25
APART_SAME = 0.0005
THIRD = 3
NEAR_KEPT = 16
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
            issues += pairs(i, others, similar[others], "cosine", y, split, row, names)
    return issues


def same_pictures(small: Floats, y: Ints, split: Ints, row: Ints, names: list[str]) -> list[dict[str, Any]]:
    """As above, by the pictures' own pixels: what was saved again, resized or mirrored, which moves the embedding of a small picture further than to
    some other picture. small: [n, side, side, 3], correlated as they are and mirrored.

    Among rows that all look alike (trousers on white) a correlation says little: a pair has to lie much closer than either lies to its third nearest
    row (a ratio test as of Lowe 2004; the third, because a copy may have copies).
    """
    n = len(small)
    plain, mirrored = (correlated(v) for v in (small, small[:, :, ::-1]))
    third = np.full(n, np.inf, dtype=np.float32)
    near: list[tuple[int, Ints, Floats]] = []
    for start in range(0, n, BLOCK):
        block = np.arange(start, min(start + BLOCK, n))
        apart = 1 - np.maximum(plain[block] @ plain.T, plain[block] @ mirrored.T)
        apart[np.arange(len(block)), block] = np.inf
        if n > THIRD:
            third[block] = np.partition(apart, THIRD - 1, axis=1)[:, THIRD - 1]
        for i, one in zip(block.tolist(), apart, strict=True):
            others = np.flatnonzero(one <= APART_MAX)
            others = others[np.argsort(one[others], kind="stable")[:NEAR_KEPT]]
            near += [(i, others, one[others])] if len(others) else []
    issues: list[dict[str, Any]] = []
    for i, others, apart in near:
        same = apart <= np.maximum(APART_SAME, RATIO * np.minimum(third[i], third[others]))
        if same.any():
            issues += pairs(i, others[same], 1 - apart[same].astype(np.float64), "pixels", y, split, row, names)
    return issues


def correlated(small: Floats) -> Floats:
    """Unit vectors whose product is the correlation; 0 where nothing varies."""
    v = small.reshape(len(small), -1)
    v = v - v.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(v, axis=1, keepdims=True)
    return np.divide(v, norm, out=np.zeros_like(v), where=norm > 0)


def merged(first: list[dict[str, Any]], more: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of two lists of pairs, one finding a row and kind."""
    known = {(i["code"], i["row"]) for i in first}
    return first + [i for i in more if (i["code"], i["row"]) not in known]


def pairs(i: int, others: Ints, similar: Matrix, what: str, y: Ints, split: Ints, row: Ints, names: list[str]) -> list[dict[str, Any]]:
    """Each pair is told of once: by its training row across splits, by its later row within one."""
    before = (split[others] > split[i]) | ((split[others] == split[i]) & (others < i))
    conflicting = (y[others] != y[i]) & (y[others] >= 0) & (y[i] >= 0)
    across = split[others] != split[i]
    issues: list[dict[str, Any]] = []
    for code, mask in (
        ("conflicting_duplicate", before & conflicting),
        ("near_duplicate_across_splits", before & across & ~conflicting),
        ("near_duplicate", before & ~across & ~conflicting),
    ):
        if mask.any():
            at = int(similar[mask].argmax())
            issues.append(issue(code, i, int(others[mask][at]), float(similar[mask][at]), what, y, split, row, names))
    return issues


def issue(code: str, i: int, j: int, similar: float, what: str, y: Ints, split: Ints, row: Ints, names: list[str]) -> dict[str, Any]:
    detail = f"Nearly the same as row {row[j]} ({what} {similar:.3f})"
    if code == "conflicting_duplicate":
        detail += f", which is labelled {names[y[j]]} instead of {names[y[i]]}"
    if split[i] != split[j]:
        detail += f", which is in {SPLITS[split[j]]}" + (": what is measured there would be known from training" if split[i] == TRAIN else "")
    return {"code": code, "row": int(row[i]), "score": min(similar, 1.0), "with": int(row[j]), "detail": detail + "."}


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
