"""Training inputs in batches: cached trunk activations, or pixels and tokens for the whole network. Randomness comes in as one number a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .activations import Activations, Joined
from .data import INPUT, SQUARE
from .export import Floats

Inputs = tuple[Tensor, ...]
PLAIN = 0


class Source(Protocol):
    def __len__(self) -> int: ...

    def batch(self, rows: list[int], draws: list[int], device: torch.device) -> Inputs:
        """Inputs of the network for `rows`; a draw of 0 is the plain view of a row, others choose an augmented one."""
        ...


def pad(rows: list[Any], device: torch.device) -> Inputs:
    """[n_i, ...] arrays, zero-padded to the longest, and their lengths."""
    lengths = torch.tensor([len(r) for r in rows])
    out = torch.zeros(len(rows), int(lengths.max()), *rows[0].shape[1:], dtype=torch.from_numpy(rows[0][:1]).dtype)
    for i, r in enumerate(rows):
        out[i, : len(r)] = torch.from_numpy(r)
    return out.to(device), lengths.to(device)


class Cached:
    """`views[i]`: trunk activations of row i, the plain one first."""

    def __init__(self, views: Activations | Joined | list[list[Floats]]) -> None:
        self.views = views

    def __len__(self) -> int:
        return len(self.views)

    def batch(self, rows: list[int], draws: list[int], device: torch.device) -> Inputs:
        views = self.views
        if isinstance(views, list):
            chosen = [views[i][d % len(views[i])] for i, d in zip(rows, draws, strict=True)]
        else:
            chosen = [views.view(i, d) for i, d in zip(rows, draws, strict=True)]
        if chosen[0].ndim == 4:
            return (torch.from_numpy(np.concatenate(chosen)).to(device),)
        return pad([c[0] for c in chosen], device)


class Tokens:
    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: list[int], draws: list[int], device: torch.device) -> Inputs:
        return pad([self.rows[i] for i in rows], device)


class Pixels:
    """Stored uint8 squares; the whole batch is cropped, mirrored and coloured in one pass on the device. `size`: side in training. (A network that
    is served at a larger side than it was trained at does better, not worse: Touvron et al. 2019.)"""

    def __init__(self, pixels: Any, size: int) -> None:
        self.pixels, self.size = pixels, size

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, rows: list[int], draws: list[int], device: torch.device) -> Inputs:
        raw = torch.from_numpy(np.ascontiguousarray(self.pixels[rows])).to(device).permute(0, 3, 1, 2)
        # Bytes are shrunk eight times faster than floats on a CPU; on other devices there is no such kernel.
        raw = raw if device.type == "cpu" else raw.float()
        table = np.array([numbers(d) for d in draws], dtype=np.float32)
        side, x, y, mirror, gain, shift = torch.from_numpy(table).to(device).unbind(1)
        theta = torch.zeros(len(rows), 2, 3, device=device)
        theta[:, 0, 0], theta[:, 1, 1] = side * mirror, side
        theta[:, 0, 2], theta[:, 1, 2] = x, y
        # Shrinking by more than a pixel needs the average first, or edges alias.
        raw = F.interpolate(raw, size=(192, 192), mode="bilinear", align_corners=False, antialias=True) if self.size < 192 else raw
        raw = raw.float()
        grid = F.affine_grid(theta, [len(rows), 3, self.size, self.size], align_corners=False)
        view = F.grid_sample(raw, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        view = (view - 127) * gain[:, None, None, None] + shift[:, None, None, None]
        return ((view.clamp(-127, 128) / 128).contiguous(memory_format=torch.channels_last),)


def numbers(draw: int) -> list[float]:
    """Side of the crop as a share, its centre (−1 to 1), mirror, contrast and brightness; the centre crop for the plain view."""
    if draw == PLAIN:
        return [INPUT / SQUARE, 0.0, 0.0, 1.0, 1.0, 0.0]
    random = np.random.default_rng(draw)
    side = float(np.sqrt(random.uniform(0.5, 1.0)))
    x, y = random.uniform(-1, 1, 2) * (1 - side)
    mirror = 1.0 if random.random() < 0.5 else -1.0
    return [side, float(x), float(y), mirror, float(random.uniform(0.85, 1.15)), float(random.uniform(-16, 16))]
