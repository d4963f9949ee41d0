"""`max_seconds`: training ends in time with what is best until then, and says so."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.clock import RESERVE, Clock

from .conftest import Spec, run_engine, spec_of

Data = tuple[Path, list[str]]


def limited(spec: Spec, seconds: float) -> Spec:
    return {**spec, "limits": {**spec["limits"], "max_seconds": seconds}}


@pytest.mark.parametrize("processes", [1, 2])
def test_training_ends_in_time_and_every_stage_gets_its_part(processes: int, mails: Data, tmp_path: Path) -> None:
    """1,000 epochs would take far longer. A fold sees half of the rows that the final stage sees, so all get about as many epochs."""
    seconds = 20.0
    spec = limited(spec_of("text", *mails, tmp_path, method={"type": "fine_tune", "epochs": 1_000}), seconds)
    spec["limits"]["processes"] = processes
    begun: dict[str, float] = {}

    def note(line: dict[str, Any]) -> bool:
        begun.setdefault(line.get("phase", ""), time.monotonic())
        return False

    ended = run_engine(spec, until=note)
    result = ended.result
    # Training leaves what exporting will take by what embedding took. How long that takes is the machine's matter: another may use it just then.
    embedded, trained = begun["training"] - begun["embedding"], begun["exporting"] - begun["loading"]
    assert trained < seconds * (1 - RESERVE) - 0.6 * embedded + 3
    assert result["seconds"] < 2 * seconds
    limit = result["evidence"]["time_limit"]
    assert limit["max_seconds"] == seconds
    assert [s["stage"] for s in limit["stages"]] == ["fold0", "fold1", "final"]
    epochs = np.array([s["epochs"] for s in limit["stages"]])
    assert (epochs > 0).all() and epochs.max() < 4 * epochs.min()
    losses = result["losses"]
    assert len(losses) >= int(epochs[-1])
    # On a machine that is busy with other things there is time for one epoch.
    assert len(losses) == 1 or losses[-1] < losses[0]
    assert any("max_seconds" in note for note in result["notes"])
    said = [line["message"] for line in ended.of("log")]
    assert len(said) == 3 and all("max_seconds" in text for text in said)
    # It is a whole result: what the network learnt was weighed by cross-fitting like any other.
    assert len(result["mix_curve"]) == 11


def test_a_limit_that_is_not_reached_changes_nothing(mails: Data, tmp_path: Path) -> None:
    spec = spec_of("text", *mails, tmp_path / "a", method={"type": "fine_tune", "epochs": 1})
    free, held = run_engine(spec).result, run_engine(limited({**spec, "out_dir": str(tmp_path / "b")}, 3_600)).result
    assert held["losses"] == free["losses"]
    assert "time_limit" not in held["evidence"] and held["notes"] == free["notes"]


def test_too_little_time_for_anything_is_the_callers(mails: Data, tmp_path: Path) -> None:
    ended = run_engine(limited(spec_of("text", *mails, tmp_path), 0.001))
    assert (ended.code, ended.error["code"], ended.error["blame"], ended.error["retryable"]) == (2, "out_of_time", "caller", False)
    assert "max_seconds" in ended.error["detail"]


def test_the_clock_counts_what_earlier_attempts_took(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = Clock(100.0)
    clock.spent = 30.0
    clock.reserve = 10.0
    now = 120.0
    assert clock.now() == 50.0 and clock.left() == pytest.approx(95 - 10 - 50)
    assert clock.until(0.5) == pytest.approx(120 + 35 / 2)
    now = 300.0
    assert clock.over and clock.until(0.5) == 300.0
    free: Any = Clock(None)
    assert free.left() == float("inf") and not free.over
