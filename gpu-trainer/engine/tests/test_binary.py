"""Binary cross-entropy on the cosine classifier: its formula, targets after mixup and smoothing, and that the loop learns several labels by it."""

import numpy as np
import torch

from engine import tune
from engine.losses.binary import BinaryCrossEntropy, of_rows
from engine.network import load_network
from engine.objective import Batch
from engine.recipe import recipe_of
from engine.schedule import class_weight, set_aside
from engine.source import Cached

from .conftest import BACKBONES
from .small import CPU, SEED, go

TARGET = torch.tensor([[1, 0], [0, 1], [0, 0]])
LOGITS = torch.tensor([[0.3, -1.0], [0.2, 0.7], [-0.4, 0.1]])


def loss_of(criterion: BinaryCrossEntropy, smoothing: float = 0.0, other: torch.Tensor | None = None, share: float = 1.0) -> float:
    weight = torch.tensor([2.0, 3.0])
    batch = Batch(TARGET, np.arange(3), weight, 0.0, 0, probing=False, label_smoothing=smoothing, other=other, share=share)
    return float(criterion.loss(batch, LOGITS, LOGITS).detach())


def by_hand(y: np.ndarray, bias: np.ndarray) -> float:
    z = LOGITS.numpy().astype(np.float64) + bias
    return float((np.array([2.0, 3.0]) * y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)).sum() / 3)


def test_the_formula_with_smoothing_and_mixup() -> None:
    shares = np.array([0.25, 0.5])
    criterion = BinaryCrossEntropy(shares)
    bias, y = np.log(shares / (1 - shares)), TARGET.numpy().astype(np.float64)
    assert abs(loss_of(criterion) - by_hand(y, bias)) < 1e-6
    assert abs(loss_of(criterion, 0.2) - by_hand(0.8 * y + 0.2 * shares, bias)) < 1e-6
    mixed = 0.7 * y + 0.3 * y[[1, 2, 0]]
    assert abs(loss_of(criterion, other=TARGET[[1, 2, 0]], share=0.7) - by_hand(mixed, bias)) < 1e-6


def test_rare_labels_count_more_where_they_are_there() -> None:
    y = np.zeros((100, 3), dtype=np.int64)
    y[:50, 0], y[:4, 1] = 1, 1
    recipe = recipe_of("fine_tune", {}, "text", several=True)
    np.testing.assert_allclose(class_weight(recipe, y, 3, CPU).numpy(), [1, np.sqrt(96 / 4), 1], rtol=1e-6)
    none = recipe_of("fine_tune", {"class_weights": "none"}, "text", several=True)
    assert class_weight(none, y, 3, CPU).tolist() == [1, 1, 1]


def test_rows_set_aside_have_rare_labels_too() -> None:
    y = np.ones((40, 2), dtype=np.int64)
    y[:, 1] = np.arange(40) % 5 == 0
    aside = set_aside(y)
    # Eight rows have the rare label, one of them is the fifth; every fifth row of all would be none of them.
    assert aside.sum() == 7 and y[aside][:, 1].sum() == 1


def tagged(rows: int = 24) -> tuple[Cached, np.ndarray]:
    """Made-up activations of texts: the sum of the means of the labels that a row has."""
    random = np.random.default_rng(5)
    y = np.array([[i % 2, i // 2 % 2, i // 4 % 2] for i in range(rows)], dtype=np.int64)
    means = random.normal(size=(3, 384))
    return Cached([[(own @ means + random.normal(size=(1, 3 + i % 3, 384))).astype(np.float32)] for i, own in enumerate(y)]), y


def test_the_loop_learns_and_stops_early_by_the_rows_set_aside() -> None:
    source, y = tagged()
    options = {"epochs": 6, "batch_size": 8, "learning_rate": 5e-4, "early_stopping": 2, "probe_epochs": 1}
    recipe = recipe_of("fine_tune", options, "text", several=True)
    network = load_network(BACKBONES / "all-minilm-l6-v2" / "weights.safetensors", False, whole=False, random=None)
    before = of_rows(y).bias.detach().clone()
    state = go(tune.start(network, of_rows(y), 3, recipe, SEED, CPU), recipe, source, y)
    assert state.losses[-1] < state.losses[0]
    assert len(state.aside_losses) == len(state.losses)
    assert isinstance(state.criterion, BinaryCrossEntropy) and (state.criterion.bias != before).all()
