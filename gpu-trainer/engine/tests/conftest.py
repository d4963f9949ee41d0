"""The engine as the host runs it: a child process, a spec on stdin, lines on stdout; small real data from the pack."""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from tokenizers import BertWordPieceTokenizer

from .starting import fork, new_interpreter

ROOT = Path(__file__).resolve().parents[3]
BACKBONES = ROOT / ".graft" / "backbones"
PACK = ROOT / "test" / "pack"
Spec = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    code: int
    lines: list[dict[str, Any]]
    stderr: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["type"] == kind]

    @property
    def result(self) -> dict[str, Any]:
        assert self.code == 0, self.stderr
        return self.of("result")[0]["result"]

    @property
    def error(self) -> dict[str, Any]:
        assert len(self.of("error")) == 1, self.stderr
        return self.of("error")[0]


def run_engine(spec: Spec | str, until: Callable[[dict[str, Any]], bool] | None = None, *, anew: bool = False) -> Ended:
    """`until`: sends SIGTERM once after the first line that it accepts. `anew`: in a new interpreter (starting.py)."""
    begin = new_interpreter if anew or sys.platform != "linux" else fork
    with tempfile.TemporaryFile() as stderr:
        lines: list[dict[str, Any]] = []
        with begin(spec if isinstance(spec, str) else json.dumps(spec), stderr) as run:
            for text in run.lines:
                lines.append(json.loads(text))
                if until and until(lines[-1]):
                    run.terminate()
                    until = None
        stderr.seek(0)
        return Ended(run.code, lines, stderr.read().decode())


def spec_of(modality: str, arrays: Path, labels: list[str], out: Path, **more: Any) -> Spec:
    backbone = {"image": "efficientnet-lite0", "text": "all-minilm-l6-v2"}[modality]
    return {
        "protocol": 1,
        "job": "job_test",
        "seed": 7,
        "modality": modality,
        "method": {"type": "fine_tune", "epochs": 2},
        "dataset": {"arrays": str(arrays), "labels": labels},
        "enrolled": None,
        "incumbent": None,
        "backbone": {"id": backbone, "dir": str(BACKBONES / backbone)},
        "checkpoint": None,
        "out_dir": str(out),
        "device": "cpu",
        "limits": {"threads": 1, "max_seconds": None},
        "false_reject_rate": 0.05,
        **more,
    }


@pytest.fixture(scope="session")
def mails(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """48 mails in the frozen form: 32 to train on, 16 held out; short, so that a run takes seconds."""
    rows = [json.loads(line) for line in (PACK / "mails.jsonl").read_text().splitlines() if line]
    labels = sorted({r["label"] for r in rows})
    chosen = [r for name in labels for r in [r for r in rows if r["label"] == name][: 48 // len(labels)]]
    tokenizer = BertWordPieceTokenizer(str(BACKBONES / "all-minilm-l6-v2" / "vocab.txt"))
    tokenizer.enable_truncation(32)
    ids = [tokenizer.encode(r["text"]).ids for r in chosen]
    padded = np.zeros((len(ids), 32), dtype=np.int32)
    for i, row in enumerate(ids):
        padded[i, : len(row)] = row
    path = tmp_path_factory.mktemp("mails") / "dataset.safetensors"
    arrays = {
        "input_ids": padded,
        "lengths": np.array([len(row) for row in ids], dtype=np.int32),
        "labels": np.array([labels.index(r["label"]) for r in chosen], dtype=np.int32),
        "split": np.array([2 if i % 3 == 2 else 0 for i in range(len(chosen))], dtype=np.uint8),
    }
    save_file(arrays, path)
    return path, labels


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Three classes of 8 pictures: 5 to train on, 3 held out."""
    labels = ["bird", "building", "plant"]
    pixels, y, split = [], [], []
    for k, name in enumerate(labels):
        for i, file in enumerate(sorted((PACK / "classes" / name).glob("*.png"))[:8]):
            drawing = Image.open(file).convert("RGBA")
            flat = Image.alpha_composite(Image.new("RGBA", drawing.size, "white"), drawing).convert("RGB").resize((256, 256))
            pixels.append(np.asarray(flat, dtype=np.uint8))
            y.append(k)
            split.append(0 if i < 5 else 2)
    path = tmp_path_factory.mktemp("pictures") / "dataset.safetensors"
    save_file({"pixels": np.stack(pixels), "labels": np.array(y, dtype=np.int32), "split": np.array(split, dtype=np.uint8)}, path)
    return path, labels
