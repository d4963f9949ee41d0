"""Losses, schedules and estimators beside what their papers write, transcribed term by term, or beside torch and scikit-learn, on random inputs."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from engine import calibration, step, tune
from engine.label_noise import find_label_issues
from engine.losses.alignment import Adapted
from engine.losses.contrastive import TEMPERATURE, Pairs, SupervisedContrastive
from engine.losses.coral import coral_loss
from engine.losses.cross_entropy import CrossEntropy
from engine.losses.dann import Critic, dann_loss, strength_at
from engine.losses.mmd import WIDTHS, mmd_loss
from engine.multi_task import Uncertainties, paired_interval
from engine.objective import Batch
from engine.recipe import recipe_of
from engine.schedule import class_weight, rate
from engine.validators import information_maximisation

from .small import LABELS, begin, cached

CPU = torch.device("cpu")


def random_rows(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch_of(target: Tensor, **more: Any) -> Batch:
    given = {"class_weight": torch.ones(int(target.max()) + 1), "place": 0.5, "epoch": 0, "probing": False, "label_smoothing": 0.0, **more}
    return Batch(target=target, row=np.arange(len(target)), **given)


def test_deep_coral_is_the_papers_covariances() -> None:
    """Sun & Saenko 2016, eq. 1 to 3: C = (DᵀD − (1ᵀD)ᵀ(1ᵀD) / n) / (n − 1)."""
    source, target = random_rows(9, 5, 1), random_rows(14, 5, 2) * 1.7 + 0.3

    def c(d: Tensor) -> Tensor:
        total = d.sum(dim=0, keepdim=True)
        return (d.T @ d - total.T @ total / len(d)) / (len(d) - 1)

    torch.testing.assert_close(coral_loss(source, target), torch.linalg.norm(c(source) - c(target)) ** 2 / (4 * 25))


def test_mmd_is_the_sum_over_pairs() -> None:
    """Gretton et al. 2012, eq. 5, with the mean of Gaussian kernels whose widths are multiples of the mean squared distance of two rows."""
    source, target = random_rows(6, 4, 3), random_rows(9, 4, 4) + 0.5
    both = torch.cat([source, target])
    pairs = [float((both[i] - both[j]) @ (both[i] - both[j])) for i in range(15) for j in range(15) if i != j]
    sigma = sum(pairs) / len(pairs)

    def mean_kernel(a: Tensor, b: Tensor) -> float:
        each = [sum(math.exp(-float((p - q) @ (p - q)) / (w * sigma)) for w in WIDTHS) / len(WIDTHS) for p in a for q in b]
        return sum(each) / len(each)

    expected = mean_kernel(source, source) + mean_kernel(target, target) - 2 * mean_kernel(source, target)
    assert float(mmd_loss(source, target)) == pytest.approx(expected, rel=1e-9)


def test_the_strength_of_reversal_and_the_gradient_that_features_receive() -> None:
    """Ganin et al. 2016, eq. 14 and 18: λ_p = 2 / (1 + e^{−10 p}) − 1; features descend −λ times what the critic descends."""
    assert [strength_at(p) for p in (0.0, 0.1, 0.5)] == pytest.approx([0.0, 2 / (1 + math.exp(-1)) - 1, 2 / (1 + math.exp(-5)) - 1])
    critic = Critic(4, torch.Generator().manual_seed(0))
    source, target = (random_rows(n, 4, n).float().requires_grad_() for n in (7, 11))
    said = torch.cat([critic(source), critic(target)])
    # Each domain weighs the same, however many rows it has.
    weight = torch.cat([torch.full((7,), 1 / 14), torch.full((11,), 1 / 22)])
    plain = (weight * F.binary_cross_entropy_with_logits(said, torch.cat([torch.zeros(7), torch.ones(11)]), reduction="none")).sum()
    theirs = torch.autograd.grad(plain, [source, target, *critic.parameters()])
    loss = dann_loss(critic, source, target, 0.3)
    torch.testing.assert_close(loss, plain)
    ours = torch.autograd.grad(loss, [source, target, *critic.parameters()])
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        torch.testing.assert_close(a, -0.3 * b if i < 2 else b)


def test_supervised_contrastive_is_l_out_over_every_anchor() -> None:
    """Khosla et al. 2020, eq. 2."""
    z, y = F.normalize(random_rows(10, 6, 5), dim=1), torch.tensor([0, 0, 1, 2, 1, 0, 2, 2, 1, 0])
    total = 0.0
    for i in range(10):
        others = [a for a in range(10) if a != i]
        below = sum(math.exp(float(z[i] @ z[a]) / TEMPERATURE) for a in others)
        positive = [p for p in others if y[p] == y[i]]
        total -= sum(math.log(math.exp(float(z[i] @ z[p]) / TEMPERATURE) / below) for p in positive) / len(positive)
    assert float(SupervisedContrastive().loss(batch_of(y), 3 * z, z)) == pytest.approx(total / 10, rel=1e-9)


def test_pairs_are_sentence_transformers_cosine_similarity_loss() -> None:
    """Reimers & Gurevych 2019: the mean squared error between the cosine and 1 for two rows of a class, 0 for others."""
    x, y = random_rows(8, 5, 6), torch.tensor([0, 1, 2, 0, 0, 2, 2, 1])
    cosine = [float(x[i] @ x[i + 4] / x[i].norm() / x[i + 4].norm()) for i in range(4)]
    expected = np.mean([(c - float(y[i] == y[i + 4])) ** 2 for i, c in enumerate(cosine)])
    assert float(Pairs().loss(batch_of(y), x, x)) == pytest.approx(float(expected), rel=1e-9)


def test_cross_entropy_with_weights_smoothing_and_mixup_row_by_row() -> None:
    """Szegedy et al. 2016, eq. 7 (the other labels share ε evenly, and each term counts its own label's weight) and Zhang et al. 2018."""
    logits, a, b = random_rows(7, 3, 7), torch.tensor([0, 1, 2, 2, 1, 0, 2]), torch.tensor([2, 1, 0, 1, 0, 2, 2])
    weight, smooth, share = torch.tensor([0.5, 2.0, 1.5], dtype=torch.float64), 0.1, 0.7

    def against(target: Tensor) -> float:
        p = logits.softmax(dim=1)
        rows = []
        for i, c in enumerate(target.tolist()):
            q = [(1 - smooth) * float(c == k) + smooth / 3 for k in range(3)]
            rows.append(-sum(q[k] * float(weight[k]) * math.log(float(p[i, k])) for k in range(3)))
        return sum(rows) / float(weight[target].sum())

    given = batch_of(a, class_weight=weight, label_smoothing=smooth, other=b, share=share)
    assert float(CrossEntropy().loss(given, logits, logits)) == pytest.approx(share * against(a) + (1 - share) * against(b), rel=1e-9)


def test_without_a_target_an_adapted_loss_is_weighted_cross_entropy() -> None:
    logits, y, weight = random_rows(9, 3, 8), torch.arange(9) % 3, torch.tensor([0.5, 2.0, 1.5], dtype=torch.float64)
    criterion = Adapted(np.zeros(9, dtype=bool), None, 0.0)
    expected = F.cross_entropy(logits, y, weight=weight)
    torch.testing.assert_close(criterion.loss(batch_of(y, class_weight=weight), logits, logits), expected)


def test_tasks_weigh_by_the_likelihood_of_kendall() -> None:
    """Kendall, Gal & Cipolla 2018, eq. 10: L_t / σ_t² + log σ_t, with s_t = log σ_t²."""
    weights = Uncertainties(3)
    with torch.no_grad():
        weights.log_variance.copy_(torch.tensor([0.4, -0.7, 1.2]))
    sigma = [math.exp(s / 2) for s in (0.4, -0.7, 1.2)]
    expected = 1.3 / sigma[0] ** 2 + math.log(sigma[0]) + 0.2 / sigma[2] ** 2 + math.log(sigma[2])
    assert float(weights.total({0: torch.tensor(1.3), 2: torch.tensor(0.2)}).detach()) == pytest.approx(expected, rel=1e-6)


def test_l2_sp_adds_half_its_weight_times_the_squared_distance_from_the_start() -> None:
    """Li et al. 2018, eq. 3, over what learns; and AdamW pulls nothing towards zero beside it."""
    source, y = cached(False)
    state, recipe = begin("fine_tune", "text", {"l2_sp": 0.3, "label_smoothing": 0.0, "last_blocks": 1})
    assert all(group["weight_decay"] == 0 for group in state.optimiser.param_groups)
    moved = [p for name, p in state.network.named_parameters() if name.startswith("tail.layers.5.")]
    for p in state.network.parameters():
        p.requires_grad_(False)
    with torch.no_grad():
        for p in moved:
            p.requires_grad_(True)
            p.add_(0.01)
    rows = np.arange(6)

    def loss(anchor: dict[str, Tensor]) -> float:
        state.anchor = anchor
        given = (state, source, y, rows, np.zeros(6, dtype=np.int64), recipe, torch.ones(LABELS), 0.5, False, tune.seeded("s"))
        return float(step.step_loss(*given).detach())

    distance = sum(1e-4 * p.numel() for p in moved)
    assert loss(state.anchor) - loss({}) == pytest.approx(0.15 * distance, rel=2e-2)


def test_the_rate_is_torchs_warm_up_and_cosine() -> None:
    """LinearLR, then CosineAnnealingLR (Loshchilov & Hutter 2017, without restarts); step k of n is at k / n."""
    recipe, n, warm = recipe_of("fine_tune", {"warmup": 0.2}, "text"), 50, 10
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    up = LinearLR(optimiser, start_factor=1 / (warm + 1), total_iters=warm)
    schedule = SequentialLR(optimiser, [up, CosineAnnealingLR(optimiser, n - warm)], [warm])
    theirs = []
    for _ in range(n):
        theirs.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert [rate(recipe, k / n, 1 / n) for k in range(n)] == pytest.approx(theirs, abs=1e-9)


def test_class_weights_are_scikit_learns() -> None:
    y = np.random.default_rng(9).choice(5, 60, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    ours = class_weight(recipe_of("fine_tune", {}, "text"), y, 5, CPU)
    np.testing.assert_allclose(ours.numpy(), compute_class_weight("balanced", classes=np.arange(5), y=y), rtol=1e-6)


def test_the_noise_share_has_the_greatest_likelihood_of_all() -> None:
    """Lawrence & Schölkopf 2001 with one share e for all classes: Σ log((1 − e) p_y + e (1 − p_y) / (k − 1)), on a finer grid."""
    random = np.random.default_rng(10)
    truth = np.arange(240) % 4
    y = np.where(random.random(240) < 0.15, (truth + random.integers(1, 4, 240)) % 4, truth)
    scores = 2.0 * np.eye(4)[truth] + random.normal(size=(240, 4))
    best, share = -np.inf, 0.0
    for temperature in np.geomspace(0.01, 5, 150):
        p = calibration.softmax(scores, float(temperature))[np.arange(240), y]
        for e in np.linspace(0, 0.6, 301):
            value = float(np.log((1 - e) * p + e * (1 - p) / 3).sum())
            if value > best:
                best, share = value, float(e)
    assert find_label_issues(scores, y).share == pytest.approx(share, rel=0.1)


def test_losses_of_calibration_are_scikit_learns() -> None:
    random = np.random.default_rng(11)
    scores, y = random.normal(size=(30, 4)), random.integers(0, 4, 30)
    theirs = sklearn_log_loss(y, calibration.softmax(scores, 0.3), labels=range(4), normalize=False)
    assert calibration.log_loss(scores, y, 0.3) == pytest.approx(theirs)
    present = random.integers(0, 2, size=(30, 4))
    p = calibration.sigmoid(scores, 0.7)
    theirs = sum(sklearn_log_loss(present[:, c], p[:, c], labels=[0, 1], normalize=False) for c in range(4))
    assert calibration.log_loss(scores, present, 0.7) == pytest.approx(theirs)


def test_many_rows_find_the_temperature_that_made_their_labels() -> None:
    random = np.random.default_rng(12)
    scores = random.normal(size=(20_000, 5))
    y = (calibration.softmax(scores, 0.6).cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    assert calibration.fit_temperature(scores, y) == pytest.approx(0.6, rel=0.03)


def test_the_paired_interval_is_the_exact_one_of_resampling() -> None:
    """Of n rows that differ by −1, 0 or 1 the resampled sum is multinomial: its quantiles can be had without drawing."""
    n, gained, lost = 40, 9, 3
    ours = np.array([True] * gained + [False] * (n - gained))
    theirs = np.array([False] * gained + [True] * lost + [False] * (n - gained - lost))
    sums = np.zeros(2 * n + 1)
    sums[n] = 1.0
    for _ in range(n):
        sums = gained / n * np.roll(sums, 1) + lost / n * np.roll(sums, -1) + (1 - (gained + lost) / n) * sums
    exact = [int(np.searchsorted(sums.cumsum(), q)) - n for q in (0.025, 0.975)]
    assert paired_interval(ours, theirs, 1) == pytest.approx([e / n for e in exact], abs=1.01 / n)


def test_information_maximisation_is_the_mutual_information_of_row_and_label() -> None:
    """Shi & Sha 2012, eq. 5: Σ p(row, label) log( p(row, label) / p(row) p(label) )."""
    p = calibration.softmax(np.random.default_rng(13).normal(size=(12, 4)), 0.5)
    joint = p / 12
    expected = float((joint * np.log(joint / (1 / 12) / joint.sum(axis=0))).sum())
    assert information_maximisation(p) == pytest.approx(expected, abs=1e-9)
