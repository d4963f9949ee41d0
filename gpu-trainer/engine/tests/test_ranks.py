"""A job of several processes: the same losses and the same model as of one, and no process that outlives it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from engine.launch import GRACE_SECONDS

from .conftest import ROOT, Ended, Spec, run_engine, spec_of

Data = tuple[Path, list[str]]


def in_processes(n: int, spec: Spec) -> Spec:
    return {**spec, "limits": {**spec["limits"], "processes": n}}


def both(spec: Callable[[Path], Spec], tmp_path: Path, processes: int = 2) -> tuple[Ended, Ended]:
    one = run_engine(spec(tmp_path / "one"))
    several = run_engine(in_processes(processes, spec(tmp_path / "several")))
    return one, several


def same_end(one: Ended, several: Ended, tmp_path: Path, tolerance: float = 1e-5) -> None:
    a, b = one.result, several.result
    np.testing.assert_allclose(b["losses"], a["losses"], atol=tolerance)
    assert b["held_out"]["candidate"]["prediction"] == a["held_out"]["candidate"]["prediction"]
    assert b["tuned_mix"] == a["tuned_mix"]
    heads = [load_file(tmp_path / name / "head.safetensors") for name in ("one", "several")]
    assert heads[0].keys() == heads[1].keys()
    # What a graph with int8 weights makes of a weight that lies on the edge of two values may differ by one of them; the base head may not.
    np.testing.assert_allclose(heads[1]["components.0.weight"], heads[0]["components.0.weight"], atol=1e-6)
    assert story(several) == story(one)


def story(ended: Ended) -> list[str]:
    """What a run said in order, except what it says by the clock."""
    return [line["type"] for line in ended.lines if line["type"] not in ("progress", "checkpoint")]


def test_two_processes_train_texts_as_one_does(mails: Data, tmp_path: Path) -> None:
    """26 rows to learn from: the ranks have 13 and 12 of the first batch, 1 and none of the last."""
    method = {"type": "fine_tune", "epochs": 2, "batch_size": 25, "l2_sp": 0.1, "early_stopping": 5, "ema": 0.5, "learning_rate": 5e-4}
    one, several = both(lambda out: spec_of("text", *mails, out, method=method), tmp_path)
    same_end(one, several, tmp_path)
    aside = "losses_on_rows_set_aside"
    np.testing.assert_allclose(several.result["evidence"][aside], one.result["evidence"][aside], atol=1e-5)
    assert not list((tmp_path / "several").glob("ranks-*")) and not list((tmp_path / "several").glob("*.activations*"))


@pytest.mark.parametrize(
    ("method", "processes"),
    [
        # A loss that looks at all pairs of a batch: parts of it would each see only their own.
        ({"type": "contrastive", "epochs": 2, "batch_size": 12, "augment_views": 2}, 2),
        ({"type": "fine_tune", "epochs": 2, "batch_size": 8, "mixup": 0.4, "augment_views": 2}, 3),
    ],
)
def test_processes_train_pictures_as_one_does(method: dict[str, Any], processes: int, pictures: Data, tmp_path: Path) -> None:
    # A convolution over 6 rows rounds otherwise than over 12, and the first steps of Adam magnify it: not exactly 1e-5 here.
    same_end(*both(lambda out: spec_of("image", *pictures, out, method=method), tmp_path, processes), tmp_path, 5e-5)


def test_a_job_from_random_weights_learns_its_batch_norms_on_all_ranks(pictures: Data, tmp_path: Path) -> None:
    """In float32 a network of random weights magnifies rounding from layer to layer; statistics of half of the batch would be far off."""
    method = {"type": "from_scratch", "epochs": 1, "batch_size": 16}
    one, several = both(lambda out: spec_of("image", *pictures, out, method=method), tmp_path)
    np.testing.assert_allclose(several.result["losses"], one.result["losses"], rtol=5e-4)
    a, b = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "several"))
    statistics = [k for k in a if "running" in k]
    assert len(statistics) > 50
    for name in statistics:
        np.testing.assert_allclose(b[name], a[name], rtol=1e-2, atol=1e-2, err_msg=name)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_another_number_of_processes_goes_on(before: int, after: int, mails: Data, tmp_path: Path) -> None:
    whole = run_engine(spec_of("text", *mails, tmp_path / "one"))
    training = False

    def first_step(line: dict[str, Any]) -> bool:
        nonlocal training
        training = training or line.get("phase") == "training"
        return training and line["type"] == "progress"

    stopped = run_engine(in_processes(before, spec_of("text", *mails, tmp_path / "stopped")), until=first_step)
    assert stopped.code == 3, stopped.stderr
    file = stopped.of("checkpoint")[-1]["file"]
    resumed = run_engine(in_processes(after, spec_of("text", *mails, tmp_path / "resumed", checkpoint=file)))
    np.testing.assert_allclose(resumed.result["losses"], whole.result["losses"], atol=1e-5)


def test_an_error_of_all_ranks_is_told_once(mails: Data, tmp_path: Path) -> None:
    spec = spec_of("text", *mails, tmp_path, method={"type": "fine_tune", "mixup": 0.2})
    ended = run_engine(in_processes(2, spec))
    assert (ended.code, ended.error["code"], ended.error["blame"]) == (2, "options_invalid", "caller")


# --- processes that die -------------------------------------------------------------------------------------------------------------------------


def children_of(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def while_training(spec: Spec, act: Callable[[subprocess.Popen[str], list[int]], None]) -> tuple[int, list[dict[str, Any]], list[int]]:
    """Starts the engine, calls `act` with it and its ranks at the first step of training; its exit code, its lines, and the ranks."""
    with subprocess.Popen(
        [sys.executable, "-m", "engine"],
        cwd=ROOT / "gpu-trainer",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdin and child.stdout
        child.stdin.write(json.dumps(spec))
        child.stdin.close()
        lines: list[dict[str, Any]] = []
        ranks: list[int] = []
        training = False
        for text in child.stdout:
            lines.append(json.loads(text))
            training = training or lines[-1].get("phase") == "training"
            if training and not ranks and lines[-1]["type"] == "progress":
                ranks = children_of(child.pid)
                act(child, ranks)
        return child.wait(), lines, ranks


def gone(pids: list[int], seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(map(alive, pids)):
        time.sleep(0.05)
    return not any(map(alive, pids))


def long_job(mails: Data, out: Path) -> Spec:
    return in_processes(2, spec_of("text", *mails, out, method={"type": "fine_tune", "epochs": 500}))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("which", [0, 1])
def test_a_rank_that_dies_ends_the_job_with_a_reason(which: int, mails: Data, tmp_path: Path) -> None:
    code, lines, ranks = while_training(long_job(mails, tmp_path), lambda _, ranks: os.kill(ranks[which], signal.SIGKILL))
    assert code == 1
    (error,) = [line for line in lines if line["type"] == "error"]
    assert (error["code"], error["retryable"], error["blame"]) == ("rank_lost", True, "graft")
    assert f"Process {which + 1} of 2" in error["detail"] and "SIGKILL" in error["detail"]
    assert len(ranks) == 2 and gone(ranks)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_rank_outlives_a_killed_launcher(mails: Data, tmp_path: Path) -> None:
    _, _, ranks = while_training(long_job(mails, tmp_path), lambda child, _: child.kill())
    assert len(ranks) == 2 and gone(ranks)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sigterm_reaches_every_rank(mails: Data, tmp_path: Path) -> None:
    told = 0.0

    def terminate(child: subprocess.Popen[str], _: list[int]) -> None:
        nonlocal told
        told = time.monotonic()
        child.terminate()

    code, lines, ranks = while_training(long_job(mails, tmp_path), terminate)
    # By themselves: after the grace the launcher kills.
    assert time.monotonic() - told < GRACE_SECONDS
    assert code == 3 and gone(ranks)
    assert [line["type"] for line in lines].count("checkpoint") == 1
