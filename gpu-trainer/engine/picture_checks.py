"""Pictures that hold nothing to learn from, judged on the frozen 256-pixel squares. (How large the original was, only the host knows.)"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .heads import Ints

BLANK_DEVIATION = 2.0  # of 255


def picture_issues(pixels: Iterable[NDArray[np.uint8]], row: Ints) -> list[dict[str, Any]]:
    """`blank_picture`: nearly one colour."""
    found: list[dict[str, Any]] = []
    for square, at in zip(pixels, row.tolist(), strict=True):
        spread = float(square.reshape(-1, square.shape[-1]).std(axis=0).max())
        if spread < BLANK_DEVIATION:
            detail = f"Nearly one colour: its channels vary by {spread:.1f} of 255."
            found.append({"code": "blank_picture", "row": at, "score": 1 - spread / BLANK_DEVIATION / 2, "detail": detail})
    return found
