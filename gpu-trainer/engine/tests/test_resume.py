"""Training that stops anywhere ends where it would have ended: inside an epoch, with averages, early stopping, mixup and a loss of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import tune
from engine.checkpoint import load_state, restore, save_state
from engine.wire import Stopped

from .small import begin, cached, go, weights_of

EVERYTHING: dict[str, Any] = {
    "epochs": 5,
    "batch_size": 8,
    "ema": 0.9,
    "early_stopping": 2,
    "gradual_unfreezing": True,
    "probe_epochs": 1,
    "l2_sp": 0.01,
    "warmup": 0.2,
    "layer_decay": 0.5,
}


@pytest.mark.parametrize("at", [2, 5, 9, 12])
@pytest.mark.parametrize(
    ("method", "modality", "options"),
    [("fine_tune", "image", {**EVERYTHING, "mixup": 0.4}), ("contrastive", "text", {"epochs": 3, "batch_size": 8, "ema": 0.9})],
)
def test_a_stopped_run_ends_like_an_unstopped_one(method: str, modality: str, options: dict[str, Any], at: int, tmp_path: Path) -> None:
    source, y = cached(modality == "image")
    state, recipe = begin(method, modality, options)
    whole = go(state, recipe, source, y)

    def stop(s: tune.State, *_: Any) -> None:
        if s.updates == at:
            save_state(tmp_path / "c.safetensors", s, {}, {})
            raise Stopped

    state, recipe = begin(method, modality, options)
    with pytest.raises(Stopped):
        go(state, recipe, source, y, after_step=stop)
    resumed, recipe = begin(method, modality, options)
    restore(resumed, *load_state(tmp_path / "c.safetensors"))
    assert resumed.updates == at
    go(resumed, recipe, source, y)
    np.testing.assert_allclose(resumed.losses, whole.losses, atol=1e-5)
    np.testing.assert_allclose(resumed.aside_losses, whole.aside_losses, atol=1e-5)
    for one, other in ((weights_of(resumed), weights_of(whole)), (resumed.average, whole.average), (resumed.best, whole.best)):
        assert one.keys() == other.keys()
        for name, value in one.items():
            torch.testing.assert_close(value, other[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("method", "modality"), [("fine_tune", "text"), ("contrastive", "text"), ("contrastive", "image")])
def test_half_the_batch_when_memory_runs_out(method: str, modality: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 8 rows fit at a time. The classes are uneven, so that an unweighted mean of the pieces would show."""
    source, y = cached(modality == "image")
    among = (method, modality) == ("contrastive", "image")  # each row beside every other one of its piece
    y = y if among else np.where(np.arange(len(y)) % 4 == 0, 0, y)
    options = {"epochs": 2, "batch_size": 24}
    state, recipe = begin(method, modality, options)
    roomy = go(state, recipe, source, y)
    state, recipe = begin(method, modality, options)
    forward, sizes = state.network.forward, []

    def narrow(x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        if len(x) > 8:
            raise torch.OutOfMemoryError
        return forward(x, *rest)

    monkeypatch.setattr(state.network, "forward", narrow)
    go(state, recipe, source, y)
    assert state.pieces == 4 and sizes[:2] == [24, 12]
    assert len(state.losses) == 2
    if not among:
        np.testing.assert_allclose(state.losses, roomy.losses, rtol=1e-4)


def test_one_row_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    state, recipe = begin("fine_tune", "text", {"epochs": 1})

    def never(*_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(state.network, "forward", never)
    with pytest.raises(torch.OutOfMemoryError):
        go(state, recipe, *cached(False))
