"""What a published picture network knows by name: its classifier layer, and its class names as the shipped text backbone embeds them.

The edge turns both into zero-shot rows (functions/learning/zero-shot.ts).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor

from .export import open_session, run_session
from .minilm import WIDTH


def embed_names(tokens: dict[str, NDArray[Any]], text: Path) -> NDArray[np.float32]:
    """What the last layer says of each, [n, 384]. One name a run, like the edge: int8 embeddings change with the batch."""
    trunk, tail = open_session(text / "trunk.onnx"), open_session(text / "tail.onnx")
    rows = [r[:n][None].astype(np.int64) for r, n in zip(tokens["input_ids"], tokens["lengths"], strict=True)]
    return np.concatenate([run_session(tail, run_session(trunk, r))[:, :WIDTH] for r in rows])


def write_classes(weights: dict[str, Tensor], dimension: int, tokens: dict[str, NDArray[Any]], text: Path, out: Path) -> None:
    """safetensors `weight` F32 [classes, dimension], `bias` F32 [classes], `names` F32 [classes, 384] (raw embeddings). The layer reads the
    first values of an embedding, those of the last layer; the others have weight 0.

    Raises ValueError when the names are not as many as the classes.
    """
    # Published as the transpose of a TensorFlow kernel; a view would be written in the wrong order.
    weight, bias = np.ascontiguousarray(weights["_fc.weight"].numpy()), weights["_fc.bias"].numpy()
    if len(tokens["lengths"]) != len(weight):
        raise ValueError(f"{len(tokens['lengths'])} names for {len(weight)} classes")
    weight = np.pad(weight, ((0, 0), (0, dimension - weight.shape[1])))
    save_file({"weight": weight, "bias": bias, "names": embed_names(tokens, text).astype(np.float32)}, out)
