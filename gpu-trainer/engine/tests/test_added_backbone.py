"""A network that an operator added: read as the edge reads it, and a head trained on it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from engine.data import Backbone, embed
from engine.pixels import coverage, network_input

from .conftest import ROOT, run_engine, spec_of

FIXTURES = ROOT / "test" / "fixtures" / "backbones"
PREPROCESSING: dict[str, dict[str, Any]] = {
    "pytorch": {"input_px": 64, "resize_px": 73, "mean": [123.675, 116.28, 103.53], "scale": [58.395, 57.12, 57.375]},
    "keras": {"input_px": 96, "resize_px": 110, "mean": 127.5, "scale": 127.5, "layout": "nhwc"},
}


def folder_of(name: str, dimension: int, out: Path) -> Path:
    """The files of a backbone as the host lays them out."""
    (out / "trunk.onnx").write_bytes((FIXTURES / f"{name}.onnx").read_bytes())
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("features", "embedding")]
    graph = helper.make_graph([helper.make_node("Flatten", ["features"], ["embedding"])], "flatten", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), out / "tail.onnx")
    save_file({"embeddings": np.zeros((0, dimension), np.float32)}, out / "background.safetensors")
    save_file({"features": np.zeros((0, dimension), np.float32)}, out / "inputs.safetensors")
    manifest = {
        "id": name,
        "modality": "image",
        "dimension": dimension,
        "transform": "l2",
        "preprocessing": {"kind": "image", "square_px": 256, **PREPROCESSING[name]},
        "trunk": {"model": {"name": "trunk.onnx"}},
        "tail": {"model": {"name": "tail.onnx"}},
        "weights": None,
        "background": {"name": "background.safetensors"},
        "background_inputs": {"name": "inputs.safetensors"},
        "version": "1",
        "sha256": "0" * 64,
    }
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


@pytest.mark.parametrize(("name", "dimension"), [("pytorch", 96), ("keras", 80)])
def test_gives_what_its_own_framework_gives(name: str, dimension: int, tmp_path: Path) -> None:
    reference = json.loads((FIXTURES / f"{name}.json").read_text())
    folder = folder_of(name, dimension, tmp_path)
    backbone = Backbone(folder, json.loads((folder / "manifest.json").read_text()), 1)
    square = np.broadcast_to(np.array(reference["rgb"], np.uint8), (256, 256, 3))
    given = embed(backbone.tail, [backbone.features_of(backbone.served(square))])[0]
    np.testing.assert_allclose(given, reference["embedding"], atol=1e-4 * np.abs(given).max())


def test_area_mean_keeps_the_mean_and_cuts_the_centre() -> None:
    assert np.allclose(coverage(256, 110).sum(axis=1), 1, atol=1e-5)
    square = np.random.default_rng(7).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    halved = network_input(square, {"input_px": 128, "resize_px": 128, "mean": 0, "scale": 1, "layout": "nhwc"})[0]
    np.testing.assert_allclose(halved, square.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3)), atol=1e-3)
    swapped = network_input(square, {"input_px": 64, "mean": [3, 2, 1], "scale": 2, "channels": "bgr"})
    np.testing.assert_allclose(swapped[0, 0], (square[96:160, 96:160, 2].astype(np.float32) - 3) / 2)


def test_trains_a_head(pictures: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder = folder_of("pytorch", 96, tmp_path)
    spec = spec_of("image", *pictures, tmp_path / "out", method={"type": "linear_probe"}, backbone={"id": "pytorch", "dir": str(folder)})
    ended = run_engine(spec)
    assert len(ended.result["held_out"]["candidate"]["prediction"]) == 9
    assert "head.safetensors" in [line["name"] for line in ended.of("artifact")]
