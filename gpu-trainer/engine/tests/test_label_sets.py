"""The quality report of rows with several labels."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.data import Rows
from engine.heads import unit
from engine.inspect_rows import presence_issues
from engine.label_sets import LabelSets, read_label_sets
from engine.survey import Survey

from .conftest import run_engine, spec_of
from .test_advisor import by_code, checked

Data = tuple[Path, list[str]]


def test_rows_of_one_set_are_of_one_kind_whatever_their_number(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    # More rows than are read at a time, and more labels than a byte has bits.
    present = (random.random((5_000, 11)) < 0.3).astype(np.uint8)
    present[7] = 0
    labels = np.zeros(len(present), dtype=np.int32)
    labels[[0, 4_500]] = -1
    save_file({"present": present, "labels": labels}, tmp_path / "dataset.safetensors")
    sets = read_label_sets(tmp_path / "dataset.safetensors")
    known = labels >= 0
    assert (sets.kind[~known] == -1).all()
    assert (sets.sets[sets.kind[known]] == present[known]).all()
    assert len(np.unique(sets.sets, axis=0)) == len(sets.sets)
    assert (sets.counts(sets.kind) == present[known].sum(axis=0)).all()
    names = sets.names([f"l{i}" for i in range(11)])
    assert names[sets.kind[7]] == "none of the labels"
    assert names[sets.kind[1]] == ", ".join(f'"l{i}"' for i in np.flatnonzero(present[1]))


def test_nothing_labelled_is_no_kind(tmp_path: Path) -> None:
    save_file({"present": np.zeros((4, 0), dtype=np.uint8), "labels": np.full(4, -1, dtype=np.int32)}, tmp_path / "dataset.safetensors")
    sets = read_label_sets(tmp_path / "dataset.safetensors")
    assert sets.kind.tolist() == [-1, -1, -1, -1]
    assert sets.names([]) == []
    assert sets.counts(sets.kind).tolist() == []


@pytest.fixture
def tagged(mails: Data, tmp_path: Path) -> Data:
    """The mails with what they were labelled as and whether they are long; row 2 again as row 3 with other labels, and a row with none."""
    arrays = load_file(mails[0])
    present = np.zeros((len(arrays["labels"]), 3), dtype=np.uint8)
    present[np.arange(len(present)), arrays["labels"]] = 1
    present[:, 2] = arrays["lengths"] > np.median(arrays["lengths"])
    for name in ("input_ids", "lengths"):
        arrays[name][3] = arrays[name][2]
    arrays["split"][2:4] = 0
    present[2], present[3] = (1, 0, 1), (1, 0, 0)
    present[5] = 0
    arrays["labels"] = np.zeros_like(arrays["labels"])
    arrays["labels"][7] = -1
    save_file(arrays | {"present": present}, tmp_path / "tagged.safetensors")
    return tmp_path / "tagged.safetensors", [*mails[1], "long"]


def test_a_report_of_several_labels_compares_sets_and_says_what_it_leaves_out(tagged: Data, tmp_path: Path) -> None:
    found = checked(run_engine(spec_of("text", *tagged, tmp_path, action="inspect", task="multi_label")), "inspection")
    arrays = load_file(tagged[0])
    counts = arrays["present"][arrays["labels"] == 0].sum(axis=0)
    assert found["class_balance"] == {
        "smallest": counts.min(),
        "largest": counts.max(),
        "effective_classes": pytest.approx(float(np.exp(-(counts / counts.sum() * np.log(counts / counts.sum())).sum()))),
    }
    conflict = by_code(found, "conflicting_duplicate")[3]
    assert conflict["with"] == 2
    assert f'is labelled "{tagged[1][0]}", "long" instead of "{tagged[1][0]}"' in conflict["detail"]
    assert 0.5 < found["cross_validated_accuracy"] < 1
    assert found["label_noise"] is not None
    for issue in by_code(found, "label_issue").values():
        assert issue["row"] != 7
        assert issue["detail"].startswith("Labelled with ")


def test_a_report_of_rows_that_nobody_labelled_has_no_balance(tagged: Data, tmp_path: Path) -> None:
    arrays = load_file(tagged[0])
    arrays["labels"] = np.full_like(arrays["labels"], -1)
    save_file(arrays | {"present": np.zeros((len(arrays["labels"]), 0), dtype=np.uint8)}, tmp_path / "bare.safetensors")
    found = checked(run_engine(spec_of("text", tmp_path / "bare.safetensors", [], tmp_path, action="inspect", task="multi_label")), "inspection")
    assert found["class_balance"] is None
    assert by_code(found, "conflicting_duplicate") == {}


def test_labels_that_a_row_lacks_or_has_by_mistake_are_found_each_by_itself() -> None:
    random = np.random.default_rng(5)
    n, d = 600, 48
    directions = np.linalg.qr(random.normal(size=(d, 4)))[0].T
    true = (random.random((n, 4)) < [0.4, 0.3, 0.2, 0.1]).astype(np.uint8)
    x = unit(true @ directions + 0.08 * random.normal(size=(n, d)))
    wrong = random.random((n, 4)) < 0.03
    given = np.where(wrong, 1 - true, true).astype(np.uint8)
    found, kind = np.unique(given, axis=0, return_inverse=True)
    sets = LabelSets(kind.reshape(-1).astype(np.int64), found)
    rows = Rows(cast(Any, None), np.append(sets.kind[:-1], -1), np.zeros(n, dtype=np.int64), np.arange(n) + 100)
    issues, share, accuracy = presence_issues(Survey(cast(Any, None), rows, x.astype(np.float32), x, 0, 0, {}), sets, ["a", "b", "c", "d"])
    assert share == pytest.approx(wrong[:-1].mean(), abs=0.01)
    assert accuracy == pytest.approx(float((~wrong[:-1]).all(axis=1).mean()), abs=0.05)
    hits = [(i["row"] - 100, i["detail"].split('that "')[1][0], i["suggested"]) for i in issues]
    planted = {(int(r), "abcd"[c], "abcd"[c] if given[r, c] == 0 else None) for r, c in zip(*np.nonzero(wrong[:-1]), strict=True)}
    assert len(planted & set(hits)) > 0.8 * len(planted)
    assert len(set(hits) - planted) < 0.05 * len(hits)
    # The row that nobody labelled is judged by nobody.
    assert all(row < n - 1 for row, _, _ in hits)
    none = Rows(cast(Any, None), np.full(n, -1, dtype=np.int64), rows.split, rows.row)
    assert presence_issues(Survey(cast(Any, None), none, x.astype(np.float32), x, 0, 0, {}), sets, ["a", "b", "c", "d"]) == ([], None, None)
