"""Bad specs and bad data: exit code 2, one error line that names what is wrong and whose fault it is."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.wire import some_of

from .conftest import Spec, run_engine, spec_of


@pytest.fixture
def spec(mails: tuple[Path, list[str]], tmp_path: Path) -> Spec:
    return spec_of("text", *mails, tmp_path / "out")


def test_not_json() -> None:
    ended = run_engine("{")
    assert (ended.code, ended.error["code"], ended.error["blame"]) == (2, "spec_invalid", "graft")


def test_a_field_is_missing(spec: Spec) -> None:
    ended = run_engine({**spec, "limits": {"threads": 0, "max_seconds": None}})
    assert ended.code == 2
    assert ended.error["code"] == "spec_invalid"
    assert "limits/threads" in ended.error["detail"]


def test_labels_out_of_range(spec: Spec) -> None:
    ended = run_engine({**spec, "dataset": {**spec["dataset"], "labels": spec["dataset"]["labels"][:1]}})
    assert (ended.code, ended.error["code"], ended.error["blame"]) == (2, "dataset_invalid", "graft")


def changed(spec: Spec, tmp_path: Path, **arrays: np.ndarray | None) -> Spec:
    kept = {k: v for k, v in {**load_file(spec["dataset"]["arrays"]), **arrays}.items() if v is not None}
    path = tmp_path / "changed.safetensors"
    save_file(kept, path)
    return {**spec, "dataset": {**spec["dataset"], "arrays": str(path)}}


def test_a_tensor_is_missing(spec: Spec, tmp_path: Path) -> None:
    ended = run_engine(changed(spec, tmp_path, lengths=None))
    assert (ended.code, ended.error["code"]) == (2, "dataset_invalid")
    assert "lengths" in ended.error["detail"]


def test_one_class(spec: Spec, tmp_path: Path) -> None:
    n = len(load_file(spec["dataset"]["arrays"])["labels"])
    ended = run_engine(changed(spec, tmp_path, labels=np.zeros(n, dtype=np.int32)))
    assert (ended.code, ended.error["code"], ended.error["blame"], ended.error["retryable"]) == (2, "too_few_classes", "caller", False)


def test_nothing_held_out(spec: Spec, tmp_path: Path) -> None:
    n = len(load_file(spec["dataset"]["arrays"])["labels"])
    ended = run_engine(changed(spec, tmp_path, split=np.zeros(n, dtype=np.uint8)))
    assert (ended.code, ended.error["code"]) == (2, "nothing_held_out")


def test_of_many_names_it_says_how_many_are_not_named() -> None:
    names = [f"n{i}" for i in range(12)]
    assert some_of(names) == ", ".join(names[:10]) + " and 2 more"
    assert some_of(names[:10]) == ", ".join(names[:10]) and some_of(names[:1]) == "n0"


def test_no_gpu(spec: Spec) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    ended = run_engine({**spec, "device": "cuda"})
    assert (ended.error["code"], ended.error["blame"], ended.error["retryable"]) == ("no_gpu", "graft", True)
