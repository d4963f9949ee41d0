"""Mappings into the space of label texts: a planted one is found again on labels never trained on."""

import numpy as np
import pytest

from engine import zero_shot
from engine.heads import Ints, Matrix, unit

SEEN, UNSEEN, PER, D, A = 14, 4, 12, 30, 8


def planted(noise: float, seed: int = 0, draw: int = 0, a: int = A) -> tuple[Matrix, Ints, Matrix]:
    """Rows x = P s_y + noise: 18 labels with signatures in `a` dimensions, features in 30. `draw`: other rows of the same labels."""
    random = np.random.default_rng(seed)
    signatures = unit(random.normal(size=(SEEN + UNSEEN, a)))
    mapping = random.normal(size=(a, D)) / np.sqrt(D)
    y = np.repeat(np.arange(SEEN + UNSEEN), PER)
    random = np.random.default_rng([seed, draw])
    return signatures[y] @ mapping + noise * random.normal(size=(len(y), D)), y, signatures


def test_eszsl_solves_its_own_normal_equations_in_both_forms() -> None:
    x, y, s = planted(0.1)
    seen = y < SEEN
    pair = zero_shot.Penalties(0.1, 1.0)
    v = zero_shot.eszsl(x[seen], y[seen], s, pair)
    target = np.where(np.arange(SEEN)[None, :] == y[seen][:, None], 1.0, -1.0)
    n = int(seen.sum())
    # Equal classes: D = I.
    left = (x[seen].T @ x[seen] + 0.1 * n * np.eye(D)) @ v @ (s[:SEEN].T @ s[:SEEN] + np.eye(A))
    np.testing.assert_allclose(left, x[seen].T @ target @ s[:SEEN], rtol=1e-6, atol=1e-8)
    wide = np.hstack([x[seen][::8], np.zeros((len(x[seen][::8]), 40))])
    np.testing.assert_allclose(zero_shot.eszsl(wide, y[seen][::8], s, pair)[:D], zero_shot.eszsl(x[seen][::8], y[seen][::8], s, pair), atol=1e-8)


@pytest.mark.parametrize("name", ["eszsl", "devise"])
def test_a_planted_mapping_is_recovered_on_unseen_labels(name: str) -> None:
    x, y, s = planted(0.05)
    seen = np.flatnonzero(y < SEEN)
    if name == "eszsl":
        pair, tried = zero_shot.choose_penalties(x[seen], y[seen], s)
        assert len(tried) == len(zero_shot.GAMMAS) * len(zero_shot.LAMBDAS)
        v = zero_shot.eszsl(x[seen], y[seen], s, pair)
    else:
        v = zero_shot.devise(x[seen], y[seen], s, 3)
        np.testing.assert_array_equal(v, zero_shot.devise(x[seen], y[seen], s, 3))
    figures = zero_shot.generalised(x @ v @ s.T, y, np.arange(SEEN, SEEN + UNSEEN))
    assert figures["unseen_accuracy"] >= 0.85
    assert figures["unseen_rows"] == UNSEEN * PER


def test_signatures_of_other_labels_are_worth_chance() -> None:
    x, y, s = planted(0.05)
    seen = np.flatnonzero(y < SEEN)
    wrong = s.copy()
    wrong[SEEN:] = np.roll(wrong[SEEN:], 1, axis=0)
    v = zero_shot.eszsl(x[seen], y[seen], wrong, zero_shot.Penalties(0.01, 0.1))
    assert zero_shot.generalised(x @ v @ wrong.T, y, np.arange(SEEN, SEEN + UNSEEN))["unseen_accuracy"] <= 0.3


def test_what_seen_labels_give_up_raises_the_harmonic_mean_on_other_rows() -> None:
    """With more dimensions than labels, as texts have, a mapping can fit each seen label by itself, and new ones are hardly ever answered."""
    gains = []
    unseen = np.arange(SEEN, SEEN + UNSEEN)
    for seed in range(4):
        x, y, s = planted(0.05, seed, a=40)
        seen = np.flatnonzero(y < SEEN)

        def fit(a: Matrix, b: Ints, c: Matrix) -> Matrix:
            return zero_shot.eszsl(a, b, c, zero_shot.Penalties(0.001, 1.0))

        constant = zero_shot.give_up(x[seen], y[seen], s, fit)
        fresh, truth, _ = planted(0.05, seed, 1, a=40)
        scores = fresh @ fit(x[seen], y[seen], s) @ s.T
        before = zero_shot.generalised(scores, truth, unseen)["harmonic_mean"]
        scores[:, :SEEN] -= constant
        gains.append(zero_shot.generalised(scores, truth, unseen)["harmonic_mean"] - before)
    assert np.mean(gains) > 0.02, gains


def test_the_harmonic_mean() -> None:
    assert zero_shot.harmonic(0.0, 0.0) == 0.0
    assert zero_shot.harmonic(1.0, 0.0) == 0.0
    assert abs(zero_shot.harmonic(0.8, 0.4) - 0.64 / 1.2) < 1e-12
