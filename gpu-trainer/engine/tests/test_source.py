"""Examples of another classifier as a labelled source: rows beside the dataset's, or the source of which the dataset is the target."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.job import FROM_SOURCE, Job

from .conftest import run_engine, spec_of

Data = tuple[Path, list[str]]


@pytest.fixture(scope="module")
def parts(mails: Data, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Eleven training mails of the dataset as another classifier's examples, their labels named in another order and one of a new name; the others
    as the dataset."""
    folder = tmp_path_factory.mktemp("source")
    arrays = load_file(mails[0])
    train = np.flatnonzero(arrays["split"] == 0)
    given, rest = train[::3], np.setdiff1d(np.arange(len(arrays["labels"])), train[::3])
    names = ["extra", *mails[1][::-1]]
    labels = 2 - arrays["labels"][given]
    examples = {"input_ids": arrays["input_ids"][given], "lengths": arrays["lengths"][given]}
    save_file({**examples, "labels": labels.astype(np.int32)}, folder / "examples.safetensors")
    save_file({**examples, "labels": np.where(np.arange(len(labels)) < 4, 0, labels).astype(np.int32)}, folder / "renamed.safetensors")
    save_file({k: v[rest] for k, v in arrays.items()}, folder / "rest.safetensors")
    # The same examples as a dataset of their own.
    as_rows = {**examples, "labels": arrays["labels"][given], "split": np.zeros(len(given), dtype=np.uint8)}
    save_file(as_rows, folder / "rows.safetensors")
    ids = [f"ex_{i}" for i in range(len(given))]
    return {"folder": folder, "given": given, "rest": rest, "arrays": arrays, "source": {"ids": ids, "labels": names}}


def source_of(parts: dict[str, Any], file: str) -> dict[str, Any]:
    return {**parts["source"], "arrays": str(parts["folder"] / file)}


def test_examples_are_training_rows_by_the_names_of_their_labels(parts: dict[str, Any], mails: Data, tmp_path: Path) -> None:
    spec = spec_of("text", parts["folder"] / "rest.safetensors", mails[1], tmp_path, source=source_of(parts, "renamed.safetensors"))
    job = Job(spec, [])
    assert job.labels == [*mails[1], "extra"]
    rest = parts["arrays"]["split"][parts["rest"]] == 0
    assert len(job.train) == int(rest.sum()) + 11 == 32 and job.source_count == 11 and job.enrolled_count == 0
    assert len(job.held) == 16 and (job.held.row >= 0).all()
    own = job.train.row <= FROM_SOURCE
    names = [job.labels[k] for k in job.train.labels[own]]
    assert names[:4] == ["extra"] * 4
    assert names[4:] == [mails[1][k] for k in parts["arrays"]["labels"][parts["given"][4:]]]
    # The same example has the same number in every job, and no other has it.
    again = Job({**spec, "source": {**spec["source"], "ids": [*spec["source"]["ids"][:-1], "ex_other"]}}, [])
    numbers, others = job.train.row[own], again.train.row[again.train.row <= FROM_SOURCE]
    assert len(set(numbers.tolist())) == 11
    assert (numbers[:-1] == others[:-1]).all() and numbers[-1] != others[-1]


def test_they_stay_with_the_version(parts: dict[str, Any], mails: Data, tmp_path: Path) -> None:
    method = {"type": "linear_probe"}
    source = source_of(parts, "examples.safetensors")
    result = run_engine(spec_of("text", parts["folder"] / "rest.safetensors", mails[1], tmp_path, source=source, method=method)).result
    stored = load_file(tmp_path / "embeddings.safetensors")
    assert (stored["rows"] <= FROM_SOURCE).sum() == 11 and len(stored["base"]) == result["train_rows"] == 32
    # Nothing is lost against a job on all rows: the same rows in another order.
    whole = run_engine(spec_of("text", *mails, tmp_path / "whole", method=method)).result
    assert result["held_out"]["truth"] == whole["held_out"]["truth"]
    assert result["held_out"]["candidate"]["prediction"] == whole["held_out"]["candidate"]["prediction"]


def test_with_a_method_that_adapts_the_dataset_is_the_target(parts: dict[str, Any], mails: Data, tmp_path: Path) -> None:
    """As if the examples were the dataset, and the dataset the target."""
    method = {"type": "domain_adaptation", "epochs": 1}
    target = parts["folder"] / "rest.safetensors"
    source = {**source_of(parts, "examples.safetensors"), "labels": ["unused", *mails[1][::-1]]}
    ours = run_engine(spec_of("text", target, mails[1], tmp_path / "ours", method=method, source=source)).result
    named = {"arrays": str(target), "labels": mails[1]}
    theirs = run_engine(spec_of("text", parts["folder"] / "rows.safetensors", mails[1], tmp_path / "theirs", method=method, target=named)).result
    assert ours["evidence"]["adaptation"]["judged_by"] == "target"
    assert ours["evidence"]["target_rows"] == theirs["evidence"]["target_rows"]
    assert ours["held_out"]["truth"] == theirs["held_out"]["truth"] and ours["train_rows"] == theirs["train_rows"] == 32
    # A label that nobody has an example of has its place, so scores of the others may round otherwise, but not be others.
    assert ours["evidence"]["adaptation"]["accuracy"] == pytest.approx(theirs["evidence"]["adaptation"]["accuracy"], abs=1 / 16 + 1e-9)
    plain = spec_of("text", target, mails[1], tmp_path / "none", method=method)
    assert run_engine(plain).error["code"] == "target_missing"
