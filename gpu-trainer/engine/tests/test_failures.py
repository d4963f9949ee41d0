"""A full disk, memory that runs out, broken files: whose fault it is, whether another attempt may help, and that nothing half written is left."""

import errno
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from engine.checkpoint import save_state
from engine.failures import classified, is_disk_full, is_out_of_memory
from engine.leftovers import remove_partial

from .conftest import ROOT, run_engine, spec_of
from .small import begin, cached, go

Data = tuple[Path, list[str]]


def run_with_files_of(limit: int, spec: dict[str, object]) -> tuple[int, dict[str, object]]:
    """The engine where no file may become larger than `limit`: the kernel refuses the write in the middle of it. Its exit code and error."""
    child = subprocess.run(
        # Without bytecode, as the host starts it: half a .pyc would be left for every engine after this one.
        [sys.executable, "-B", "-m", "engine"],
        cwd=ROOT / "gpu-trainer",
        input=json.dumps(spec),
        text=True,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    return child.returncode, json.loads(child.stdout.splitlines()[-1])


@pytest.mark.parametrize(("method", "limit"), [("linear_probe", 10_000), ("fine_tune", 500_000)])
def test_a_disk_without_room_is_ours_and_worth_another_host(method: str, limit: int, mails: Data, tmp_path: Path) -> None:
    """A head stops in its own file, a network in its activations, which are to lie on disk."""
    spec = spec_of("text", *mails, tmp_path, method={"type": method})
    code, error = run_with_files_of(limit, {**spec, "limits": {**spec["limits"], "cache_bytes": 0 if method == "fine_tune" else 1 << 30}})
    assert code != 0
    assert (error["code"], error["blame"], error["retryable"]) == ("disk_full", "graft", True), error
    assert str(tmp_path) not in str(error["detail"])
    left = {p.name for p in tmp_path.iterdir()}
    assert not [name for name in left if name.endswith(".part") or name.startswith("tmp")], left


def test_a_checkpoint_that_finds_no_room(tmp_path: Path) -> None:
    """The write itself fails, in the library that writes checkpoints, which knows no errno."""
    state, _ = begin("fine_tune", "text", {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(Exception) as raised:
            save_state(tmp_path / "checkpoint.safetensors", state, {}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    error = classified(raised.value)
    assert error and (error.code, error.retryable, error.blame) == ("disk_full", True, "graft")
    remove_partial(tmp_path)
    assert not list(tmp_path.iterdir())


def test_memory_that_a_cpu_has_not() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50)
    assert is_out_of_memory(raised.value) and not is_disk_full(raised.value)
    with pytest.raises(MemoryError) as short:
        np.empty(1 << 50)
    error = classified(short.value)
    assert error and (error.code, error.exit_code, error.retryable, error.blame) == ("out_of_memory", 4, True, "graft")
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


def test_half_the_batch_when_a_cpu_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    source, y = cached(False)
    state, recipe = begin("fine_tune", "text", {"epochs": 1, "batch_size": 24})
    forward = state.network.forward

    def narrow(x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if len(x) > 12:
            torch.empty(1 << 50)
        return forward(x, *rest)

    monkeypatch.setattr(state.network, "forward", narrow)
    go(state, recipe, source, y)
    assert state.pieces == 2


def test_what_is_no_failure_of_the_machine_is_not_called_one() -> None:
    assert classified(ValueError("a fault in the program")) is None
    assert classified(RuntimeError("shapes do not fit")) is None
    broken = classified(OSError(errno.EIO, "Input/output error", "/secret/path"))
    assert broken and broken.code == "io_failed" and "/secret" not in broken.detail


def test_arrays_cut_short_are_ours(mails: Data, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(mails[0].read_bytes()[:-200])
    ended = run_engine(spec_of("text", path, mails[1], tmp_path / "out"))
    assert (ended.error["code"], ended.error["blame"], ended.error["retryable"]) == ("input_corrupt", "graft", True)


def test_only_what_is_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "seed8").mkdir()
    for name in ("a.part", "seed8/b.part", "head.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "tmpabc").mkdir()
    remove_partial(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["head.safetensors", "seed8"]
    save_file({"x": np.zeros(1)}, tmp_path / "head.safetensors")
    assert load_file(tmp_path / "head.safetensors")["x"].tolist() == [0]
