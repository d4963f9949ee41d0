"""Everything that a training stage needs to go on as if it had never stopped, in one safetensors file that lands by rename."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .tune import State
from .wire import EngineError

SCALARS = ("best_loss", "waited", "epoch", "step", "updates", "pieces", "total", "losses", "aside_losses")


def tensors_of(state: State, *, whole: bool = True) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Scalars and tensors of a state, copied; not `whole`: without what only further training needs."""
    tensors: dict[str, Tensor] = {"classifier": state.classifier.detach()}
    for group, values in (
        ("network", state.network.state_dict()),
        ("criterion", state.criterion.state_dict()),
        ("average", state.average),
        ("best", state.best if whole else {}),
    ):
        tensors |= {f"{group}.{k}": v for k, v in values.items()}
    if whole:
        for i, moments in state.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{name}": value for name, value in moments.items()}
    return {k: getattr(state, k) for k in SCALARS}, {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}


def save_state(path: Path, state: State, extra: dict[str, Tensor], facts: dict[str, Any]) -> None:
    staged = path.with_suffix(".part")
    scalars, tensors = tensors_of(state)
    save_file({**tensors, **{k: v.contiguous() for k, v in extra.items()}}, staged, metadata={"graft": json.dumps({**facts, **scalars})})
    os.replace(staged, path)


def load_state(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Raises EngineError where the file is not a checkpoint."""
    try:
        with safe_open(path, framework="pt") as f:
            facts: dict[str, Any] = json.loads((f.metadata() or {})["graft"])
            return facts, {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - safe_open is not a dict
    except (SafetensorError, KeyError, ValueError, OSError) as e:
        raise EngineError("checkpoint_unreadable", "The checkpoint could not be read.", retryable=True, blame="graft") from e


def part_of(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    return {k.removeprefix(f"{group}."): v for k, v in tensors.items() if k.startswith(f"{group}.")}


def restore(state: State, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    device = state.classifier.device
    state.network.load_state_dict(part_of(tensors, "network"))
    state.criterion.load_state_dict(part_of(tensors, "criterion"))
    with torch.no_grad():
        state.classifier.copy_(tensors["classifier"].to(device))
    for name in ("average", "best"):
        setattr(state, name, {k: v.to(device) for k, v in part_of(tensors, name).items()})
    saved = state.optimiser.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in part_of(tensors, "optimiser").items():
        i, kind = name.split(".")
        moments.setdefault(int(i), {})[kind] = value
    saved["state"] = moments
    state.optimiser.load_state_dict(saved)
    for name in SCALARS:
        setattr(state, name, facts[name])
