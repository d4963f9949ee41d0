"""Trunk activations of rows: in memory up to a budget of bytes, beyond it in a file that is read row by row. With several ranks each computes its
rows and all read the files of all."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import ranks
from .arrays import read_into
from .export import Floats

Views = list[Floats]


@dataclass
class Room:
    """Bytes that activations may still take in memory."""

    left: int


class Shelf:
    """Rows one after the other, each as many float32 arrays of the same number of axes: the first ones in memory, the others in `path`."""

    def __init__(self, path: Path, room: Room) -> None:
        self.path, self.room = path, room
        self.kept: list[Views] = []
        self.views, self.axes = 0, 0
        # Of each array in the file: its offset, then its shape.
        self.places = array("q")
        self.end = 0
        self.file: Any = None

    def __len__(self) -> int:
        return len(self.kept) + (len(self.places) // (self.views * (1 + self.axes)) if self.places else 0)

    def put(self, row: Views) -> None:
        size = sum(v.nbytes for v in row)
        if self.file is None and size <= self.room.left:
            self.room.left -= size
            self.kept.append(row)
            return
        if self.file is None:
            self.file = self.path.open("w+b", buffering=0)
            self.views, self.axes = len(row), row[0].ndim
        for v in row:
            self.places.extend((self.end, *v.shape))
            self.end += write_all(self.file.fileno(), np.ascontiguousarray(v, dtype=np.float32))

    def get(self, i: int) -> Views:
        if i < len(self.kept):
            return self.kept[i]
        return [self.array(k) for k in range((i - len(self.kept)) * self.views, (i - len(self.kept) + 1) * self.views)]

    def view(self, i: int, draw: int) -> Floats:
        """One view alone, by a number modulo how many there are: nothing is read that is not wanted."""
        if i < len(self.kept):
            return self.kept[i][draw % len(self.kept[i])]
        return self.array((i - len(self.kept)) * self.views + draw % self.views)

    def array(self, k: int) -> Floats:
        at = k * (1 + self.axes)
        offset, *shape = self.places[at : at + 1 + self.axes]
        out = np.empty(shape, dtype=np.float32)
        read_into(self.file.fileno(), out, offset)
        return out

    def described(self) -> tuple[str, int, int, bytes]:
        return str(self.path) if self.file else "", self.views, self.axes, self.places.tobytes()

    @classmethod
    def of(cls, told: tuple[str, int, int, bytes]) -> Shelf:
        """Another rank's shelf, from what it told of it."""
        shelf = cls(Path(told[0]), Room(0))
        _, shelf.views, shelf.axes, places = told
        shelf.places.frombytes(places)
        shelf.file = shelf.path.open("rb", buffering=0) if told[0] else None
        return shelf


def write_all(file: int, values: Floats) -> int:
    rest = values.data.cast("B")
    while len(rest):
        rest = rest[os.write(file, rest) :]
    return values.nbytes


class Activations(Sequence[Views]):
    """Row i is the i // n-th of the i % n-th of n shelves."""

    def __init__(self, shelves: list[Shelf]) -> None:
        self.shelves = shelves

    def __len__(self) -> int:
        return sum(map(len, self.shelves))

    def at(self, i: int) -> tuple[Shelf, int]:
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self.shelves[i % len(self.shelves)], i // len(self.shelves)

    def __getitem__(self, i: Any) -> Any:
        shelf, k = self.at(i)
        return shelf.get(k)

    def view(self, i: int, draw: int) -> Floats:
        shelf, k = self.at(i)
        return shelf.view(k, draw)

    def plain(self) -> Plain:
        return Plain(self)


class Plain(Sequence[Floats]):
    """The first view of each row."""

    def __init__(self, of: Activations) -> None:
        self.of = of

    def __len__(self) -> int:
        return len(self.of)

    def __getitem__(self, i: Any) -> Any:
        return self.of.view(i, 0)


class Joined(Sequence[Views]):
    """The rows of one, then those of the other."""

    def __init__(self, a: Activations, b: Activations) -> None:
        self.a, self.b = a, b

    def __len__(self) -> int:
        return len(self.a) + len(self.b)

    def __getitem__(self, i: Any) -> Any:
        return self.a[i] if i < len(self.a) else self.b[i - len(self.a)]

    def view(self, i: int, draw: int) -> Floats:
        return self.a.view(i, draw) if i < len(self.a) else self.b.view(i - len(self.a), draw)


def compute(path: Path, rows: int, room: Room, make: Callable[[int], tuple[Views, Floats]], *, keep: bool = True) -> tuple[Activations, Floats]:
    """`make(i)`: the views of row i and its embedding [1, d]; returns all rows' views, and their embeddings [n, d] float32. Without `keep` only the
    first row's views are there, as a sample.

    The file has no name from the moment on that everybody has opened it, so it is gone with the process however that ends.
    """
    n, rank = ranks.count(), ranks.index()
    shelf = Shelf(path.with_name(f"{path.name}.{rank}"), Room(0) if n > 1 else room)
    made: list[Floats] = []
    for i in range(rank, rows, n):
        views, embedding = make(i)
        if keep or i == 0:
            shelf.put(views)
        made.append(embedding)
    mine = np.concatenate(made) if made else np.zeros((0, 0), dtype=np.float32)
    shelves = [shelf]
    if n > 1:
        told = ranks.gathered((shelf.described(), mine))
        shelves = [shelf if r == rank else Shelf.of(t) for r, (t, _) in enumerate(told)]
        mine = interleaved([m for _, m in told if len(m)])
        ranks.gathered(None)
    if shelf.file is not None:
        shelf.path.unlink()
    return Activations(shelves), mine


def interleaved(parts: Iterable[Floats]) -> Floats:
    parts = list(parts)
    if not parts:
        return np.zeros((0, 0), dtype=np.float32)
    out = np.empty((sum(map(len, parts)), parts[0].shape[1]), dtype=np.float32)
    for r, part in enumerate(parts):
        out[r :: len(parts)] = part
    return out
