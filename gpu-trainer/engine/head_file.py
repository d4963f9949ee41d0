"""Head files (graft-head-1, shared/head-file.ts): written for the candidate, read for the incumbent."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from .heads import Matrix, transform, unit
from .kernel import kernel


def write_head(path: Path, tensors: dict[str, NDArray[Any]], metadata: dict[str, Any]) -> None:
    staged = path.with_suffix(".part")
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, staged, metadata={"graft": json.dumps(metadata)})
    os.replace(staged, path)


class ServedHead:
    """An incumbent as the edge serves it."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, framework="numpy") as f:
            self.meta: dict[str, Any] = json.loads((f.metadata() or {})["graft"])
            self.tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - safe_open is not a dict
        if self.meta["format"] != "graft-head-1":
            raise ValueError(f"the incumbent's head has the format {self.meta['format']!r}")
        self.labels: list[str] = self.meta["labels"]

    @property
    def needs_tuned(self) -> bool:
        return any(c["embedding"] == "tuned" and c["mix"] != 0 for c in self.meta["components"])

    def scores(self, base: NDArray[np.float32], tuned: NDArray[np.float32] | None) -> Matrix:
        total = np.zeros((len(base), len(self.labels)))
        for k, c in enumerate(self.meta["components"]):
            if c["mix"] == 0:
                continue
            raw = base if c["embedding"] == "base" else tuned
            if raw is None:
                raise ValueError("the incumbent's head needs the embedding of its tail")
            power = c.get("kernel_power")
            center = self.tensors[f"components.{k}.center" if power is None else "support.center"].astype(np.float64)
            x = transform(raw, c["transform"], center)
            if power is not None:
                x = unit(x)
                if "support.basis" in self.tensors:
                    x = x @ self.tensors["support.basis"].astype(np.float64).T
                x = kernel(x, self.tensors["support.rows"].astype(np.float64), power)
            weight = self.tensors[f"components.{k}.weight"].astype(np.float64)
            total += c["mix"] * (x @ weight.T + self.tensors[f"components.{k}.bias"].astype(np.float64))
        return total
