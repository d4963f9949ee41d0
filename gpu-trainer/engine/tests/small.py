"""The loop without a process around it: made-up activations of the trunk with classes that can be told apart, and one call that trains on them."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from safetensors.numpy import load_file

from engine import tune
from engine.data import Backbone, Rows, embed
from engine.export import Floats
from engine.heads import Ints, Matrix, center_of, transform, usual_scale
from engine.network import load_network
from engine.probe import Trial
from engine.recipe import recipe_of
from engine.source import Cached
from engine.survey import Survey

from .conftest import BACKBONES

SEED = (3, "final")
LABELS = 3
CPU = torch.device("cpu")


def cached(image: bool, rows: int = 24, noise: float = 2.0) -> tuple[Cached, Ints]:
    """Each class has its own mean in the space of activations; two views a picture."""
    random = np.random.default_rng(5)
    y = np.arange(rows) % LABELS
    if image:
        means = random.normal(size=(LABELS, 192, 1, 1))
        return Cached([[(means[c] + noise * random.normal(size=(1, 192, 7, 7))).astype(np.float32) for _ in range(2)] for c in y]), y
    means = random.normal(size=(LABELS, 384))
    return Cached([[(means[c] + noise * random.normal(size=(1, 3 + i % 3, 384))).astype(np.float32)] for i, c in enumerate(y)]), y


def begin(method: str, modality: str, options: dict[str, Any]) -> tuple[tune.State, Any]:
    image = modality == "image"
    recipe = recipe_of(method, options, modality)
    weights = BACKBONES / ("efficientnet-lite0" if image else "all-minilm-l6-v2") / "weights.safetensors"
    network = load_network(weights, image, whole=False, random=None)
    criterion = recipe.objective(None, np.arange(1), network)  # type: ignore[arg-type]
    return tune.start(network, criterion, LABELS, recipe, SEED, CPU), recipe


def go(
    state: tune.State,
    recipe: Any,
    source: Cached,
    y: Ints,
    after_step: Callable[..., None] = lambda *_: None,
    after_epoch: Callable[..., None] = lambda _: None,
) -> tune.State:
    torch.manual_seed(0)
    tune.train(state, source, y, np.arange(len(y)), recipe, SEED, sqrt=recipe.image, after_step=after_step, after_epoch=after_epoch)
    return state


def weights_of(state: tune.State) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in state.network.state_dict().items()}


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], part: str = "") -> float:
    """Squared distance of all weights whose name contains `part`."""
    return sum(float(((after[k] - v).float() ** 2).sum()) for k, v in before.items() if part in k)


def trial_of(difference: float, rows: int = 400, without: float = 0.8, half: float = 0.02) -> Trial:
    """One of tuning or aligning that was never run; `half`: of its 95 % interval."""
    return Trial(rows, without, without + difference, difference - half, difference + half, 4.0, rows * 8)


def seen_of(x: Matrix, y: Ints, backbone: Any = None, features: Sequence[Floats] = (), usual: Matrix | None = None) -> Survey:
    """Labelled rows that were looked at, without the inputs that they came from."""
    rows = Rows(cast("Any", None), y, np.zeros_like(y), np.arange(len(y)))
    return Survey(backbone, rows, x.astype(np.float32), x, 0.0, 0.0, dict(enumerate(features)), usual)


def looked_at(backbone: Backbone, features: Sequence[Floats], y: Ints) -> Survey:
    """These activations as `look` has them."""
    background = load_file(backbone.folder / "background.safetensors")["embeddings"]
    x = transform(embed(backbone.tail, features), backbone.kind, center_of(background, backbone.kind))
    return seen_of(x, y, backbone, features, usual_scale(background, backbone.kind))
