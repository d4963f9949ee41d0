"""Zero-shot mappings from features into the space of the labels' texts: score_c(x) = xᵀ V s_c, also for labels without an example.

ESZSL (Romera-Paredes & Torr 2015) in closed form, DeViSE (Frome et al. 2013) by its hinge; the penalties and the constant that seen labels
give up (calibrated stacking, Chao et al. 2016) are chosen by leaving out whole labels, as new labels are what the mapping is for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from .heads import Ints, Matrix, balanced_weights

GAMMAS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
LAMBDAS = (1e-2, 1e-1, 1.0, 10.0)
TURNS = 3
MARGIN = 0.1
DEVISE_EPOCHS, DEVISE_RATE, DEVISE_BATCH = 60, 3e-3, 64

Fit = Callable[[Matrix, Ints, Matrix], Matrix]


@dataclass(frozen=True)
class Penalties:
    gamma: float
    lam: float


def eszsl(x: Matrix, y: Ints, signatures: Matrix, penalties: Penalties) -> Matrix:
    """V = (XᵀDX + γ n I)⁻¹ XᵀD Y S (SᵀS + λ I)⁻¹, d × a, for rows X [n, d], Y ±1 [n, z] and signatures S [z, a] of the z labels in `y`.

    D weighs every label the same. The left inverse is taken in the smaller of its two forms.
    """
    present = np.unique(y)
    s = signatures[present]
    root = np.sqrt(balanced_weights(y, len(signatures)))[:, None]
    xs = x * root
    ys = np.where(present[None, :] == y[:, None], 1.0, -1.0) * root
    ridge = penalties.gamma * len(x)
    if len(x) <= x.shape[1]:
        left = xs.T @ np.linalg.solve(xs @ xs.T + ridge * np.eye(len(x)), ys)
    else:
        left = np.linalg.solve(xs.T @ xs + ridge * np.eye(x.shape[1]), xs.T @ ys)
    right = np.linalg.solve(s.T @ s + penalties.lam * np.eye(s.shape[1]), s.T).T
    return left @ right


def devise(x: Matrix, y: Ints, signatures: Matrix, seed: int) -> Matrix:
    """V with the least Σ_rows Σ_{j ≠ y} max(0, margin − x V s_y + x V s_j), labels weighing the same; AdamW from zero, shuffled by `seed`."""
    present = np.unique(y)
    place = {int(c): i for i, c in enumerate(present)}
    target = torch.tensor([place[int(c)] for c in y])
    rows, s = torch.from_numpy(x).float(), torch.from_numpy(signatures[present]).float()
    weight = torch.from_numpy(balanced_weights(y, len(signatures))).float()
    mapping = torch.zeros(x.shape[1], s.shape[1], requires_grad=True)
    optimiser = torch.optim.AdamW([mapping], lr=DEVISE_RATE, weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed & 0x7FFFFFFF)
    steps, done = DEVISE_EPOCHS * math.ceil(len(rows) / DEVISE_BATCH), 0
    for _ in range(DEVISE_EPOCHS):
        for part in torch.randperm(len(rows), generator=generator).split(DEVISE_BATCH):
            for group in optimiser.param_groups:
                group["lr"] = DEVISE_RATE * 0.5 * (1 + math.cos(math.pi * done / steps))
            scores = rows[part] @ mapping @ s.T
            own = scores.gather(1, target[part][:, None])
            hinge = F.relu(MARGIN - own + scores).sum(dim=1) - MARGIN
            loss = (weight[part] * hinge).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            done += 1
    return mapping.detach().numpy().astype(np.float64)


def left_out_scores(x: Matrix, y: Ints, signatures: Matrix, fit: Fit) -> tuple[Matrix, list[Ints]]:
    """Scores [n, labels] of every row by a mapping that saw neither the row's label nor, for half of the other rows, the row itself.

    The second value: per turn, the labels that were left out.
    """
    present = np.unique(y)
    scores = np.zeros((len(y), len(signatures)))
    out: list[Ints] = []
    for turn in range(min(TURNS, len(present))):
        unseen = present[turn::TURNS]
        inside = np.flatnonzero(~np.isin(y, unseen))
        outside = np.flatnonzero(np.isin(y, unseen))
        out.append(unseen)
        if len(np.unique(y[inside])) < 2:
            continue
        scores[outside] = x[outside] @ fit(x[inside], y[inside], signatures) @ signatures.T
    return scores, out


def unseen_accuracy(scores: Matrix, y: Ints, turns: list[Ints]) -> float:
    """Mean over labels: each row chosen among the labels left out with its own."""
    hits: list[float] = []
    for unseen in turns:
        for c in unseen:
            rows = scores[y == c]
            hits.append(float((unseen[rows[:, unseen].argmax(axis=1)] == c).mean()))
    return float(np.mean(hits)) if hits else 0.0


def choose_penalties(x: Matrix, y: Ints, signatures: Matrix) -> tuple[Penalties, list[dict[str, float]]]:
    """The pair with the best accuracy on left-out labels; the middle of the grid where there are too few labels to leave any out."""
    if len(np.unique(y)) < 4:
        return Penalties(0.1, 1.0), []
    tried = []
    for gamma in GAMMAS:
        for lam in LAMBDAS:
            pair = Penalties(gamma, lam)
            scores, turns = left_out_scores(x, y, signatures, lambda a, b, s, p=pair: eszsl(a, b, s, p))
            tried.append({"gamma": gamma, "lambda": lam, "accuracy": unseen_accuracy(scores, y, turns)})
    best = max(tried, key=lambda t: t["accuracy"])
    return Penalties(best["gamma"], best["lambda"]), tried


def give_up(x: Matrix, y: Ints, signatures: Matrix, fit: Fit) -> float:
    """The constant taken from the scores of seen labels that makes the harmonic mean largest when labels and, beside them, half of the rows of
    the other labels are left out: without it a mapping hardly ever answers with a new label."""
    present = np.unique(y)
    if len(present) < 4:
        return 0.0
    half = np.arange(len(y)) % 2 == 0
    seen_rows, unseen_rows = [], []
    for turn in range(TURNS):
        unseen = present[turn::TURNS]
        is_unseen = np.isin(y, unseen)
        inside = np.flatnonzero(~is_unseen & half)
        if len(np.unique(y[inside])) < 2:
            continue
        mapping = fit(x[inside], y[inside], signatures)
        for rows, kept in ((np.flatnonzero(~is_unseen & ~half), seen_rows), (np.flatnonzero(is_unseen), unseen_rows)):
            s = x[rows] @ mapping @ signatures.T
            s[:, np.setdiff1d(np.arange(len(signatures)), present)] = -np.inf
            seen = np.setdiff1d(present, unseen)
            gap = s[:, seen].max(axis=1) - s[:, unseen].max(axis=1)
            right_seen = seen[s[:, seen].argmax(axis=1)] == y[rows]
            right_unseen = unseen[s[:, unseen].argmax(axis=1)] == y[rows]
            kept.extend(zip(gap.tolist(), right_seen.tolist(), right_unseen.tolist(), strict=True))
    if not seen_rows or not unseen_rows:
        return 0.0
    a, b = np.array(seen_rows, dtype=np.float64), np.array(unseen_rows, dtype=np.float64)
    best, constant = -1.0, 0.0
    for c in np.unique(np.concatenate([[0.0], np.quantile(np.concatenate([a[:, 0], b[:, 0]]), np.linspace(0, 1, 101))])):
        value = harmonic(float(((a[:, 0] > c) & (a[:, 1] > 0)).mean()), float(((b[:, 0] <= c) & (b[:, 2] > 0)).mean()))
        if value > best:
            best, constant = value, float(c)
    return constant


def harmonic(seen: float, unseen: float) -> float:
    return 2 * seen * unseen / (seen + unseen) if seen + unseen > 0 else 0.0


def generalised(scores: Matrix, truth: Ints, unseen: Ints) -> dict[str, float | int]:
    """Per-label accuracies as of Xian et al. 2017: new labels among themselves, and seen and new labels among all, with their harmonic mean."""

    def mean_of(labels: Ints, among: Ints) -> float:
        each = [float((among[scores[truth == c][:, among].argmax(axis=1)] == c).mean()) for c in labels]
        return float(np.mean(each)) if each else 0.0

    every = np.arange(scores.shape[1])
    there = np.unique(truth)
    new, old = there[np.isin(there, unseen)], there[~np.isin(there, unseen)]
    seen_among_all, unseen_among_all = mean_of(old, every), mean_of(new, every)
    return {
        "unseen_accuracy": mean_of(new, unseen),
        "unseen_chance": 1 / max(len(unseen), 1),
        "generalised_seen": seen_among_all,
        "generalised_unseen": unseen_among_all,
        "harmonic_mean": harmonic(seen_among_all, unseen_among_all),
        "unseen_rows": int(np.isin(truth, unseen).sum()),
        "seen_rows": int((~np.isin(truth, unseen)).sum()),
    }
