"""How far a job's training is over all its stages, of whichever run and attempt they are: what `progress` tells while it trains."""

from __future__ import annotations

from .clock import Clock
from .wire import Meter

# Costs of the stages of a run: a fold holds half of the rows, so its epochs count half.
RUN = (0.5, 0.5, 1.0)


class Course:
    """`epochs`: finished, of all stages; `begun`: the last one that began; `steps`: of the stages that are over; `planned`: epochs in all, less those
    that a stage ended without. An estimate rests on what this attempt has worked: earlier ones may have run on another machine."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.epochs, self.begun, self.steps, self.planned = 0, 0, 0, 0
        self.worked = 0.0
        self.training: Meter | None = None

    def meter(self, *, ends: bool) -> Meter:
        """For work beside the training; `ends`: nothing long follows it."""
        return Meter(max(self.begun, self.epochs), self.planned, ends=ends, most=self.clock.remaining)

    def expect(self, epochs: int) -> None:
        """How many epochs are planned in all, unless an earlier attempt knew better."""
        self.planned = self.planned or epochs

    def begin(self) -> None:
        """The training begins, or goes on with its next stage."""
        if self.training is None:
            self.training = self.meter(ends=True)

    def step(self, step: int, *, work: float, ahead: float, epochs_ahead: int, examples: int, loss: float) -> None:
        """One more step, the `step`-th of its stage. `work`: what it was, `ahead`: what is left of the training, in one unit; `epochs_ahead`: epochs
        that are not finished."""
        assert self.training is not None
        self.worked += work
        self.begun, self.planned = max(self.begun, self.epochs + 1), self.epochs + epochs_ahead
        self.training.epoch, self.training.epochs, self.training.after = self.begun, self.planned, self.clock.reserve
        self.training.tick(self.steps + step, examples, self.worked / (self.worked + ahead), loss)
