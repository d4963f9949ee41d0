"""Rows of a multi-label dataset by what they have: each set of labels is one kind of row."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .arrays import ArrayFile
from .data import Rows
from .heads import Ints

# Rows of `present` that are in memory at a time, one byte a label; beyond that they are kept as bits.
BLOCK = 4_096


@dataclass(frozen=True)
class LabelSets:
    """`kind` [n]: which set each row of the dataset has, -1 where nobody labelled it; `sets` U8 [kinds, labels]: 1 where the label is in the set."""

    kind: Ints
    sets: NDArray[np.uint8]

    def by_kind(self, rows: Rows) -> Rows:
        """The same rows of the dataset, their kinds in place of labels."""
        return replace(rows, labels=self.kind[rows.row])

    def counts(self, kinds: Ints) -> Ints:
        """How many rows of these kinds have each label."""
        return self.sets[kinds[kinds >= 0]].sum(axis=0, dtype=np.int64)

    def names(self, labels: list[str]) -> list[str]:
        """What each kind is called, in quotes."""
        return [", ".join(f'"{labels[i]}"' for i in np.flatnonzero(one)) or "none of the labels" for one in self.sets]


def read_label_sets(path: Path) -> LabelSets:
    """Of `labels` I32 [n] and `present` U8 [n, labels] in a frozen dataset."""
    arrays = ArrayFile(path)
    n, width = arrays.shape("present")
    unlabelled = arrays.read("labels") < 0
    if width == 0:
        return LabelSets(np.full(n, -1, dtype=np.int64), np.zeros((0, 0), dtype=np.uint8))
    bits = [np.packbits(arrays.read("present", first, min(BLOCK, n - first)), axis=1) for first in range(0, n, BLOCK)]
    found, kind = np.unique(np.concatenate(bits), axis=0, return_inverse=True)
    return LabelSets(np.where(unlabelled, -1, kind.reshape(-1)).astype(np.int64), np.unpackbits(found, axis=1, count=width))
