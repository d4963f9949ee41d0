"""A stored square as an added backbone reads it: the same steps as `shared/preprocess/pixels.ts`, in float32."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def coverage(side: int, to: int) -> NDArray[np.float32]:
    """Rows of an area mean [to, side]: how much of each source cell a target cell covers; each row sums to 1."""
    edges = np.arange(to + 1) * (side / to)
    cells = np.arange(side)
    inside = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return (np.clip(inside, 0, None) / (side / to)).astype(np.float32)


def network_input(square: NDArray[np.uint8], preprocessing: dict[str, Any]) -> NDArray[np.float32]:
    """[side, side, 3] U8 -> the network's input with a first side of 1: area mean, centre crop, (x - mean) / scale, layout."""
    p = preprocessing
    x = square.astype(np.float32)
    to = p.get("resize_px") or len(square)
    if to != len(square):
        rows = coverage(len(square), to)
        x = np.einsum("yi,ijc,xj->yxc", rows, x, rows, optimize=True)
    skip = (to - p["input_px"]) // 2
    x = x[skip : skip + p["input_px"], skip : skip + p["input_px"]]
    if p.get("channels") == "bgr":
        x = x[..., ::-1]
    x = ((x - np.float32(p["mean"])) / np.float32(p["scale"])).astype(np.float32)
    return np.ascontiguousarray((x if p.get("layout") == "nhwc" else x.transpose(2, 0, 1))[None])
