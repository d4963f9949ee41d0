"""What a job tells of its progress: epochs and steps over all that it trains, the time that is left, and how soon it answers a stop."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import engine.data
import engine.run
import engine.stages
import engine.wire
from engine.clock import Clock
from engine.course import RUN, Course
from engine.wire import Stopped

from .conftest import Spec, spec_of

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


def told(lines: list[dict[str, Any]], key: str, *, training: bool) -> list[Any]:
    return [line["progress"][key] for line in lines if line["type"] == "progress" and (line["progress"]["loss"] is not None or not training)]


def adapted(mails: Data, out: Path, **more: Any) -> Spec:
    """Two runs, as one is without the adaptation, of three stages each. (That the target is the source itself makes no difference to that.)"""
    target = {"arrays": str(mails[0]), "labels": mails[1]}
    method = {"type": "domain_adaptation", "epochs": 1, "batch_size": 16}
    return spec_of("text", *mails, out, method=method, target=target, **more)


def test_epochs_and_steps_count_over_all_folds_and_runs_and_a_stop_is_answered_at_once(
    mails: Data, tmp_path: Path, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run of the job is stopped while its network's embeddings are taken, and goes on from there."""
    engine.run.run(adapted(mails, tmp_path / "whole"), [])
    epochs = 2 * len(RUN)
    whole = list(lines)
    assert set(told(whole, "epochs", training=False)) == {epochs}
    assert sorted(set(told(whole, "epoch", training=True))) == list(range(1, epochs + 1))
    for training in (True, False):
        assert (np.diff(told(whole, "epoch", training=training)) >= 0).all()
    steps = told(whole, "step", training=True)
    assert steps == list(range(1, len(steps) + 1))
    assert None not in told(whole, "eta_seconds", training=True)

    stopping: list[bool] = []
    embedded = 0
    run_session = engine.data.run_session

    def count(*given: Any) -> Any:
        nonlocal embedded
        if [line["phase"] for line in lines if line["type"] == "phase"].count("exporting") == 2:
            embedded += 1
            stopping.append(True)
        return run_session(*given)

    lines.clear()
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(engine.data, "run_session", count)
        engine.run.run(adapted(mails, tmp_path / "first"), stopping)
    assert embedded == 1
    kept = lines[-1]
    assert kept["type"] == "checkpoint" and kept["epoch"] == epochs
    lines.clear()
    engine.run.run(adapted(mails, tmp_path / "second", checkpoint=kept["file"]), [])
    # Nothing was left to train, and progress does not begin again.
    assert set(told(lines, "epoch", training=False)) == set(told(lines, "epochs", training=False)) == {epochs}
    one, other = (load_file(tmp_path / name / "head.safetensors") for name in ("whole", "second"))
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], atol=1e-5, err_msg=name)


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
    # Rows are embedded, and how fast the network will learn from them is not known.
    course.meter(ends=False).tick(5, 5, 0.5)
    assert lines[-1]["progress"]["eta_seconds"] is None and lines[-1]["progress"]["epochs"] == 3
