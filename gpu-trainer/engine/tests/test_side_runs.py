"""Runs beside a job (other seeds, the same without adaptation, each task alone) are in its checkpoints; what is finished is not trained again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import engine.ledger
import engine.run
import engine.stages
import engine.wire
from engine import tune

from .conftest import Spec, spec_of
from .test_adaptation import NAMES, domains
from .test_job import same_head
from .test_text_methods import LABELS, topics

__all__ = ["domains", "topics"]


class Watch:
    """What is sent, and which stages are trained in which epochs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[dict[str, Any]] = []
        self.trained: list[tuple[int, str, int]] = []
        real = tune.train

        def train(state: tune.State, source: Any, y: Any, rows: Any, recipe: Any, seed: tuple[int, str], **more: Any) -> None:
            self.trained.append((*seed, state.epoch))
            real(state, source, y, rows, recipe, seed, **more)

        def send(**line: Any) -> None:
            self.lines.append(line)

        monkeypatch.setattr(tune, "train", train)
        monkeypatch.setattr(engine.run, "send", send)
        monkeypatch.setattr(engine.ledger, "send", send)
        monkeypatch.setattr(engine.wire, "send", send)
        monkeypatch.setattr(engine.wire, "EVERY_SECONDS", -1.0)
        monkeypatch.setattr(engine.stages, "CHECKPOINT_EVERY_SECONDS", -1.0)

    def run(self, spec: Spec) -> dict[str, Any]:
        """The result; from here on only this run is watched."""
        self.lines.clear()
        self.trained.clear()
        engine.run.run(spec, [])
        return self.lines[-1]["result"]

    def told(self, key: str, *, training: bool = False) -> list[Any]:
        """What was told as progress, or while something was trained."""
        each = [line["progress"] for line in self.lines if line["type"] == "progress"]
        return [p[key] for p in each if p["loss"] is not None or not training]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    yield Watch(monkeypatch)


def test_other_seeds_and_source_only_go_on_where_they_were(domains: dict[str, Path], watch: Watch, tmp_path: Path) -> None:
    def spec(name: str, checkpoint: str | None = None) -> Spec:
        method = {"type": "domain_confusion", "epochs": 2, "augment_views": 1, "seeds": 2}
        target = {"arrays": str(domains["unlabelled"]), "labels": NAMES}
        return spec_of("image", domains["source"], NAMES, tmp_path / name, method=method, target=target, checkpoint=checkpoint)

    whole = watch.run(spec("whole"))
    stages = [(7, "fold0"), (7, "fold1"), (7, "final"), (8, "fold0"), (8, "fold1"), (8, "final"), (7, "fold0"), (7, "fold1"), (7, "final")]
    assert watch.trained == [(*s, 0) for s in stages]
    numbers = [line["epoch"] for line in watch.lines if line["type"] == "checkpoint"]
    assert numbers == list(range(1, 19))
    # Progress counts over all runs, also where rows are embedded between them.
    assert set(watch.told("epochs")) == {18} and sorted(set(watch.told("epoch", training=True))) == numbers
    assert (np.diff(watch.told("epoch")) >= 0).all()
    steps = watch.told("step", training=True)
    assert steps == list(range(1, len(steps) + 1)) and None not in watch.told("eta_seconds", training=True)
    for file, left in (
        ("checkpoint-source-only-fold1-1", [(7, "fold1", 1), (7, "final", 0)]),
        ("checkpoint-seed8-final-2", [(8, "final", 2), *((*s, 0) for s in stages[6:])]),
    ):
        again = watch.run(spec(file, str(tmp_path / "whole" / f"{file}.safetensors")))
        assert watch.trained == left
        assert watch.told("step", training=True) == steps[-len(watch.told("step", training=True)) :]
        assert min(watch.told("epoch")) == 18 - sum(2 - epoch for _, _, epoch in left) and set(watch.told("epochs")) == {18}
        assert again["evidence"]["seeds"] == whole["evidence"]["seeds"]
        assert again["evidence"]["adaptation"] == whole["evidence"]["adaptation"]
        np.testing.assert_allclose(again["losses"], whole["losses"], atol=1e-5)
        same_head(tmp_path / file, tmp_path / "whole", 1e-5)


def test_tasks_alone_go_on_where_they_were(topics: dict[str, Path], watch: Watch, tmp_path: Path) -> None:
    tasks = [{"name": "topic", "labels": LABELS}, {"name": "size", "labels": ["short", "long"]}]

    def spec(name: str, checkpoint: str | None = None) -> Spec:
        made = spec_of("text", topics["arrays"], LABELS, tmp_path / name, method={"type": "multi_task", "epochs": 2}, checkpoint=checkpoint)
        return {**made, "dataset": {**made["dataset"], "tasks": tasks}}

    whole = watch.run(spec("whole"))
    assert [t[1] for t in watch.trained] == ["fold0", "fold1", "final", "alone0", "alone1"]
    again = watch.run(spec("again", str(tmp_path / "whole" / "checkpoint-alone1-alone1-1.safetensors")))
    assert watch.trained == [(7, "alone1", 1)]
    assert again["tasks"] == whole["tasks"]


def test_a_checkpoint_of_another_job_or_none_at_all_starts_anew(mails: tuple[Path, list[str]], watch: Watch, tmp_path: Path) -> None:
    method = {"type": "fine_tune", "epochs": 1}
    watch.run(spec_of("text", *mails, tmp_path / "one", method=method))
    file = tmp_path / "one" / "checkpoint-fold1-1.safetensors"
    assert "runs..fold0" in load_file(file)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(file.read_bytes()[:-9])
    for name, job, checkpoint, words in (("other", "job_other", file, "another job"), ("broken", "job_test", broken, "could not be read")):
        result = watch.run(spec_of("text", *mails, tmp_path / name, method=method, checkpoint=str(checkpoint), job=job))
        assert [t[1:] for t in watch.trained] == [("fold0", 0), ("fold1", 0), ("final", 0)]
        assert any(words in note for note in result["notes"])


def test_a_checkpoint_of_other_examples_starts_anew(mails: tuple[Path, list[str]], watch: Watch, tmp_path: Path) -> None:
    """While a job is paused its classifier is taught on: one example more, one less, or another label of the same."""
    method = {"type": "fine_tune", "epochs": 1}
    arrays, labels = load_file(mails[0]), mails[1]

    def enrolled(name: str, rows: list[int], label: int | None = None) -> dict[str, Any]:
        path = tmp_path / f"{name}.safetensors"
        kept = {k: v[rows] for k, v in arrays.items() if k != "split"}
        if label is not None:
            kept["labels"] = kept["labels"].copy()
            kept["labels"][0] = label
        save_file(kept, path)
        return {"arrays": str(path), "ids": [f"ex_{i}" for i in rows], "labels": labels}

    def spec(name: str, examples: dict[str, Any], **more: Any) -> Spec:
        return spec_of("text", *mails, tmp_path / name, method=method, enrolled=examples, **more)

    first = enrolled("first", [2, 5, 8])
    watch.run(spec("one", first))
    file = str(tmp_path / "one" / "checkpoint-fold1-1.safetensors")
    watch.run(spec("same", first, checkpoint=file))
    assert [t[1:] for t in watch.trained] == [("fold1", 1), ("final", 0)]
    other = 1 - int(arrays["labels"][2])
    for name, examples in (
        ("more", enrolled("more", [2, 5, 8, 11])),
        ("less", enrolled("less", [2, 8])),
        ("told", enrolled("told", [2, 5, 8], other)),
    ):
        result = watch.run(spec(name, examples, checkpoint=file))
        assert [t[1:] for t in watch.trained] == [("fold0", 0), ("fold1", 0), ("final", 0)], name
        assert any("Other examples" in note for note in result["notes"])
