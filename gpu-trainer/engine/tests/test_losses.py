"""Domain losses and validators: where they must be zero, which way they push, and that AdaBN lands on the target's statistics."""

import tracemalloc
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.adabn import set_statistics
from engine.efficientnet import ImageTail
from engine.losses.alignment import Adapted
from engine.losses.coral import coral_loss, covariance
from engine.losses.dann import Critic, dann_loss, reverse_gradient, strength_at
from engine.losses.mmd import mmd_loss
from engine.objective import Batch
from engine.validators import information_maximisation, soft_neighbourhood_density

from .small import begin, cached, go


def rows(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def slope(x: torch.Tensor) -> torch.Tensor:
    assert x.grad is not None
    return x.grad


def test_coral_is_zero_for_equal_covariances_and_by_its_formula_otherwise() -> None:
    x = rows(50, 6, 0)
    assert float(coral_loss(x, x.flip(0) + 3.0)) < 1e-10
    # Covariances C and 4 C: ‖3 C‖² / 4 d².
    expected = 9 * float(covariance(x).square().sum()) / (4 * 36)
    assert abs(float(coral_loss(x, 2 * x)) - expected) < 1e-4 * expected
    np.testing.assert_allclose(covariance(x).numpy(), np.cov(x.numpy().T), atol=1e-5)


def test_mmd_is_zero_for_the_same_sample_and_grows_with_the_distance() -> None:
    x, y = rows(40, 5, 1), rows(40, 5, 2)
    assert abs(float(mmd_loss(x, x.flip(0)))) < 1e-6
    near, far = float(mmd_loss(x, y + 0.5)), float(mmd_loss(x, y + 2.0))
    assert 0 < float(mmd_loss(x, y)) < near < far


def test_each_loss_brings_two_domains_together_by_descent() -> None:
    for loss in (coral_loss, mmd_loss):
        source, target = rows(64, 4, 3), rows(64, 4, 4) * 2 + 1
        scale, shift = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))
        optimiser = torch.optim.Adam([scale, shift], lr=0.05)
        before = float(loss(source, target).detach())
        for _ in range(200):
            value = loss(source * scale + shift, target)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        assert float(value.detach()) < before / 4


def test_gradient_reversal_turns_the_sign_for_features_and_not_for_the_critic() -> None:
    x = torch.ones(3, requires_grad=True)
    (reverse_gradient(x, 0.25) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    np.testing.assert_allclose(slope(x), [-0.25, -0.5, -0.75])

    critic = Critic(4, torch.Generator().manual_seed(0))
    source, target = rows(32, 4, 5).requires_grad_(), (rows(32, 4, 6) + 2).requires_grad_()
    loss = dann_loss(critic, source, target, 1.0)
    loss.backward()
    with torch.no_grad():
        confused = dann_loss(critic, source - 0.1 * slope(source) * 32, target - 0.1 * slope(target) * 32, 1.0)
        for p in critic.parameters():
            p -= 0.1 * slope(p)
        learnt = dann_loss(critic, source, target, 1.0)
    assert float(confused) > float(loss.detach()) > float(learnt)


def test_the_schedule_begins_at_nothing_and_ends_near_its_full_strength() -> None:
    assert strength_at(0.0) == 0.0
    assert abs(strength_at(1.0, 2.0) - 2.0) < 1e-3
    assert strength_at(0.1) < strength_at(0.2)


def test_adabn_gives_every_layer_the_moments_of_its_own_input_whatever_the_batches() -> None:
    torch.manual_seed(0)
    tail, other = ImageTail().eval(), ImageTail().eval()
    other.load_state_dict(tail.state_dict())
    x = torch.randn(12, 192, 7, 7) * 3 + 1
    set_statistics(tail, [x])
    set_statistics(other, [x[:5], x[5:]])
    for name, value in tail.state_dict().items():
        np.testing.assert_allclose(value.double(), other.state_dict()[name].double(), rtol=1e-3, atol=1e-5)
    layer = tail._bn1
    with torch.no_grad():
        below = x
        for block in tail._blocks.values():
            below = block(below)
        out = layer(tail._conv_head(below))
    mean, variance = out.mean(dim=(0, 2, 3)), out.var(dim=(0, 2, 3))
    assert layer.running_var is not None
    np.testing.assert_allclose(mean, np.zeros(1280), atol=1e-3)
    # 1 − ε/σ²: the layer's own ε counts where the variance is small.
    np.testing.assert_allclose(variance, (layer.running_var / (layer.running_var + layer.eps)).numpy(), rtol=1e-2)


def test_statistics_before_count_as_so_many_rows() -> None:
    layer = nn.BatchNorm2d(2)
    set_statistics(layer, [torch.full((10, 2, 3, 3), 4.0)], prior_rows=30)
    np.testing.assert_allclose(layer.state_dict()["running_mean"], [1.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(layer.state_dict()["running_var"], [0.75, 0.75], rtol=1e-6)


def test_validators_prefer_sure_and_varied_predictions() -> None:
    sure = np.eye(3)[np.arange(30) % 3]
    collapsed = np.eye(3)[np.zeros(30, dtype=int)]
    unsure = np.full((30, 3), 1 / 3)
    assert abs(information_maximisation(sure) - np.log(3)) < 1e-6
    assert abs(information_maximisation(collapsed)) < 1e-6
    assert abs(information_maximisation(unsure)) < 1e-6
    # Nine equal neighbours each: ln 9. Scattered rows have fewer.
    assert abs(soft_neighbourhood_density(sure) - np.log(9)) < 1e-3
    scattered = np.random.default_rng(0).dirichlet(np.ones(8) * 0.2, 30)
    assert soft_neighbourhood_density(scattered) < soft_neighbourhood_density(sure)


def test_the_density_of_a_large_target_fits_into_memory() -> None:
    """Every row beside every other would be 0.5 GB a matrix here, and 20 GB for 50,000 rows."""
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(5), size=8_000)
    tracemalloc.start()
    of_all = soft_neighbourhood_density(p)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e8
    assert abs(of_all - soft_neighbourhood_density(p[:2_000])) < 0.2


def test_few_rows_of_a_target_are_half_of_each_batch_also_where_rows_are_set_aside() -> None:
    source, y = cached(False, rows=60)
    near: Any = np.arange(60) >= 50
    seen: list[float] = []

    class Watched(Adapted):
        def loss(self, batch: Batch, embedding: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            seen.append(float(near[batch.row].mean()))
            return super().loss(batch, embedding, logits)

    for early_stopping in (0, 2):
        state, recipe = begin("fine_tune", "text", {"epochs": 1, "batch_size": 8, "early_stopping": early_stopping})
        state.criterion = Watched(near, None, 0.0)
        go(state, recipe, source, y)
        assert len(seen) > 8 and set(seen) == {0.5}
        seen.clear()
