"""Lines to the host: one JSON object a line on stdout, nothing else. Errors carry whose fault they are."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

NAMED_MAX = 10


def some_of(names: Sequence[str]) -> str:
    """The first names, and how many more there are: there may be a thousand."""
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


class EngineError(Exception):
    def __init__(self, code: str, detail: str, *, retryable: bool = False, blame: str = "caller", exit_code: int = 2) -> None:
        super().__init__(detail)
        self.code, self.detail, self.retryable, self.blame, self.exit_code = code, detail, retryable, blame, exit_code


class OutOfTime(Exception):
    """The time of a stage is over, inside an epoch of `steps`; what it has learnt counts."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps


class Stopped(Exception):
    """SIGTERM arrived and the checkpoint is written."""


def nothing() -> None:
    """What is called between two rows where nobody wants to know."""


_out = os.fdopen(os.dup(1), "w")
# Libraries that print go to stderr: stdout belongs to the protocol.
os.dup2(2, 1)


# Of several processes of a job the first one speaks; of the others only errors are of interest.
_silent = os.environ.get("RANK", "0") != "0"


def send(**line: Any) -> None:
    if _silent and line["type"] != "error":
        return
    _out.write(json.dumps(line) + "\n")
    _out.flush()


def protocol_output() -> int:
    """What a child gets as stdout to speak the protocol itself."""
    return _out.fileno()


def phase(name: str) -> None:
    send(type="phase", phase=name)


def sha256_of(path: Path) -> str:
    """Hexadecimal. (`hashlib.file_digest` is not in Python 3.10.)"""
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def file_facts(path: Path) -> dict[str, Any]:
    return {"file": str(path), "sha256": sha256_of(path), "bytes": path.stat().st_size}


def tell(message: str, level: str = "info") -> None:
    """A line for the job's event log."""
    send(type="log", level=level, message=message[:2_000])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# Progress is told of at most once in this time.
EVERY_SECONDS = 1.0


class Meter:
    """Progress with an estimate of the time left: at most one line in `every` seconds, and always the last.

    `epoch` of `epochs`: where the job's training is meanwhile. `ends`: what follows this work is short beside it; otherwise nobody knows how long the
    job will take, and no estimate is given. `after`: seconds that what follows will take. `most`: how long the job may go on at all."""

    def __init__(
        self, epoch: int = 0, epochs: int = 0, every: float | None = None, *, ends: bool = True, most: Callable[[], float] | None = None
    ) -> None:
        self.epoch, self.epochs, self.ends, self.most = epoch, epochs, ends, most
        self.every = EVERY_SECONDS if every is None else every
        self.after = 0.0
        self.started = time.monotonic()
        self.last = 0.0
        self.examples = 0
        self.total, self.share = 1, 1

    def expect(self, total: int, processes: int) -> None:
        """How many inputs `work` will count in all; this process sees one of `processes` parts of them."""
        self.total, self.share = max(total, 1), processes

    def work(self, examples: int) -> None:
        """That many more inputs are done; they are what is counted as steps."""
        done = self.examples + examples * self.share
        self.tick(min(done, self.total), examples * self.share, min(done / self.total, 1.0))

    def tick(self, step: int, examples: int, done: float, loss: float | None = None) -> None:
        """`done`: part of all work finished, 0 to 1."""
        self.examples += examples
        now = time.monotonic()
        if now - self.last < self.every and done < 1:
            return
        self.last = now
        spent = max(now - self.started, 1e-6)
        eta = spent * (1 - done) / done + self.after if self.ends and done > 0 else None
        progress = {
            "epoch": self.epoch,
            "epochs": self.epochs,
            "step": step,
            "examples_per_second": self.examples / spent,
            "eta_seconds": eta if eta is None or self.most is None else min(eta, self.most()),
            "loss": loss,
        }
        send(type="progress", progress=progress)
