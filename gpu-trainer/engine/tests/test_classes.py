"""The classes file: the published layer row by row, and one name a class."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from ..classes import write_classes
from .conftest import BACKBONES

TEXT = BACKBONES / "all-minilm-l6-v2"
TOKENS = {
    "input_ids": np.array([[101, 4743, 102, 0], [101, 2482, 4524, 102]], np.int32),  # "bird", "car bag"
    "lengths": np.array([3, 4], np.int32),
}

pytestmark = pytest.mark.skipif(not (TEXT / "manifest.json").exists(), reason="the text backbone is not prepared")


def test_rows_keep_their_order_when_the_layer_is_a_view(tmp_path: Path) -> None:
    kernel = torch.arange(10.0).reshape(5, 2)
    write_classes({"_fc.weight": kernel.T, "_fc.bias": torch.zeros(2)}, 6, TOKENS, TEXT, tmp_path / "classes.safetensors")
    written = load_file(tmp_path / "classes.safetensors")
    assert written["weight"].tolist() == [[0, 2, 4, 6, 8, 0], [1, 3, 5, 7, 9, 0]]
    assert written["names"].shape == (2, 384)
    assert not np.allclose(written["names"][0], written["names"][1])


def test_names_must_be_as_many_as_classes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 names for 3 classes"):
        write_classes({"_fc.weight": torch.zeros(3, 5), "_fc.bias": torch.zeros(3)}, 5, TOKENS, TEXT, tmp_path / "x.safetensors")
