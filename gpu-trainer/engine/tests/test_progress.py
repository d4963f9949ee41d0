"""What a job tells of the time that is left, and how soon it answers a stop. (How it counts epochs and steps: test_side_runs.py.)"""

import time
from pathlib import Path
from typing import Any

import pytest

import engine.data
import engine.run
import engine.stages
import engine.wire
from engine.clock import Clock
from engine.course import RUN, Course
from engine.ledger import Ledger
from engine.wire import Stopped

from .conftest import spec_of
from .small import begin

Data = tuple[Path, list[str]]
SECONDS_A_UNIT = 100.0


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What jobs of this process say, with the progress of every step."""
    said: list[dict[str, Any]] = []

    class Out:
        def write(self, text: str) -> None:
            said.append(engine.wire.json.loads(text))

        def flush(self) -> None: ...

    monkeypatch.setattr(engine.wire, "_out", Out())
    monkeypatch.setattr(engine.wire, "EVERY_SECONDS", -1.0)
    return said


def test_a_stop_is_answered_between_two_rows_that_only_go_through_the_network(
    mails: Data, tmp_path: Path, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run of the job, the one without adaptation, is stopped at the first row through its graphs, and goes on from there."""
    target = {"arrays": str(mails[0]), "labels": mails[1]}
    method = {"type": "domain_adaptation", "epochs": 1, "batch_size": 16}
    epochs = 2 * len(RUN)
    stopping: list[bool] = []
    embedded = 0
    run_session = engine.data.run_session

    def count(*given: Any) -> Any:
        nonlocal embedded
        if [line["phase"] for line in lines if line["type"] == "phase"].count("exporting") == 2:
            embedded += 1
            stopping.append(True)
        return run_session(*given)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(engine.data, "run_session", count)
        engine.run.run(spec_of("text", *mails, tmp_path / "first", method=method, target=target), stopping)
    assert embedded == 1
    kept = [line for line in lines if line["type"] == "checkpoint"][-1]
    assert kept["epoch"] == epochs
    lines.clear()
    engine.run.run(spec_of("text", *mails, tmp_path / "second", method=method, target=target, checkpoint=kept["file"]), [])
    # Nothing was left to train, and progress does not begin again.
    progress = [line["progress"] for line in lines if line["type"] == "progress"]
    assert {p["loss"] for p in progress} == {None}
    assert {p["epoch"] for p in progress} == {p["epochs"] for p in progress} == {epochs}


def test_what_a_checkpoint_has_is_not_written_over(tmp_path: Path, lines: list[dict[str, Any]], mails: Data) -> None:
    state, _ = begin("fine_tune", "text", {"epochs": 2})
    ledger = Ledger(spec_of("text", *mails, tmp_path), Clock(None), [])
    for epoch, stage in ((1, "fold0"), (1, "fold0"), (2, "fold0"), (2, "fold1"), (2, "fold1")):
        state.epoch = epoch
        ledger.keep(state, "", stage)
    assert [Path(line["file"]).stem for line in lines] == ["checkpoint-fold0-1", "checkpoint-fold0-2", "checkpoint-fold1-2"]


@pytest.mark.parametrize("resumed", [False, True])
def test_the_estimate_is_what_is_left_at_an_even_pace(resumed: bool, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of ten epochs a stage, five steps each; a resumed one begins with the last stage of the first run."""
    now = 50.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = Clock(None)
    clock.reserve = 7.0
    course = Course(clock)
    stages, steps, epochs = [*RUN, *RUN], 5, 10
    if resumed:
        course.epochs, course.steps = 2 * epochs, 2 * epochs * steps
    course.begin()
    for s in range(2 if resumed else 0, len(stages)):
        every = epochs * steps
        for i in range(every):
            work, ahead = stages[s] / every, stages[s] * (1 - (i + 1) / every) + sum(stages[s + 1 :])
            now += SECONDS_A_UNIT * work
            course.step(i + 1, work=work, ahead=ahead, epochs_ahead=(len(stages) - s) * epochs - i // steps, examples=4, loss=1.0)
            assert lines[-1]["progress"]["eta_seconds"] == pytest.approx(SECONDS_A_UNIT * ahead + 7.0)
            assert lines[-1]["progress"]["epochs"] == len(stages) * epochs
            course.epochs += (i + 1) % steps == 0
        course.steps += every
    assert lines[-1]["progress"]["epoch"] == len(stages) * epochs and lines[-1]["progress"]["step"] == len(stages) * epochs * steps


def test_no_estimate_is_longer_than_the_job_may_take_and_none_is_made_of_what_is_not_known(lines: list[dict[str, Any]]) -> None:
    course = Course(Clock(60.0))
    course.begin()
    course.step(1, work=1e-9, ahead=1.0, epochs_ahead=3, examples=4, loss=1.0)
    assert 0 < lines[-1]["progress"]["eta_seconds"] <= 60
    # Rows are embedded, and how fast the network will learn from them is not known; what has begun does not become undone.
    course.meter(ends=False).tick(5, 5, 0.5)
    progress = lines[-1]["progress"]
    assert progress["eta_seconds"] is None and (progress["epoch"], progress["epochs"]) == (1, 3)
