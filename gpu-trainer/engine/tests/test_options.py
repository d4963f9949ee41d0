"""Every option of fine_tune does to the weights what its paper says."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine import step, tune
from engine.network import OWN_DIMENSION
from engine.recipe import recipe_of
from engine.schedule import class_weight, rate, set_aside
from engine.stages import remarks
from engine.wire import EngineError

from .small import LABELS, begin, cached, go, moved, weights_of

TEXT = {"epochs": 4, "batch_size": 8, "learning_rate": 5e-4}
LOWER, UPPER = "tail.layers.4.", "tail.layers.5."


def trained(**options: Any) -> tuple[dict[str, torch.Tensor], tune.State]:
    state, recipe = begin("fine_tune", "text", {**TEXT, **options})
    before = weights_of(state)
    return before, go(state, recipe, *cached(False))


def test_l2_sp_keeps_the_weights_near_the_start() -> None:
    free, held = (moved(before, weights_of(state)) for before, state in (trained(), trained(l2_sp=1.0)))
    assert 0 < held < free / 2


def test_last_blocks_leaves_the_lower_block_as_it_was() -> None:
    before, state = trained(last_blocks=1)
    assert moved(before, weights_of(state), LOWER) == 0
    assert moved(before, weights_of(state), UPPER) > 0


def test_layer_decay_moves_the_lower_block_less() -> None:
    before, flat = trained()
    _, steep = trained(layer_decay=0.1)
    share = [moved(before, weights_of(s), LOWER) / moved(before, weights_of(s), UPPER) for s in (flat, steep)]
    assert share[1] < 0.1 * share[0]


def test_gradual_unfreezing_frees_the_top_first() -> None:
    state, recipe = begin("fine_tune", "text", {**TEXT, "gradual_unfreezing": True})
    before, seen = weights_of(state), []
    go(state, recipe, *cached(False), after_epoch=lambda s: seen.append((moved(before, weights_of(s), LOWER), moved(before, weights_of(s), UPPER))))
    assert seen[0][0] == 0 and seen[0][1] > 0
    assert seen[-1][0] > 0


def test_the_head_learns_alone_while_probing() -> None:
    state, recipe = begin("fine_tune", "text", {**TEXT, "probe_epochs": 2})
    before, head, seen = weights_of(state), state.classifier.detach().clone(), []
    go(
        state,
        recipe,
        *cached(False),
        after_epoch=lambda s: seen.append((moved(before, weights_of(s)), float((s.classifier.detach() - head).abs().sum()))),
    )
    assert [network == 0 for network, _ in seen] == [True, True, False, False]
    assert seen[0][1] > 0


def test_ema_is_the_average_of_the_weights_after_each_step() -> None:
    state, recipe = begin("fine_tune", "text", {**TEXT, "epochs": 2, "ema": 0.5})
    name = f"{UPPER}up.weight"
    expected, t = weights_of(state)[name].double(), 0

    def note(s: tune.State, *_: Any) -> None:
        nonlocal expected, t
        t += 1
        d = min(0.5, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * weights_of(s)[name].double()

    go(state, recipe, *cached(False), after_step=note)
    served = tune.served(state).state_dict()[name]
    torch.testing.assert_close(served.double(), expected, atol=1e-6, rtol=0)
    assert float((served - weights_of(state)[name]).abs().max()) > 1e-5


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    recipe = recipe_of("fine_tune", {"warmup": 0.2}, "text")
    course = [rate(recipe, k / 100, 0.01) for k in range(100)]
    assert 0 < course[0] < 0.06
    assert max(course) == pytest.approx(1) and course.index(max(course)) == 20
    assert course[20:] == sorted(course[20:], reverse=True) and course[-1] < 0.001


def test_early_stopping_ends_and_keeps_the_best() -> None:
    source, y = cached(False, rows=30)
    noise = np.random.default_rng(1).permutation(y)
    state, recipe = begin("fine_tune", "text", {**TEXT, "epochs": 30, "early_stopping": 2})
    go(state, recipe, source, noise)
    assert len(state.losses) < 30
    best = int(np.argmin(state.aside_losses))
    assert len(state.aside_losses) - 1 - best == 2
    rows = np.flatnonzero(set_aside(noise))
    embedding = torch.from_numpy(tune.embed_torch(state, source, rows.tolist()))
    # The weights served are not the last ones.
    last = state.network.eval()(*source.batch(rows.tolist(), [0] * len(rows), torch.device("cpu"))).detach()
    assert float((embedding - last).abs().max()) > 1e-4


def test_early_stopping_without_rows_to_watch_is_told() -> None:
    """Four rows of each class: none is set aside, and every epoch is trained."""
    state, recipe = begin("fine_tune", "text", {**TEXT, "epochs": 2, "early_stopping": 1})
    go(state, recipe, *cached(False, rows=4 * LABELS))
    assert len(state.losses) == 2 and not state.aside_losses
    assert [note for note in remarks(state, recipe) if "early_stopping" in note and "five" in note]
    state, recipe = begin("fine_tune", "text", {**TEXT, "epochs": 2, "early_stopping": 1})
    assert remarks(go(state, recipe, *cached(False, rows=5 * LABELS)), recipe) == []


def test_class_weights_balance_or_do_not() -> None:
    y = np.array([0] * 9 + [1] * 3)
    cpu = torch.device("cpu")
    balanced = class_weight(recipe_of("fine_tune", {}, "text"), y, LABELS, cpu)
    assert balanced[:2].tolist() == pytest.approx([12 / 18, 2.0]) and balanced[2] == 0
    assert class_weight(recipe_of("fine_tune", {"class_weights": "none"}, "text"), y, LABELS, cpu).tolist() == [1, 1, 1]


def test_label_smoothing_leaves_a_loss_that_certainty_does_not() -> None:
    _, sharp = trained(label_smoothing=0.0, epochs=8)
    _, smooth = trained(label_smoothing=0.3, epochs=8)
    least = -(0.8 * math.log(0.8) + 2 * 0.1 * math.log(0.1))
    assert smooth.losses[-1] >= least > sharp.losses[-1]


def test_mixup_mixes_pictures_and_labels() -> None:
    source, y = cached(True)
    rows, draws, cpu = np.arange(6), np.zeros(6, dtype=np.int64), torch.device("cpu")
    inputs = source.batch(rows.tolist(), draws.tolist(), cpu)
    share, order = step.mixing(6, 1.0, tune.seeded("m"))
    mixed = step.mixed(source, rows, draws, rows, share, order, cpu)
    part = step.mixed(source, rows, draws, np.array([1, 4]), share, order, cpu)
    assert torch.equal(part[0], mixed[0][[1, 4]])
    assert 0 < share < 1
    partner = [
        int(np.flatnonzero([torch.allclose(m, share * a + (1 - share) * b, atol=1e-5) for b in inputs[0]])[0])
        for m, a in zip(mixed[0], inputs[0], strict=True)
    ]
    assert sorted(partner) == list(range(6)) and partner == order.tolist()
    losses = []
    for alpha in (0.0, 1.0):
        state, recipe = begin("fine_tune", "image", {"epochs": 4, "batch_size": 8, "label_smoothing": 0.0, "mixup": alpha})
        losses.append(go(state, recipe, source, y).losses[-1])
    assert losses[1] > losses[0]


@pytest.mark.parametrize(("method", "modality"), [("contrastive", "text"), ("contrastive", "image")])
def test_contrastive_pulls_classes_apart(method: str, modality: str) -> None:
    source, y = cached(modality == "image")
    state, recipe = begin(method, modality, {"epochs": 3, "batch_size": 16})

    def separation() -> float:
        z = F.normalize(torch.from_numpy(tune.embed_torch(state, source))[:, : OWN_DIMENSION[modality]], dim=1)
        same = torch.from_numpy(y[:, None] == y[None, :])
        own = torch.eye(len(y), dtype=torch.bool)
        return float((z @ z.T)[same & ~own].mean() - (z @ z.T)[~same].mean())

    before, classifier = separation(), state.classifier.detach().clone()
    go(state, recipe, source, y)
    assert separation() > before + 0.1
    assert torch.equal(state.classifier, classifier)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_contrastive_stops_by_the_embedding_that_it_trains(modality: str) -> None:
    """Its classifier learns nothing: a loss of that one would choose the epoch by chance."""
    source, y = cached(modality == "image", rows=45)
    losses = []
    for draw in range(2):
        state, recipe = begin("contrastive", modality, {"epochs": 3, "batch_size": 8, "early_stopping": 3})
        with torch.no_grad():
            state.classifier.copy_(torch.randn(state.classifier.shape, generator=tune.seeded("classifier", draw)))
        losses.append(go(state, recipe, source, y).aside_losses)
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3 and losses[0][-1] < losses[0][0]


def test_pairs_are_one_of_the_own_and_one_of_another_class() -> None:
    state, _ = begin("contrastive", "text", {})
    y = np.arange(12) % LABELS
    batches = state.criterion.batches(y, 8, tune.seeded("p"), np.arange(12))
    left = [i for b in batches for i in b[: len(b) // 2]]
    right = [i for b in batches for i in b[len(b) // 2 :]]
    assert sorted(left) == sorted([*range(12)] * 2)
    assert sum(y[a] == y[b] for a, b in zip(left, right, strict=True)) == 12
    assert all(a != b for a, b in zip(left, right, strict=True))


def test_a_loss_that_is_no_number_ends_the_training_by_name() -> None:
    state, recipe = begin("fine_tune", "text", {**TEXT, "learning_rate": 0.5})
    steps: list[int] = []

    def explode(s: tune.State, step: int, *_: Any) -> None:
        steps.append(step)
        if step == 1:
            with torch.no_grad():
                s.network.get_parameter(f"{UPPER}up.weight").fill_(math.inf)

    with pytest.raises(EngineError, match=r"method\.learning_rate: the loss of epoch 1 is not a number .* 0\.5") as raised:
        go(state, recipe, *cached(False), after_step=explode)
    assert (raised.value.code, raised.value.blame, raised.value.retryable) == ("training_diverged", "caller", False)
    # Not one step further, and nothing that is no number was said as progress: JSON has no word for it.
    assert steps == [0, 1]
