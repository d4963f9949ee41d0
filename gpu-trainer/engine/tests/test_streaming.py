"""Data larger than memory: rows are read when they are needed, and activations beyond their budget lie in a file."""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.activations import Room, Shelf, compute
from engine.arrays import ArrayFile, Pictures, TokenRows
from engine.data import join, load_rows
from engine.wire import EngineError

from .conftest import ROOT, run_engine, spec_of
from .test_added_backbone import folder_of
from .test_job import same_head

Data = tuple[Path, list[str]]
PICTURE_BYTES = 256 * 256 * 3
PEAK = """
import json, resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "engine"], input=sys.stdin.read(), text=True, stdout=subprocess.PIPE)
print(json.dumps([done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, done.stdout.splitlines()[-1][:40]]))
"""


def many_pictures(path: Path, rows: int) -> None:
    """Two classes, darker and lighter, written piece by piece: this process must not be the large one."""
    random = np.random.default_rng(1)
    labels = (np.arange(rows) % 2).astype(np.int32)
    split = np.where(np.arange(rows) % 5 == 4, 2, 0).astype(np.uint8)
    few = {"labels": labels, "split": split, "pixels": np.zeros((1, 256, 256, 3), np.uint8)}
    save_file(few, path)
    header = ArrayFile(path)
    at, tensors = 0, {}
    for name, size in (("labels", 4 * rows), ("pixels", PICTURE_BYTES * rows), ("split", rows)):
        tensors[name] = {"dtype": "I32" if name == "labels" else "U8", "shape": [rows, *header.shape(name)[1:]], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(tensors).encode()
    with path.open("wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + labels.tobytes())
        for label in labels:
            f.write(random.integers(0, 100 + 100 * int(label), PICTURE_BYTES, dtype=np.uint8).tobytes())
        f.write(split.tobytes())


def peak_of(rows: int, tmp_path: Path) -> int:
    """Peak resident bytes of an engine that trains on so many pictures."""
    arrays = tmp_path / f"{rows}.safetensors"
    many_pictures(arrays, rows)
    folder = tmp_path / f"backbone{rows}"
    folder.mkdir()
    backbone = {"id": "pytorch", "dir": str(folder_of("pytorch", 96, folder))}
    spec = spec_of("image", arrays, ["dark", "light"], tmp_path / f"out{rows}", method={"type": "linear_probe"}, backbone=backbone)
    command = [sys.executable, "-c", PEAK]
    said = subprocess.run(command, cwd=ROOT / "gpu-trainer", input=json.dumps(spec), text=True, stdout=subprocess.PIPE, check=True)
    code, peak, last = json.loads(said.stdout)
    assert code == 0 and '"result"' in last
    arrays.unlink()
    return peak


def test_a_dataset_need_not_fit_into_memory(tmp_path: Path) -> None:
    """Of 390 MB of pictures a job may keep less than a quarter beyond what a job of a few pictures needs."""
    rows = 2_000
    grown = peak_of(rows, tmp_path) - peak_of(20, tmp_path)
    assert grown < rows * PICTURE_BYTES / 4


def test_activations_beyond_their_budget_are_not_in_memory(tmp_path: Path) -> None:
    rows, size = 400, 50_000

    def make(i: int) -> tuple[list[Any], Any]:
        return [np.full((1, size), i + v / 10, dtype=np.float32) for v in range(2)], np.full((1, 3), i, dtype=np.float32)

    tracemalloc.start()
    try:
        activations, embeddings = compute(tmp_path / "a", rows, Room(10 * 2 * size * 4), make)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * rows * 2 * size * 4
    assert len(activations) == rows and embeddings[:, 0].tolist() == list(range(rows))
    for i in (0, 9, 10, 11, rows - 1):
        for v in range(2):
            assert (activations[i][v] == np.float32(i + v / 10)).all() and (activations.view(i, v + 2) == np.float32(i + v / 10)).all()
    assert (activations.plain()[rows - 1] == rows - 1).all()
    with pytest.raises(IndexError):
        activations[rows]
    # No name is left that a killed process would leave behind.
    assert not list(tmp_path.iterdir())


def test_rows_of_texts_keep_their_lengths_on_disk(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "texts", Room(0))
    rows = [np.random.default_rng(n).normal(size=(1, n, 4)).astype(np.float32) for n in (3, 1, 7)]
    for row in rows:
        shelf.put([row])
    assert len(shelf) == 3
    for i in (2, 0, 1):
        np.testing.assert_array_equal(shelf.get(i)[0], rows[i])


@pytest.mark.parametrize("modality", ["image", "text"])
def test_the_same_model_from_disk_as_from_memory(modality: str, mails: Data, pictures: Data, tmp_path: Path) -> None:
    data = pictures if modality == "image" else mails
    method = {"type": "fine_tune", "epochs": 1, "augment_views": 2} if modality == "image" else {"type": "fine_tune", "epochs": 1}
    results = []
    for name, room in (("memory", 1 << 30), ("disk", 0)):
        spec = spec_of(modality, *data, tmp_path / name, method=method)
        results.append(run_engine({**spec, "limits": {**spec["limits"], "cache_bytes": room}}).result)
    assert results[0]["losses"] == results[1]["losses"]
    same_head(tmp_path / "memory", tmp_path / "disk", 0)


def test_rows_are_those_of_the_file(mails: Data, pictures: Data, tmp_path: Path) -> None:
    arrays = load_file(pictures[0])
    rows = load_rows(pictures[0], "image", 3)
    keep = np.array([5, 0, 7])
    both = join(rows.take(keep), rows.take(np.array([1])))
    assert isinstance(both.inputs, Pictures) and len(both.inputs) == 4
    np.testing.assert_array_equal(both.inputs[[3, 0, 2]], arrays["pixels"][[1, 5, 7]])
    np.testing.assert_array_equal(both.inputs[1], arrays["pixels"][0])
    texts = load_file(mails[0])
    tokens = load_rows(mails[0], "text", 2).inputs
    assert isinstance(tokens, TokenRows)
    for i in (0, 13, len(tokens) - 1):
        assert tokens[i].tolist() == texts["input_ids"][i][: texts["lengths"][i]].tolist()
    assert len(list(tokens)) == len(texts["labels"])


def test_a_file_that_is_cut_short_is_ours_and_worth_another_try(pictures: Data, tmp_path: Path) -> None:
    whole = pictures[0].read_bytes()
    for name, content in (("cut", whole[:-100]), ("header", whole[:20]), ("empty", b""), ("garbage", b"\xff" * 64)):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(EngineError) as raised:
            load_rows(path, "image", 3)
        assert (raised.value.code, raised.value.blame, raised.value.retryable) == ("input_corrupt", "graft", True)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(pictures: Data, tmp_path: Path) -> None:
    path = tmp_path / "shrinks"
    path.write_bytes(pictures[0].read_bytes())
    rows = load_rows(path, "image", 3)
    with path.open("r+b") as f:
        f.truncate(path.stat().st_size // 2)
    with pytest.raises(EngineError, match="ended before"):
        rows.inputs[len(rows) - 1]
