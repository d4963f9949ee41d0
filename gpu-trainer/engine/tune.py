"""Tail tuning: the deep step of `auto`. The trunk's activations are cached; the tail and a cosine classifier are trained on them.

Deterministic for a seed: every epoch draws from its own generator, so a resumed run equals an uninterrupted one.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from .efficientnet import load_image
from .export import Floats
from .heads import Ints
from .minilm import load_text

COSINE_SCALE = 16.0


@dataclass(frozen=True)
class Recipe:
    epochs: int
    learning_rate: float
    batch_size: int
    weight_decay: float
    label_smoothing: float
    seed: int
    stage: str

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError("epochs and batch_size must be at least 1")


@dataclass
class State:
    tail: nn.Module
    classifier: nn.Parameter
    optimiser: torch.optim.AdamW
    epoch: int
    losses: list[float]


def fresh_tail(weights: Path, image: bool) -> nn.Module:
    loaded = load_file(weights)
    return (load_image(loaded) if image else load_text(loaded))[1]


def seeded(*parts: int | str) -> torch.Generator:
    number = int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(number)


def start(weights: Path, image: bool, labels: int, dimension: int, recipe: Recipe, device: torch.device) -> State:
    tail = fresh_tail(weights, image).to(device)
    generator = seeded(recipe.seed, recipe.stage, "classifier")
    classifier = nn.Parameter((torch.randn(labels, dimension, generator=generator) / math.sqrt(dimension)).to(device))
    groups = [{"params": [*tail.parameters()]}, {"params": [classifier], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return State(tail, classifier, optimiser, 0, [])


def stack(features: list[Floats], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Pictures: [b, 192, 7, 7]. Texts: zero-padded [b, n, 384] and lengths."""
    if features[0].ndim == 4:
        return torch.from_numpy(np.concatenate(features)).to(device), None
    lengths = torch.tensor([f.shape[1] for f in features])
    out = torch.zeros(len(features), int(lengths.max()), features[0].shape[2])
    for i, f in enumerate(features):
        out[i, : f.shape[1]] = torch.from_numpy(f[0])
    return out.to(device), lengths.to(device)


def forward(tail: nn.Module, features: list[Floats], device: torch.device) -> Tensor:
    x, lengths = stack(features, device)
    return tail(x) if lengths is None else tail(x, lengths)


def train(
    state: State,
    views: list[list[Floats]],
    y: Ints,
    recipe: Recipe,
    *,
    sqrt: bool,
    on_step: Callable[[int, int, int, float], None],
    after_epoch: Callable[[State], None],
) -> None:
    """`views[i]`: cached activations of row i, the plain one first; each epoch takes one at random. Batch-norm statistics stay frozen."""
    device = state.classifier.device
    n = len(y)
    steps = max(1, math.ceil(n / recipe.batch_size))
    counts = np.bincount(y, minlength=state.classifier.shape[0]).astype(np.float64)
    weight = torch.tensor(np.divide(n, (counts > 0).sum() * counts, out=np.zeros_like(counts), where=counts > 0), dtype=torch.float32, device=device)
    state.tail.eval()
    while state.epoch < recipe.epochs:
        generator = seeded(recipe.seed, recipe.stage, state.epoch)
        order = torch.randperm(n, generator=generator)
        choice = torch.randint(0, 1_000_003, (n,), generator=generator)
        total = 0.0
        for step in range(steps):
            part = order[step * recipe.batch_size : (step + 1) * recipe.batch_size].tolist()
            place = (state.epoch * steps + step) / (recipe.epochs * steps)
            for group in state.optimiser.param_groups:
                group["lr"] = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * place))
            embedding = forward(state.tail, [views[i][int(choice[i]) % len(views[i])] for i in part], device)
            feature = F.normalize((embedding.clamp_min(0) + 1e-6).sqrt() if sqrt else embedding, dim=1)
            logits = COSINE_SCALE * feature @ F.normalize(state.classifier, dim=1).T
            target = torch.from_numpy(y[part]).to(device)
            loss = F.cross_entropy(logits, target, weight=weight, label_smoothing=recipe.label_smoothing)
            state.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            state.optimiser.step()
            total += float(loss.detach()) * len(part)
            on_step(state.epoch, step, len(part), float(loss.detach()))
        state.losses.append(total / n)
        state.epoch += 1
        after_epoch(state)


def embed_torch(state: State, features: list[Floats], batch: int = 64) -> Floats:
    with torch.no_grad():
        parts = [forward(state.tail, features[i : i + batch], state.classifier.device).cpu().numpy() for i in range(0, len(features), batch)]
    return np.concatenate(parts).astype(np.float32)


def save_state(path: Path, state: State, extra: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """All resume state in one file; lands by rename."""
    tensors = {f"tail.{k}": v.detach().cpu().contiguous() for k, v in state.tail.state_dict().items()}
    tensors["classifier"] = state.classifier.detach().cpu().contiguous()
    for i, (_, moments) in enumerate(sorted(state.optimiser.state_dict()["state"].items())):
        for name, value in moments.items():
            tensors[f"optimiser.{i}.{name}"] = value.detach().cpu().clone().contiguous()
    tensors |= {f"extra.{k}": v.contiguous() for k, v in extra.items()}
    staged = path.with_suffix(".part")
    save_file(tensors, staged, metadata={"graft": json.dumps({**facts, "epoch": state.epoch, "losses": state.losses})})
    os.replace(staged, path)


def load_state(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    with safe_open(path, framework="pt") as f:
        facts: dict[str, Any] = json.loads((f.metadata() or {})["graft"])
        return facts, {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - safe_open is not a dict


def restore(state: State, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    device = state.classifier.device
    state.tail.load_state_dict({k.removeprefix("tail."): v for k, v in tensors.items() if k.startswith("tail.")})
    with torch.no_grad():
        state.classifier.copy_(tensors["classifier"].to(device))
    saved = state.optimiser.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, i, kind = name.split(".")
            moments.setdefault(int(i), {})[kind] = value
    saved["state"] = moments
    state.optimiser.load_state_dict(saved)
    state.epoch, state.losses = facts["epoch"], list(facts["losses"])
