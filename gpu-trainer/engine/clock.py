"""How long a job may take, and which part of what is left the next stage of its training may have."""

from __future__ import annotations

import time

# Kept for exporting, evaluating and writing, besides what embedding the rows again takes.
RESERVE = 0.05


class Clock:
    """`seconds`: what the job may take in all, None for any time. `spent`: of earlier attempts, as their last checkpoint says."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds, self.spent = seconds, 0.0
        self.started = time.monotonic()
        self.reserve = 0.0

    def now(self) -> float:
        return self.spent + time.monotonic() - self.started

    def left(self) -> float:
        """Seconds until training has to end; infinite without a limit."""
        return float("inf") if self.seconds is None else self.seconds * (1 - RESERVE) - self.reserve - self.now()

    def remaining(self) -> float:
        """Seconds until the job has to end; infinite without a limit."""
        return float("inf") if self.seconds is None else max(self.seconds - self.now(), 0.0)

    @property
    def over(self) -> bool:
        return self.seconds is not None and self.now() >= self.seconds

    def until(self, share: float) -> float:
        """The moment (of time.monotonic) at which a stage with this share of the training that is left has to end."""
        return time.monotonic() + max(self.left(), 0.0) * share
