"""Whole jobs: the same seed gives the same bytes, a stopped job ends like an unstopped one, and what is exported is what was trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import engine.run
import engine.stages
from engine.head_file import ServedHead
from engine.wire import sha256_of

from .conftest import Ended, run_engine, spec_of

Data = tuple[Path, list[str]]


@pytest.fixture(scope="module")
def whole(mails: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    out = tmp_path_factory.mktemp("whole")
    return run_engine(spec_of("text", *mails, out)), out


def same_head(a: Path, b: Path, tolerance: float) -> None:
    one, other = load_file(a / "head.safetensors"), load_file(b / "head.safetensors")
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=tolerance, err_msg=name)


def test_tells_its_story_in_order(whole: tuple[Ended, Path]) -> None:
    ended, out = whole
    assert [line["phase"] for line in ended.of("phase")] == ["loading", "embedding", "training", "exporting", "evaluating"]
    assert ended.lines[-1]["type"] == "result"
    for line in ended.of("artifact"):
        assert sha256_of(Path(line["file"])) == line["sha256"]
        assert Path(line["file"]).stat().st_size == line["bytes"]
    assert ended.of("artifact")[-1]["name"] == "manifest.json"
    manifest = json.loads(Path(ended.of("artifact")[-1]["file"]).read_text())
    named = {f["name"] for f in manifest["files"]}
    assert {"model-card.md", "confusion.svg", "reliability.svg", "learning-curve.svg", "classes.svg"} <= named
    assert manifest["lineage"]["seed"] == 7 and len(manifest["lineage"]["arrays_sha256"]) == 64
    assert not list(out.glob("*.part"))
    result = ended.result
    held = result["held_out"]
    assert len(result["losses"]) == 2
    assert result["losses"][1] < result["losses"][0]
    assert held["split"] == "test"
    assert len(held["truth"]) == 16
    right = np.mean(np.array(held["candidate"]["prediction"]) == held["truth"])
    assert right > np.mean(np.array(held["baseline"]["prediction"]) == held["truth"])
    assert held["incumbent"] is None


def test_same_seed_same_result(whole: tuple[Ended, Path], mails: Data, tmp_path: Path) -> None:
    """A new interpreter has other hashes of strings, so no set may lend its order to anything."""
    again = run_engine(spec_of("text", *mails, tmp_path), anew=True).result
    assert again["losses"] == whole[0].result["losses"]
    assert again["held_out"] == whole[0].result["held_out"]
    same_head(tmp_path, whole[1], 0)


def test_another_seed_another_result(whole: tuple[Ended, Path], mails: Data, tmp_path: Path) -> None:
    other = run_engine(spec_of("text", *mails, tmp_path, seed=8)).result
    assert other["losses"] != whole[0].result["losses"]


def test_sigterm_writes_a_checkpoint_and_ends(whole: tuple[Ended, Path], mails: Data, tmp_path: Path) -> None:
    """Stopped after its first step of training; resumed from the checkpoint, the losses are those of the whole run."""
    training = False

    def first_step(line: dict[str, Any]) -> bool:
        nonlocal training
        training = training or line.get("phase") == "training"
        return training and line["type"] == "progress"

    stopped = run_engine(spec_of("text", *mails, tmp_path / "first"), until=first_step)
    assert stopped.code == 3, stopped.stderr
    assert not stopped.of("result")
    file = stopped.of("checkpoint")[-1]
    assert sha256_of(Path(file["file"])) == file["sha256"]
    resumed = run_engine(spec_of("text", *mails, tmp_path / "second", checkpoint=file["file"]))
    np.testing.assert_allclose(resumed.result["losses"], whole[0].result["losses"], atol=1e-5)
    same_head(tmp_path / "second", whole[1], 1e-5)


def test_any_checkpoint_leads_to_the_same_end(whole: tuple[Ended, Path], mails: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every epoch of every stage; the run goes on from one inside a fold and one inside the final stage."""
    monkeypatch.setattr(engine.stages, "CHECKPOINT_EVERY_SECONDS", -1.0)
    engine.run.run(spec_of("text", *mails, tmp_path), [])
    same_head(tmp_path, whole[1], 0)
    made = {path.stem for path in tmp_path.glob("checkpoint-*.safetensors")}
    assert made == {f"checkpoint-{stage}-{epoch}" for stage in ("fold0", "fold1", "final") for epoch in (1, 2)}
    for name in ("checkpoint-fold1-1", "checkpoint-final-1"):
        out = tmp_path / name
        ended = run_engine(spec_of("text", *mails, out, checkpoint=str(tmp_path / f"{name}.safetensors")))
        np.testing.assert_allclose(ended.result["losses"], whole[0].result["losses"], atol=1e-5)
        same_head(out, whole[1], 1e-5)


def test_an_incumbent_is_judged_on_the_same_rows(whole: tuple[Ended, Path], mails: Data, tmp_path: Path) -> None:
    """The head of one job as the incumbent of the next: it answers there what it answered as a candidate."""
    tail = whole[1] / "tail.onnx"
    incumbent = {"head": str(whole[1] / "head.safetensors"), "tail": str(tail) if tail.exists() else None}
    spec = spec_of("text", *mails, tmp_path, incumbent=incumbent, method={"type": "linear_probe"})
    held = run_engine(spec).result["held_out"]
    before = whole[0].result["held_out"]
    assert held["rows"] == before["rows"]
    assert held["incumbent"]["prediction"] == before["candidate"]["prediction"]
    np.testing.assert_allclose(held["incumbent"]["confidence"], before["candidate"]["confidence"], atol=1e-4)


def test_pictures_in_small(pictures: Data, tmp_path: Path) -> None:
    spec = spec_of("image", *pictures, tmp_path, method={"type": "fine_tune", "epochs": 2, "augment_views": 2})
    result = run_engine(spec).result
    assert len(result["losses"]) == 2
    assert (tmp_path / "tail.onnx").exists() == (result["tuned_mix"] > 0)
    held = result["held_out"]
    assert np.mean(np.array(held["candidate"]["prediction"]) == held["truth"]) >= 6 / 9


def test_the_head_file_says_what_the_result_says(whole: tuple[Ended, Path]) -> None:
    head = ServedHead(whole[1] / "head.safetensors")
    assert head.labels == whole[0].result["labels"]
    assert head.meta["temperature"] == whole[0].result["temperature"]
    assert head.meta["open_set"]["false_reject_rate"] == 0.05
    # Parts on one embedding are on one scale already and share its weight.
    mixes = {c["embedding"]: c["mix"] for c in head.meta["components"]}
    assert sum(mixes.values()) == pytest.approx(1)
    assert all(c["mix"] == mixes[c["embedding"]] for c in head.meta["components"])
