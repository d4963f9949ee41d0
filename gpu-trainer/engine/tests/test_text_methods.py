"""zero_shot and multi_task as whole jobs, on short texts whose topics are plain."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import BertWordPieceTokenizer

from engine.head_file import ServedHead

from .conftest import BACKBONES, run_engine, spec_of

TEXT = BACKBONES / "all-minilm-l6-v2"
TOPICS = {
    "cooking": ["fry the onions in butter", "this soup needs more salt", "bake the bread for an hour", "a recipe for pancakes"],
    "football": ["the striker scored twice", "a penalty in the last minute", "the goalkeeper was injured", "they lost the cup final"],
    "medicine": ["take the pills twice a day", "the doctor looked at the wound", "a vaccine against measles", "her fever went down"],
    "music": ["the violin was out of tune", "she sang the second verse", "a new album by the band", "the drummer missed a beat"],
    "money": ["the bank raised its interest rate", "he invested in shares", "pay the invoice by Friday", "taxes are due in spring"],
    "weather": ["rain and strong wind tomorrow", "the snow melted overnight", "a sunny and dry weekend", "thunder in the mountains"],
    "travel": ["our flight was delayed", "the hotel is near the beach", "pack a suitcase for the trip", "visit the old town by bus"],
    "computers": ["the program crashed again", "install the new software", "my laptop has no memory left", "a bug in the code"],
}
LABELS = list(TOPICS)
UNSEEN = ["music", "weather", "computers"]


def tokens(texts: list[str], width: int) -> dict[str, np.ndarray[Any, Any]]:
    tokenizer = BertWordPieceTokenizer(str(TEXT / "vocab.txt"))
    ids = [tokenizer.encode(t).ids[:width] for t in texts]
    padded = np.zeros((len(ids), width), dtype=np.int32)
    for i, row in enumerate(ids):
        padded[i, : len(row)] = row
    return {"input_ids": padded, "lengths": np.array([len(r) for r in ids], dtype=np.int32)}


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """32 texts, every second held out, with two tasks: the topic, unknown for some, and how long the text is."""
    folder = tmp_path_factory.mktemp("topics")
    rows = [(text, k, i) for k, name in enumerate(LABELS) for i, text in enumerate(TOPICS[name])]
    y = np.array([k for _, k, _ in rows], dtype=np.int32)
    split = np.array([2 if i % 2 else 0 for _, _, i in rows], dtype=np.uint8)
    size = np.array([int(len(t.split()) > 4) for t, _, _ in rows], dtype=np.int32)
    topic = y.copy()
    topic[::16] = -1
    size[3::8] = -1
    arrays = {**tokens([t for t, _, _ in rows], 16), "labels": y, "split": split, "tasks.0": topic, "tasks.1": size}
    save_file(arrays, folder / "dataset.safetensors")
    save_file(tokens([f"a text about {name}" for name in LABELS], 128), folder / "labels.safetensors")
    return {"arrays": folder / "dataset.safetensors", "texts": folder / "labels.safetensors"}


@pytest.mark.parametrize("mapping", ["eszsl", "devise"])
def test_labels_never_trained_on_are_told_apart_by_their_texts(topics: dict[str, Path], tmp_path: Path, mapping: str) -> None:
    texts = {"backbone_dir": str(TEXT), "tokens": str(topics["texts"])}
    method = {"type": "zero_shot", "mapping": mapping, "unseen_labels": UNSEEN}
    result = run_engine(spec_of("text", topics["arrays"], LABELS, tmp_path, method=method, label_texts=texts)).result
    figures = result["evidence"]["zero_shot"]
    assert result["method"]["used"] == "zero_shot" and result["train_rows"] == 10
    assert sorted(figures["unseen_labels"]) == sorted(UNSEEN) and figures["unseen_rows"] == 6
    assert figures["unseen_accuracy"] > 0.5 > figures["unseen_chance"]
    expected = 2 * figures["generalised_seen"] * figures["generalised_unseen"]
    total = figures["generalised_seen"] + figures["generalised_unseen"]
    assert abs(figures["harmonic_mean"] - (expected / total if total else 0.0)) < 1e-9
    head = ServedHead(tmp_path / "head.safetensors")
    assert head.labels == LABELS and [c["name"] for c in head.meta["components"]] == [mapping]
    weight = load_file(tmp_path / "head.safetensors")["components.0.weight"]
    assert weight.shape == (8, 768) and (np.linalg.norm(weight, axis=1) > 0).all()
    held = result["held_out"]
    unseen = {LABELS.index(name) for name in UNSEEN}
    assert not unseen & set(held["frozen"]["prediction"])
    assert unseen & set(held["zero_shot"]["prediction"])


def test_zero_shot_says_what_it_lacks(topics: dict[str, Path], tmp_path: Path) -> None:
    texts = {"backbone_dir": str(TEXT), "tokens": str(topics["texts"])}
    for method, more, code in (
        ({"type": "zero_shot", "unseen_labels": UNSEEN}, {}, "label_texts_missing"),
        ({"type": "zero_shot", "unseen_labels": ["chess"]}, {"label_texts": texts}, "options_invalid"),
        ({"type": "zero_shot"}, {"label_texts": texts}, "unseen_labels_missing"),
    ):
        error = run_engine(spec_of("text", topics["arrays"], LABELS, tmp_path, method=method, **more)).error
        assert (error["code"], error["blame"]) == (code, "caller")


def test_every_task_is_held_against_itself_alone(topics: dict[str, Path], tmp_path: Path) -> None:
    tasks = [{"name": "topic", "labels": LABELS}, {"name": "size", "labels": ["short", "long"]}]
    dataset = {"arrays": str(topics["arrays"]), "labels": LABELS, "tasks": tasks}
    method = {"type": "multi_task", "task": "topic", "epochs": 2}
    ended = run_engine(spec_of("text", topics["arrays"], LABELS, tmp_path, method=method, dataset=dataset))
    result = ended.result
    # Two folds and the final network, then each task alone.
    last = [line["progress"] for line in ended.of("progress") if line["progress"]["loss"] is not None][-1]
    assert last["epoch"] == last["epochs"] == (3 + 2) * 2
    arrays = load_file(topics["arrays"])
    held = arrays["split"] == 2
    assert [t["name"] for t in result["tasks"]] == ["topic", "size"]
    assert [t["held_out_rows"] for t in result["tasks"]] == [int((arrays[f"tasks.{i}"][held] >= 0).sum()) for i in (0, 1)]
    assert result["train_rows"] == int((arrays["tasks.0"][~held] >= 0).sum()) == 14
    assert result["labels"] == LABELS
    for t in result["tasks"]:
        assert abs(t["accuracy"] - t["single_task_accuracy"] - t["difference"]) < 1e-9
        assert t["interval"]["low"] <= t["difference"] <= t["interval"]["high"]
        assert t["negative_transfer"] == (t["interval"]["high"] < 0)
    assert result["evidence"]["task_log_variances"].keys() == {"topic", "size"}


def test_the_served_task_is_the_one_asked_for_and_one_task_is_too_few(topics: dict[str, Path], tmp_path: Path) -> None:
    tasks = [{"name": "topic", "labels": LABELS}, {"name": "size", "labels": ["short", "long"]}]
    dataset = {"arrays": str(topics["arrays"]), "labels": LABELS, "tasks": tasks}
    method = {"type": "multi_task", "task": "size", "epochs": 1}
    result = run_engine(spec_of("text", topics["arrays"], LABELS, tmp_path, method=method, dataset=dataset)).result
    assert result["labels"] == ["short", "long"] and [t["name"] for t in result["tasks"]] == ["size", "topic"]
    error = run_engine(spec_of("text", topics["arrays"], LABELS, tmp_path, method=method)).error
    assert (error["code"], error["blame"]) == ("tasks_missing", "caller")
    other = {**method, "task": "colour"}
    assert run_engine(spec_of("text", topics["arrays"], LABELS, tmp_path, method=other, dataset=dataset)).error["code"] == "options_invalid"


def test_rows_of_another_dataset_judge_each_task_like_rows_of_the_same(topics: dict[str, Path], tmp_path: Path) -> None:
    """The held-out rows taken out into a dataset of their own, whose tasks and labels are in another order: the figures stay what they were."""
    arrays = load_file(topics["arrays"])
    held = np.flatnonzero(arrays["split"] == 2)
    train = np.flatnonzero(arrays["split"] == 0)
    save_file({k: v[train] for k, v in arrays.items()}, tmp_path / "train.safetensors")
    back = np.array([*reversed(range(len(LABELS))), -1], dtype=np.int32)
    flip = np.array([1, 0, -1], dtype=np.int32)
    judge = {k: v[held] for k, v in arrays.items()}
    judge |= {"tasks.0": flip[judge["tasks.1"]], "tasks.1": back[judge["tasks.0"]], "split": np.zeros(len(held), dtype=np.uint8)}
    judge["labels"] = judge["tasks.0"]
    save_file(judge, tmp_path / "judge.safetensors")
    tasks = [{"name": "topic", "labels": LABELS}, {"name": "size", "labels": ["short", "long"]}]
    method = {"type": "multi_task", "task": "topic", "epochs": 1}
    both = {"arrays": str(topics["arrays"]), "labels": LABELS, "tasks": tasks}
    own = run_engine(spec_of("text", topics["arrays"], LABELS, tmp_path / "own", method=method, dataset=both)).result
    apart = {**both, "arrays": str(tmp_path / "train.safetensors")}
    others = {
        "arrays": str(tmp_path / "judge.safetensors"),
        "labels": ["long", "short"],
        "tasks": [{"name": "size", "labels": ["long", "short"]}, {"name": "topic", "labels": LABELS[::-1]}],
    }
    spec = spec_of("text", topics["arrays"], LABELS, tmp_path / "apart", method=method, dataset=apart, validation=others)
    result = run_engine(spec).result
    assert result["tasks"] == own["tasks"]
    for part in ("truth", "candidate", "frozen"):
        assert result["held_out"][part] == own["held_out"][part]
    assert result["held_out"]["split"] == "validation"
    # Rows without tasks have labels of the task that is served; one of a task that is not served judges nothing.
    plain = {"arrays": others["arrays"], "labels": ["long", "short"]}
    served = {**method, "task": "size"}
    alone = run_engine(spec_of("text", topics["arrays"], LABELS, tmp_path / "plain", method=served, dataset=apart, validation=plain)).result
    assert [(t["name"], t["held_out_rows"]) for t in alone["tasks"]] == [("size", int((judge["labels"] >= 0).sum())), ("topic", 0)]
    only_size = {**plain, "tasks": others["tasks"][:1]}
    error = run_engine(spec_of("text", topics["arrays"], LABELS, tmp_path / "none", method=method, dataset=apart, validation=only_size)).error
    assert (error["code"], error["blame"]) == ("options_invalid", "caller")
