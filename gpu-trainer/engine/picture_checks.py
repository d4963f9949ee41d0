"""What pictures themselves say, without a network, on the frozen 256-pixel squares. (How large the original was, only the host knows.)"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .export import Floats
from .heads import Ints
from .wire import Stopped

BLANK_DEVIATION = 2.0  # of 255
SIDE = 16


def picture_issues(pixels: Sequence[NDArray[np.uint8]], row: Ints, stopping: list[bool]) -> tuple[list[dict[str, Any]], Floats]:
    """`blank_picture`: nearly one colour. And all pictures as area means [n, 16, 16, 3], of 0 where blank."""
    found: list[dict[str, Any]] = []
    small = np.zeros((len(row), SIDE, SIDE, 3), dtype=np.float32)
    for i, at in enumerate(row.tolist()):
        if stopping:
            raise Stopped
        square = pixels[i]
        spread = float(square.reshape(-1, square.shape[-1]).std(axis=0).max())
        if spread < BLANK_DEVIATION:
            detail = f"Nearly one colour: its channels vary by {spread:.1f} of 255."
            found.append({"code": "blank_picture", "row": at, "score": 1 - spread / BLANK_DEVIATION / 2, "detail": detail})
        else:
            cell = len(square) // SIDE
            small[i] = square.reshape(SIDE, cell, SIDE, cell, 3).mean(axis=(1, 3), dtype=np.float32)
    return found, small
