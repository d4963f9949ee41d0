"""What rows are labelled with, in the convention of scikit-learn: `y` is [n] with the class of each row, or [n, labels] of 0 and 1 where a row may
have any number of labels (as bytes: a thousand of them may be). −1, in all places of a row, where nobody labelled it. All that differs is here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def several(y: Ints) -> bool:
    """Whether rows may have any number of labels."""
    return y.ndim == 2


def labelled(y: Ints) -> Mask:
    return np.asarray((y >= 0).all(axis=1) if several(y) else y >= 0)


def indicator(y: Ints, labels: int) -> Mask:
    """[n, labels]: whether the row has the label."""
    return y == 1 if several(y) else np.arange(labels)[None, :] == y[:, None]


def counts(y: Ints, labels: int) -> Ints:
    """Rows that have each label; `y` without unlabelled rows."""
    return y.sum(axis=0).astype(np.int64) if several(y) else np.bincount(y, minlength=labels)


def classes(y: Ints) -> Ints:
    """One number a row, for folds and turns: of several labels the first (as the edge does); rows of none are a class of their own."""
    return np.where(y.any(axis=1), y.argmax(axis=1), y.shape[1]).astype(np.int64) if several(y) else y


def groups(y: Ints) -> tuple[list[Mask], int]:
    """The rows of each class; of several labels those with and those without each label that tells rows apart, and how many such labels there are."""
    if not several(y):
        return [y == c for c in np.unique(y)], 1
    telling = np.flatnonzero(y.min(axis=0) < y.max(axis=0))
    return [y[:, c] == side for c in telling for side in (0, 1)], len(telling)


def labels_each(y: Ints) -> Ints:
    """How many labels each row has."""
    return y.sum(axis=1).astype(np.int64) if several(y) else np.ones(len(y), dtype=np.int64)


def strata(y: Ints) -> Ints:
    """As `classes`, but of several labels the rarest: halves by it have rows of every label, where there are enough."""
    if not several(y):
        return y
    order = np.argsort(counts(y, y.shape[1]), kind="stable")
    first = classes(y[:, order])
    return np.append(order, y.shape[1])[first].astype(np.int64)


def fair(y: Ints, labels: int) -> Mask:
    """Rows each of whose labels has another row: the others could not be right when left out."""
    count = counts(y, labels)
    return ~((y == 1) & (count <= 1)).any(axis=1) if several(y) else count[y] > 1


def teaches(y: Ints) -> bool:
    """Whether there is anything to tell apart: two classes, or a label that some rows have and others lack."""
    return bool((y.min(axis=0) < y.max(axis=0)).any()) if several(y) and len(y) else len(np.unique(y)) >= 2


def right(scores: Matrix, y: Ints) -> Mask:
    """Rows that are answered right: the best label, or the same labels, none more and none less."""
    return ((scores >= 0) == (y == 1)).all(axis=1) if several(y) else scores.argmax(1) == y


def same_answers(scores: Matrix, others: Matrix, y: Ints) -> Mask:
    """Rows to which two sets of scores answer alike; `y` says which kind of answer."""
    return ((scores >= 0) == (others >= 0)).all(axis=1) if several(y) else scores.argmax(1) == others.argmax(1)


def told(y: Ints) -> list[Any]:
    """As results tell them: the label of each row, or a list of its labels."""
    return [np.flatnonzero(row == 1).tolist() for row in y] if several(y) else y.tolist()


def placed(y: Ints, names: list[str], labels: list[str]) -> Ints:
    """The same rows with the places of `labels`; −1 where a row has a name that is not among them."""
    place = np.array([labels.index(n) if n in labels else -1 for n in names] + [-1], dtype=np.int64)
    if not several(y):
        return place[y]
    out = np.zeros((len(y), len(labels)), dtype=y.dtype)
    known = place[:-1] >= 0
    out[:, place[:-1][known]] = y[:, known]
    out[~labelled(y) | (y[:, ~known] == 1).any(axis=1)] = -1
    return out


def most_frequent_share(y: Ints, weights: Matrix) -> float:
    """Share of rows that the most frequent answer is right for; `weights` [n]: how many rows each stands for."""
    kind = np.unique(y, axis=0, return_inverse=True)[1].reshape(-1)
    return float(np.bincount(kind, weights=weights).max() / weights.sum())


def most_frequent(y: Ints, labels: int) -> tuple[list[Any], list[Any], str]:
    """What to answer without looking, with its probabilities, under the names of the held-out answers: the largest class and its share, or the most
    frequent set of labels and the share of rows that have each of them."""
    count = counts(y, labels)
    if not several(y):
        return [int(count.argmax())], [float(count.max() / count.sum())], "confidence"
    rows, seen = np.unique(y, axis=0, return_counts=True)
    said = np.flatnonzero(rows[seen.argmax()])
    return [said.tolist()], [(count[said] / len(y)).tolist()], "probability"
