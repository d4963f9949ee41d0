"""One pass of a method: its stages, the weight that its network earned, and that network as it is served."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import ranks
from .deploy import Tuned
from .fit import Fitted
from .heads import Matrix
from .job import Job
from .parity import deploy_settled
from .stages import Stages, keeping
from .tune import State
from .wire import phase


@dataclass(frozen=True)
class Trained:
    state: State | None
    mix: float
    curve: list[dict[str, float]]
    oof: Matrix
    tuned: Tuned | None


@dataclass(frozen=True)
class Model:
    """`others`: answers of the method's own comparisons on the held-out rows; `tasks`: TaskResults."""

    trained: Trained
    fitted: Fitted
    others: dict[str, Any] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)


def train_once(job: Job) -> Trained:
    stages = Stages(job)
    stages.run()
    mix, curve, oof = ranks.from_first(stages.cross_fit)
    if job.tunes and mix == 0:
        job.notes.append("Cross-fitting found nothing gained by the tuned network, so the frozen backbone is kept.")
    phase("exporting")
    state = stages.state
    tuned = ranks.from_first(lambda: deploy_settled(job, state, mix, oof)) if state is not None and mix > 0 else None
    if state is not None:
        keeping(job, state, job.run, "final")()
    job.check_stop()
    return Trained(stages.state, mix, curve, oof, tuned)
