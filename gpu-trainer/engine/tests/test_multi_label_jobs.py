"""Whole jobs on rows of several labels: heads, tuned tails, what the edge is handed, and what is refused."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from engine import calibration
from engine.deploy import deploy
from engine.fit import fit
from engine.head_file import ServedHead
from engine.job import Job
from engine.network import load_network
from engine.parity import compare
from engine.stages import Stages

from . import tagged
from .conftest import BACKBONES, PACK, Ended, Spec, run_engine, spec_of

ROWS = 72
SCHEMA = json.loads((Path(__file__).parents[1] / "schema" / "engine-line.json").read_text())


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    path = tmp_path_factory.mktemp("tagged") / "dataset.safetensors"
    return path, tagged.write(path, ROWS, unlabelled=3)


def spec(arrays: tuple[Path, np.ndarray], out: Path, **more: Any) -> Spec:
    return spec_of("text", arrays[0], tagged.TOPICS, out, **{"task": "multi_label", **more})


@pytest.fixture(scope="module")
def tuned(arrays: tuple[Path, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    out = tmp_path_factory.mktemp("tuned")
    method = {"type": "fine_tune", "epochs": 3, "learning_rate": 1e-3, "probe_epochs": 1}
    return run_engine(spec(arrays, out, method=method)), out


def exact(held: dict[str, Any], who: str) -> float:
    return float(np.mean([sorted(a) == sorted(b) for a, b in zip(held["truth"], held[who]["prediction"], strict=True)]))


def test_a_head_alone_answers_sets_of_labels(arrays: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    result = run_engine(spec(arrays, tmp_path, method={"type": "linear_probe"})).result
    held, present = result["held_out"], arrays[1]
    assert held["task"] == "multi_label" and result["method"]["used"] == "linear_probe"
    assert held["truth"] == [np.flatnonzero(present[r]).tolist() for r in held["rows"]]
    assert result["train_rows"] == ROWS - 3 - len(held["rows"])
    assert exact(held, "candidate") > exact(held, "baseline") + 0.2
    assert held["candidate"] == held["frozen"]
    for said, sure in zip(held["candidate"]["prediction"], held["candidate"]["probability"], strict=True):
        assert len(said) == len(sure) and all(p >= 0.5 for p in sure)
    assert len({tuple(said) for said in held["baseline"]["prediction"]}) == 1


def test_what_the_edge_is_handed_fits_together(tuned: tuple[Ended, Path], arrays: tuple[Path, np.ndarray]) -> None:
    ended, out = tuned
    result = ended.result
    head = ServedHead(out / "head.safetensors")
    assert head.meta["task"] == "multi_label" and head.meta["temperature"] == result["temperature"]
    rows = load_file(out / "embeddings.safetensors")
    assert rows["present"].dtype == np.uint8 and rows["labels"].dtype == np.int32
    np.testing.assert_array_equal(rows["present"], arrays[1][rows["rows"]])
    assert (rows["present"].sum(axis=1) == 0).any() and (rows["present"].sum(axis=1) == 2).any()
    # The support says the first label of each row, and −1 of those of none.
    assert set(head.tensors["support.label_of"].tolist()) == {-1, 0, 1, 2}
    # The head file scores the stored rows as training did: of the rows that it learnt from nearly all are right.
    scores = head.scores(rows["base"], rows.get("tuned"))
    assert ((scores >= 0) == (rows["present"] == 1)).all(axis=1).mean() > 0.9
    assert (calibration.sigmoid(scores, head.meta["temperature"]) >= 0.5)[scores >= 0].all()


def test_tuning_goes_on_where_it_was_stopped(tuned: tuple[Ended, Path], arrays: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    ended, out = tuned
    assert ended.result["losses"][-1] < ended.result["losses"][0]
    curve = ended.result["mix_curve"]
    assert len(curve) == 11 and all(0 <= c["accuracy"] <= 1 for c in curve)
    training = False

    def first_step(line: dict[str, Any]) -> bool:
        nonlocal training
        training = training or line.get("phase") == "training"
        return training and line["type"] == "progress"

    method = {"type": "fine_tune", "epochs": 3, "learning_rate": 1e-3, "probe_epochs": 1}
    stopped = run_engine(spec(arrays, tmp_path / "first", method=method), until=first_step)
    assert stopped.code == 3, stopped.stderr
    file = stopped.of("checkpoint")[-1]["file"]
    resumed = run_engine(spec(arrays, tmp_path / "second", method=method, checkpoint=file))
    np.testing.assert_allclose(resumed.result["losses"], ended.result["losses"], atol=1e-5)
    one, other = load_file(out / "head.safetensors"), load_file(tmp_path / "second" / "head.safetensors")
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], atol=1e-5, err_msg=name)


def test_two_processes_train_as_one(tuned: tuple[Ended, Path], arrays: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    """The biases of the labels learn beside the network: each rank has their whole gradient, which must not be added up."""
    method = {"type": "fine_tune", "epochs": 3, "learning_rate": 1e-3, "probe_epochs": 1}
    limits = {"threads": 2, "max_seconds": None, "processes": 2}
    both = run_engine(spec(arrays, tmp_path, method=method, limits=limits), anew=True).result
    np.testing.assert_allclose(both["losses"], tuned[0].result["losses"], atol=1e-4)
    assert both["held_out"]["truth"] == tuned[0].result["held_out"]["truth"]


def test_the_card_tells_labels_and_no_confusion(tuned: tuple[Ended, Path]) -> None:
    ended, out = tuned
    named = {f["name"] for f in json.loads((out / "manifest.json").read_text())["files"]}
    assert "confusion.svg" not in named and {"model-card.md", "reliability.svg", "classes.svg", "learning-curve.svg"} <= named
    card = (out / "model-card.md").read_text()
    assert "| exact match |" in card and "| most frequent set of labels |" in card and "confusion" not in card
    assert f"| this model | {exact(ended.result['held_out'], 'candidate'):.1%} |" in card


def test_enrolled_examples_bring_labels_and_the_incumbent_is_judged_on_the_same_rows(
    tuned: tuple[Ended, Path], arrays: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    names = ["weather", "food", "fog"]
    tagged.write(tmp_path / "enrolled.safetensors", 12, 9, enrolled=True)
    enrolled = {"arrays": str(tmp_path / "enrolled.safetensors"), "ids": [f"ex_{i}" for i in range(12)], "labels": names}
    tail = tuned[1] / "tail.onnx"
    incumbent = {"head": str(tuned[1] / "head.safetensors"), "tail": str(tail) if tail.exists() else None}
    more = {"enrolled": enrolled, "incumbent": incumbent, "method": {"type": "linear_probe"}}
    result = run_engine(spec(arrays, tmp_path / "out", **more)).result
    assert result["labels"] == [*tagged.TOPICS, "fog"]
    held, before = result["held_out"], tuned[0].result["held_out"]
    assert held["rows"] == before["rows"] and held["truth"] == before["truth"]
    assert held["incumbent"]["prediction"] == before["candidate"]["prediction"]
    assert result["train_rows"] == tuned[0].result["train_rows"] + 12


def test_auto_tries_tuning_and_says_what_it_found(arrays: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    ended = run_engine(spec(arrays, tmp_path, method={"type": "auto", "epochs": 1}))
    choice = ended.of("choice")[0]
    table = ended.result["evidence"]["auto"]
    assert choice["method"] == table["chose"] and table["chose"] in ("linear_probe", "fine_tune")
    assert [t["what"] for t in table["trials"]] == ["tuning"]
    assert table["label_noise"] is None or 0 <= table["label_noise"] < 0.2


def test_advice_says_what_a_head_of_several_labels_would_reach(arrays: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    """Of the same rows as the jobs above: exact matches, by rows left out, far above the most frequent set."""
    ended = run_engine(spec(arrays, tmp_path, action="advise", backbones=[spec(arrays, tmp_path)["backbone"]]))
    assert ended.code == 0, ended.stderr
    for line in ended.lines:
        jsonschema.validate(line, SCHEMA)
    advice = ended.lines[-1]["advice"]
    [one] = advice["backbones"]
    frequent = np.unique(arrays[1][3:], axis=0, return_counts=True)[1].max() / (ROWS - 3)
    assert one["interval"]["low"] > frequent and one["leep"] is None
    assert advice["when"]["verdict"] in ("now", "not_yet") and advice["how"]["method"] in ("linear_probe", "fine_tune")
    assert {(o["method"], o["options"].get("depth")) for o in advice["options"]} == {
        ("linear_probe", None),
        ("fine_tune", "last_blocks"),
        ("fine_tune", "full"),
    }
    measured = [p for p in advice["learning_curve"] if p["measured"]]
    assert len(measured) >= 3 and measured[-1]["accuracy"] > measured[0]["accuracy"]
    assert [t["what"] for t in advice["trials"]] == ["tuning"]
    assert "all labels of an input" in advice["summary"] and any("no other" in note for note in advice["notes"])


def test_advice_on_rows_that_all_have_the_same_labels_is_refused(arrays: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    kept = load_file(arrays[0])
    save_file({**kept, "present": np.ones_like(kept["present"])}, tmp_path / "alike.safetensors")
    error = run_engine(spec((tmp_path / "alike.safetensors", kept["present"]), tmp_path, action="advise")).error
    assert error["code"] == "too_few_classes" and "rows without it" in error["detail"] and error["blame"] == "caller"


def test_the_whole_network_learns_several_labels_too(arrays: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    method = {"type": "from_scratch", "epochs": 1}
    result = run_engine(spec(arrays, tmp_path, method=method)).result
    assert result["network"] == "whole" and result["tuned_mix"] == 1
    assert result["held_out"]["scratch"] == result["held_out"]["candidate"]


def two_drawings(path: Path) -> np.ndarray:
    """Pictures of one or two of three kinds of drawings, and of none; the last six are held out. Returns which there are, [rows, 3]."""
    kinds = ["bird", "building", "plant"]
    files = [sorted((PACK / "classes" / name).glob("*.png")) for name in kinds]
    present = np.array([[i % 2, i // 2 % 2, i % 3 == 0] for i in range(18)], dtype=np.uint8)
    pixels = []
    for i, own in enumerate(present):
        sheet = Image.new("RGB", (256, 256), "white")
        for place, k in enumerate(np.flatnonzero(own)):
            drawing = Image.open(files[k][i]).convert("RGBA").resize((128, 128))
            sheet.paste(drawing, (128 * (place % 2), 128 * (place // 2)), drawing)
        pixels.append(np.asarray(sheet, dtype=np.uint8))
    split = np.array([0] * 12 + [2] * 6, dtype=np.uint8)
    save_file({"pixels": np.stack(pixels), "labels": np.zeros(18, dtype=np.int32), "present": present, "split": split}, path)
    return present


@pytest.mark.parametrize("image", [False, True])
def test_all_blocks_of_the_network_learn_several_labels_and_are_judged_like_a_tail(
    image: bool, arrays: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    """Cross-fitted, and moved down to its lowest layer; its graphs answer as it did in torch, whether or not its weight turns out to be 0."""
    modality, path, names = ("image", tmp_path / "sheets.safetensors", ["bird", "building", "plant"]) if image else ("text", arrays[0], tagged.TOPICS)
    present = two_drawings(path) if image else arrays[1]
    method = {"type": "fine_tune", "depth": "full", "epochs": 1, "batch_size": 6, "warmup": 0.0}
    job = Job(spec_of(modality, path, names, tmp_path, task="multi_label", method=method), [])
    job.embed_all()
    stages = Stages(job)
    stages.run()
    mix, curve, oof = stages.cross_fit()
    assert len(curve) == 11 and 0 <= mix <= 1 and oof.shape == (len(job.train), len(names))
    state = stages.state
    assert state is not None and len(state.losses) == 1
    before = load_network(BACKBONES / job.manifest["id"] / "weights.safetensors", image, whole=True, random=None).state_dict()
    after = state.network.state_dict()
    parts = {name.split(".")[1] for name, value in after.items() if value.is_floating_point() and not torch.equal(before[name], value)}
    lowest = "_conv_stem" if image else "words"
    assert lowest in parts and "tail" in {name.split(".")[0] for name, value in after.items() if not torch.equal(before[name], value)}
    if not image:  # Graphs of a whole text network are those of the job from random weights above.
        return
    tuned = deploy(job, state, "float32")
    assert {p.name for p in tuned.files} >= {"trunk.onnx", "tail.onnx"}
    fitted = fit(job, 1.0, oof, tuned)
    facts = compare(job, fitted, tuned)
    assert facts["rows"] == facts["same_top1"] == len(job.held)
    # What is held out is answered in sets of labels, and told as such.
    assert fitted.candidate.shape == present[job.held.row].shape
    assert [len(said) for said in fitted.answers()["prediction"]] == (fitted.candidate >= 0).sum(axis=1).tolist()


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"method": {"type": "contrastive"}}, "method_unavailable", "contrastive is for single labels"),
        ({"method": {"type": "zero_shot"}}, "method_unavailable", "zero_shot is for single labels"),
        ({"target": {"arrays": "x", "labels": []}}, "options_invalid", "target"),
        ({"target": {"arrays": "x", "labels": []}, "action": "advise"}, "options_invalid", "target"),
    ],
)
def test_what_compares_classes_is_refused(arrays: tuple[Path, np.ndarray], tmp_path: Path, more: dict[str, Any], code: str, words: str) -> None:
    error = run_engine(spec(arrays, tmp_path, **more)).error
    assert error["code"] == code and words in error["detail"] and error["blame"] == "caller"


def test_rows_without_present_are_refused(mails: tuple[Path, list[str]], tmp_path: Path) -> None:
    error = run_engine(spec_of("text", *mails, tmp_path, task="multi_label")).error
    assert error["code"] == "dataset_invalid" and "present" in error["detail"]
