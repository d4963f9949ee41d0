"""Frozen arrays on disk: a safetensors file whose rows are read when they are needed, so that a dataset may be larger than memory."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .heads import Ints
from .wire import EngineError

# What the host writes, and what tests and converters may write beside it.
TYPES = {"U8": np.uint8, "I32": np.int32, "I64": np.int64, "F16": np.float16, "F32": np.float32}


def read_into(file: int, into: NDArray[Any], offset: int) -> None:
    """pread, not a memory map: what was read does not stay part of the process, and a file that has become shorter is an error, no SIGBUS."""
    rest = into.reshape(-1).view(np.uint8).data
    while len(rest):
        n = os.preadv(file, [rest], offset)
        if n == 0:
            raise EngineError("input_corrupt", "A file of arrays ended before its rows did.", retryable=True, blame="graft")
        rest, offset = rest[n:], offset + n


class ArrayFile:
    """The tensors of one file. Raises EngineError where the file is not what its own header says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("rb", buffering=0)
        size = path.stat().st_size
        try:
            length = int.from_bytes(self.file.read(8), "little")
            if length > size:
                raise ValueError("its header is longer than the file")
            header: dict[str, Any] = json.loads(self.file.read(length))
            self.tensors = {k: v for k, v in header.items() if k != "__metadata__"}
            self.start = 8 + length
            if any(self.start + v["data_offsets"][1] > size for v in self.tensors.values()):
                raise ValueError("it is shorter than its header says")
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise EngineError("input_corrupt", f"{path.name} cannot be read: {e}", retryable=True, blame="graft") from e

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def shape(self, name: str) -> list[int]:
        return list(self.tensors[name]["shape"])

    def read(self, name: str, first: int = 0, rows: int | None = None) -> NDArray[Any]:
        """A tensor, or `rows` rows of it."""
        told = self.tensors[name]
        shape = self.shape(name)
        dtype = np.dtype(TYPES[told["dtype"]])
        row = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        out = np.empty([shape[0] if rows is None else rows, *shape[1:]], dtype=dtype)
        if out.size:
            read_into(self.file.fileno(), out, self.start + told["data_offsets"][0] + first * row)
        return out


class Pictures(Sequence[Any]):
    """Squares [256, 256, 3] U8 of one or several files, none of them in memory. A list of places gives [n, 256, 256, 3]."""

    def __init__(self, files: list[ArrayFile], of: Ints, row: Ints) -> None:
        self.files, self.of, self.row = files, of, row

    @classmethod
    def all_of(cls, file: ArrayFile) -> Pictures:
        n = file.shape("pixels")[0]
        return cls([file], np.zeros(n, dtype=np.int64), np.arange(n, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.row)

    def one(self, i: int) -> Any:
        return self.files[int(self.of[i])].read("pixels", int(self.row[i]), 1)[0]

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, (int, np.integer)):
            return self.one(int(i))
        return np.stack([self.one(int(k)) for k in i])

    def take(self, keep: Ints) -> Pictures:
        return type(self)(self.files, self.of[keep], self.row[keep])

    def joined(self, other: Pictures) -> Pictures:
        of, row = np.concatenate([self.of, other.of + len(self.files)]), np.concatenate([self.row, other.row])
        return type(self)([*self.files, *other.files], of, row)


class TokenRows(Pictures):
    """Token rows [tokens] int64 without their padding. A list of places gives a list."""

    @classmethod
    def all_of(cls, file: ArrayFile) -> TokenRows:
        n = file.shape("input_ids")[0]
        return cls([file], np.zeros(n, dtype=np.int64), np.arange(n, dtype=np.int64))

    def one(self, i: int) -> Any:
        file, row = self.files[int(self.of[i])], int(self.row[i])
        return file.read("input_ids", row, 1)[0][: int(file.read("lengths", row, 1)[0])].astype(np.int64)

    def __getitem__(self, i: Any) -> Any:
        return self.one(int(i)) if isinstance(i, (int, np.integer)) else [self.one(int(k)) for k in i]
