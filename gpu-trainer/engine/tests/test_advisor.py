"""`inspect` and `advise` as the host runs them, on real mails and pictures with planted faults."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from engine.evidence import on_target

from .conftest import BACKBONES, Ended, run_engine, spec_of

Data = tuple[Path, list[str]]
SCHEMA = json.loads((Path(__file__).parents[1] / "schema" / "engine-line.json").read_text())


def checked(ended: Ended, kind: str) -> dict[str, Any]:
    """The last line, held against the protocol's own schema."""
    assert ended.code == 0, ended.stderr
    for line in ended.lines:
        jsonschema.validate(line, SCHEMA)
    assert ended.lines[-1]["type"] == kind
    return ended.lines[-1][kind]


def by_code(inspection: dict[str, Any], code: str) -> dict[int, dict[str, Any]]:
    return {i["row"]: i for i in inspection["issues"] if i["code"] == code}


@pytest.fixture(scope="module")
def many_mails(mails: Data, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """All mails of the pack, each third held out, with five wrong labels, a copy across the splits and texts that are none."""
    from tokenizers import BertWordPieceTokenizer

    labels = mails[1]
    rows = [json.loads(line) for line in (Path(__file__).parents[3] / "test" / "pack" / "mails.jsonl").read_text().splitlines() if line]
    tokenizer = BertWordPieceTokenizer(str(BACKBONES / "all-minilm-l6-v2" / "vocab.txt"))
    tokenizer.enable_truncation(128)
    texts = [r["text"] for r in rows]
    y = [labels.index(r["label"]) for r in rows]
    texts += [
        texts[10] + " Bye",
        "ok",
        "Москва столица России и самый большой город страны",
        "Wir haben das Geld nicht und die Bank ist auch nicht auf dem Weg zu uns, der Mann mit dem Hut",
        "CafÃ© dâ€™Or, trÃ¨s bon cafÃ©",
    ]
    y += [y[10], 0, 0, 0, 0]
    split = [2 if i % 3 == 2 else 0 for i in range(len(texts))]
    split[80] = 0 if split[10] == 2 else 2
    for i in (3, 12, 40, 61, 77):
        y[i] = 1 - y[i]
    ids = [tokenizer.encode(t).ids for t in texts]
    padded = np.zeros((len(ids), 128), dtype=np.int32)
    for i, r in enumerate(ids):
        padded[i, : len(r)] = r
    path = tmp_path_factory.mktemp("many") / "dataset.safetensors"
    arrays = {"input_ids": padded, "lengths": np.array([len(r) for r in ids], dtype=np.int32)}
    save_file({**arrays, "labels": np.array(y, dtype=np.int32), "split": np.array(split, dtype=np.uint8)}, path)
    return path, labels


def test_inspection_of_texts_finds_what_was_planted(many_mails: Data, tmp_path: Path) -> None:
    found = checked(run_engine(spec_of("text", *many_mails, tmp_path, action="inspect")), "inspection")
    assert found["rows"] == 85
    wrong = by_code(found, "label_issue")
    assert len(wrong.keys() & {3, 12, 40, 61, 77}) >= 4
    assert all(wrong[i]["suggested"] in many_mails[1] for i in wrong)
    across = by_code(found, "near_duplicate_across_splits")
    assert (across.get(10) or across[80])["with"] in (80, 10)
    assert 81 in by_code(found, "short_text")
    assert {82, 83} <= by_code(found, "other_language").keys()
    assert 84 in by_code(found, "encoding")
    assert found["summary"] == {c: sum(i["code"] == c for i in found["issues"]) for c in found["summary"]}
    assert 0 <= found["label_noise"] < 0.25
    assert found["class_balance"]["effective_classes"] == pytest.approx(2, abs=0.3)
    assert found["split_shift"]["p_value"] > 0.01


def test_inspection_of_pictures_names_blank_ones_and_mirrored_copies(pictures: Data, tmp_path: Path) -> None:
    arrays = load_file(pictures[0])
    arrays["pixels"] = arrays["pixels"].copy()
    arrays["pixels"][4] = 250
    arrays["pixels"][7] = arrays["pixels"][0][:, ::-1]  # row 7 is held out, row 0 is not
    save_file(arrays, tmp_path / "arrays.safetensors")
    found = checked(run_engine(spec_of("image", tmp_path / "arrays.safetensors", pictures[1], tmp_path, action="inspect")), "inspection")
    assert by_code(found, "blank_picture").keys() == {4}
    assert by_code(found, "near_duplicate_across_splits")[0]["with"] == 7


def test_of_a_large_dataset_all_rows_are_counted_and_read(mails: Data, tmp_path: Path) -> None:
    """Time for 100 of 480 rows: the sample takes the labels in turn, so its own balance is none."""
    arrays = {k: np.concatenate([v] * (480 // len(v))) for k, v in load_file(mails[0]).items()}
    n = len(arrays["labels"])
    arrays["labels"][:] = np.arange(n) % 8 == 0
    short = np.arange(n) % 8 == 1
    arrays["lengths"][short] = 3
    save_file(arrays, tmp_path / "many.safetensors")
    spec = spec_of("text", tmp_path / "many.safetensors", mails[1], tmp_path, action="inspect")
    spec["limits"] = {**spec["limits"], "max_seconds": 1e-6}
    found = checked(run_engine(spec), "inspection")
    assert found["rows"] == 100
    assert found["class_balance"]["smallest"] == n / 8 and found["class_balance"]["largest"] == n * 7 / 8
    assert list(by_code(found, "short_text")) == np.flatnonzero(short).tolist()


def test_a_picture_that_was_saved_again_is_a_copy(pictures: Data, tmp_path: Path) -> None:
    """Halved and enlarged again, a small drawing looks like another one to the network."""
    arrays = load_file(pictures[0])
    arrays["pixels"] = arrays["pixels"].copy()
    small = Image.fromarray(arrays["pixels"][0]).resize((16, 16), Image.Resampling.BOX)
    arrays["pixels"][8] = np.asarray(small.resize((256, 256), Image.Resampling.BICUBIC))
    save_file(arrays, tmp_path / "arrays.safetensors")
    found = checked(run_engine(spec_of("image", tmp_path / "arrays.safetensors", pictures[1], tmp_path, action="inspect")), "inspection")
    pairs = [{i["row"], i["with"]} for i in found["issues"] if i["with"] is not None]
    assert {0, 8} in pairs


def test_advice_on_few_pictures_is_not_yet(pictures: Data, tmp_path: Path) -> None:
    """24 rows, of which a trial would need 40: the head at once."""
    advice = checked(run_engine(spec_of("image", *pictures, tmp_path, action="advise")), "advice")
    assert advice["when"] == {**advice["when"], "verdict": "not_yet", "examples_needed": 16}
    assert advice["how"]["method"] == "linear_probe"
    assert advice["trials"] == []
    assert {(o["method"], o["basis"]) for o in advice["options"]} == {("linear_probe", "measured"), ("fine_tune", "prior")}
    assert advice["expected"]["basis"] == "measured"
    assert advice["what"] == {**advice["what"], "backbone": "efficientnet-lite0", "layers": "head"}
    [one] = advice["backbones"]
    assert one["accuracy"] > 0.6
    assert one["leep"] < 0
    assert one["embed_seconds"] > 0
    assert advice["distance"] is None
    cost = {(o["method"], o["options"].get("depth")): o["seconds"] for o in advice["options"]}
    assert cost["linear_probe", None] < cost["fine_tune", "last_blocks"] < cost["fine_tune", "full"]
    assert str(advice["when"]["examples_needed"]) in advice["summary"]


def test_advice_for_a_shifted_target_is_to_adapt(mails: Data, many_mails: Data, tmp_path: Path) -> None:
    """The target: the same mails with their words in disorder and cut to fragments, unlabelled."""
    arrays = load_file(many_mails[0])
    random = np.random.default_rng(1)
    ids = arrays["input_ids"].copy()
    for i, n in enumerate(arrays["lengths"].tolist()):
        ids[i, 1 : n - 1] = random.integers(1037, 29000, max(n - 2, 0))
    shifted = {**arrays, "input_ids": ids, "labels": np.full(len(ids), -1, dtype=np.int32)}
    save_file(shifted, tmp_path / "far.safetensors")
    common = {"action": "advise", "backbones": [spec_of("text", *mails, tmp_path)["backbone"]]}
    to_far = {"arrays": str(tmp_path / "far.safetensors"), "labels": []}
    far = checked(run_engine(spec_of("text", *many_mails, tmp_path, target=to_far, **common)), "advice")
    assert far["distance"]["mmd_p_value"] <= 0.01
    assert far["distance"]["kind"] in ("moderate", "far")
    assert far["how"]["method"] == "domain_adaptation"
    to_same = {"arrays": str(many_mails[0]), "labels": many_mails[1]}
    same = checked(run_engine(spec_of("text", *many_mails, tmp_path, target=to_same, **common)), "advice")
    assert same["distance"]["kind"] == "near"
    assert same["distance"]["mmd_p_value"] > 0.5
    assert same["how"]["method"] != "domain_adaptation"
    [trial] = [t for t in same["trials"] if t["what"] == "tuning"]
    assert trial["rows"] == 85 and trial["interval"]["low"] <= trial["difference"] <= trial["interval"]["high"]
    tail = next(o for o in same["options"] if o["options"].get("depth") == "last_blocks")
    assert tail["basis"] == "measured" and "85 rows" in tail["because"]
    assert [p["measured"] for p in same["learning_curve"]].count(True) >= 5


def test_one_label_is_the_callers_fault(mails: Data, tmp_path: Path) -> None:
    arrays = load_file(mails[0])
    save_file({**arrays, "labels": np.zeros_like(arrays["labels"])}, tmp_path / "one.safetensors")
    ended = run_engine(spec_of("text", tmp_path / "one.safetensors", mails[1], tmp_path, action="advise"))
    assert ended.code == 2
    assert ended.error == {**ended.error, "code": "too_few_classes", "blame": "caller"}


def test_a_guess_about_a_target_without_labels_is_no_better_than_what_was_left_out_at_home() -> None:
    unknown = np.full(30, -1)
    home = (0.95, {"low": 0.88, "high": 0.98})
    # Rows that the head was fitted on come again as the target: it is sure of them, and that proves nothing.
    accuracy, interval, note = on_target(np.tile([9.0, 0.0], (30, 1)), unknown, 1.0, home)
    assert (accuracy, interval) == home and "100%" in note and "95%" in note
    # Far from home its doubt counts.
    accuracy, interval, note = on_target(np.tile([0.5, 0.0], (30, 1)), unknown, 1.0, home)
    assert 0.6 < accuracy < 0.65 and interval["low"] == 0.5 and interval["high"] < 0.85 and "95%" not in note
    accuracy, interval, _ = on_target(np.tile([9.0, 0.0], (30, 1)), unknown, 1.0, None)
    assert accuracy > 0.99 and interval["low"] < accuracy < interval["high"] < 1
