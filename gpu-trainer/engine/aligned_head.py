"""A closed-form head for inputs of another domain, from labelled rows of the source and unlabelled rows of the target.

Every row loses the mean of its own domain, so the served head reads x − mean of the target. One ridge then learns from three views:
- the source rows as they are (first moments made equal);
- the source rows recoloured, (x − μs) Cs^−½ Ct^½ (CORAL, Sun, Feng & Saenko 2016: second moments made equal);
- the target rows under the labels that ridges on the first two views give them (self-training, Yarowsky 1995; one round).

With `over_kernel` the ridge is one on the kernel of the frozen head over the recoloured rows, as /adapt at the edge has it
(functions/learning/adaptation/spaces.ts); else it is one on the features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import heads
from .heads import Ints, Matrix, Ridge
from .kernel import KERNEL_ROWS_MAX, Part, fit_kernel, landmarks_of

Flags = NDArray[np.bool_]
# Left-out rows of the source know nothing of the noise that a shift adds, and ask for far too small a penalty (0.003 where 1 to 3 is right), above
# all once recoloured rows are easy to tell apart. docs/decisions/0014.
PENALTY = 2.0
KERNEL_PENALTY = 1.0
# The part of the identity in a covariance of fewer rows than dimensions.
SHRINKAGE = 0.5


@dataclass(frozen=True)
class Aligned:
    """`part` reads rows less the mean of their domain: `middle` of the source, `offset` of the target. `shown`: the labelled rows as the target would
    have shown them, less its mean [n, d]."""

    part: Part
    middle: Matrix
    offset: Matrix
    shown: Matrix

    def scores(self, x: Matrix, near: Flags | None = None) -> Matrix:
        """`near`: which rows are of the target; without it all are."""
        if near is None:
            return self.part.scores(x - self.offset)
        return self.part.scores(centred(x, near, self.middle, self.offset))


def centred(x: Matrix, near: Flags, middle: Matrix, offset: Matrix) -> Matrix:
    return x - np.where(near[:, None], offset, middle)


def fit_aligned(x: Matrix, y: Ints, labels: int, near: Flags, target: Matrix, unknown: Flags, *, over_kernel: bool = False) -> Aligned:
    """`x`, `y`: labelled rows, those of the target marked by `near`; `target`: all rows of the target, those without a label marked by `unknown`."""
    middle = x[~near].mean(axis=0) if (~near).any() else target.mean(axis=0)
    offset = target.mean(axis=0)
    known = centred(x, near, middle, offset)
    there = target - offset
    shown = known.copy()
    if (~near).sum() > 1 and len(target) > 1:
        shown[~near] = coral(known[~near], there)
    marks = heads.unit(shown)[landmarks_of(shown, y)] if over_kernel and len(x) <= KERNEL_ROWS_MAX else None

    def fit(rows: Matrix, answers: Ints) -> Part:
        if marks is None:
            return Part("aligned_ridge", ridge(rows, answers, labels), None, 1.0, 1.0)
        return Part("aligned_kernel_ridge", fit_kernel(rows, marks, answers, labels, kernel_ridge), marks, 1.0, 1.0)

    free = there[unknown]
    rows, answers = [known, shown], [y, y]
    if len(free):
        said = sum((fit(view, y).scores(free) for view in rows), np.zeros((len(free), labels)))
        rows, answers = [*rows, free], [*answers, said.argmax(1)]
    return Aligned(fit(np.vstack(rows), np.concatenate(answers)), middle, offset, shown)


def ridge(x: Matrix, y: Ints, labels: int, penalty: float = PENALTY) -> Ridge:
    """At a fixed penalty, with features over their own spread as `heads.fit_ridge` has them."""
    scale = 1 / heads.spread(x, y, labels)
    fit = heads.fit_once(x * scale, y, labels, penalty)
    return Ridge(weight=fit.weight * scale, bias=fit.bias, lam=penalty, left_out=fit.left_out)


def kernel_ridge(x: Matrix, y: Ints, labels: int) -> Ridge:
    return ridge(x, y, labels, KERNEL_PENALTY)


def coral(source: Matrix, target: Matrix) -> Matrix:
    """Centred source rows with the covariance of the centred target rows."""
    return power(target, 0.5, power(source, -0.5, source))


def power(rows: Matrix, p: float, x: Matrix) -> Matrix:
    """x (γτI + (1 − γ)C)^p with C = rowsᵀrows / n and τ its mean eigenvalue: through the singular vectors of the few rows there are."""
    _, s, vt = np.linalg.svd(rows, full_matrices=False)
    values = s**2 / len(rows)
    total = values.sum()
    if total <= 0:
        return x
    kept = values > 1e-10 * total
    values, vt = values[kept], vt[kept]
    floor = SHRINKAGE * total / rows.shape[1]
    inside = ((1 - SHRINKAGE) * values + floor) ** p - floor**p
    return x * floor**p + ((x @ vt.T) * inside) @ vt
