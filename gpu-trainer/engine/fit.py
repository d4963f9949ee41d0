"""The closed-form heads of a candidate, fitted on what the graphs of the edge give, and their scores of the held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import calibration, heads
from .aligned_head import Aligned, fit_aligned
from .deploy import Tuned
from .export import Floats
from .heads import Matrix
from .job import Job
from .kernel import Frozen, Part, fit_frozen


@dataclass(frozen=True)
class Fitted:
    """`base`: the frozen head; `x`: base features of the training rows as inputs less `center` are compared with them: where heads are aligned, as
    the target would have shown them. `frozen`, `candidate`: scores of held-out rows; `there`: of the target's own rows, where heads are aligned."""

    base: Frozen
    center: Matrix
    x: Matrix
    components: list[dict[str, Any]]
    frozen: Matrix
    candidate: Matrix
    background: Matrix
    oof: Matrix
    temperature: float
    several: bool = False
    there: Matrix | None = None

    def answers(self) -> dict[str, Any]:
        return prediction(self.candidate, self.temperature, several=self.several)


def prediction(scores: Matrix, temperature: float, *, several: bool = False) -> dict[str, Any]:
    """The best label of each row and its probability; of several labels those that are said, and the probability of each."""
    if several:
        p = calibration.sigmoid(scores, temperature)
        said = [np.flatnonzero(row >= 0) for row in scores]
        return {"prediction": [own.tolist() for own in said], "probability": [row[own].tolist() for row, own in zip(p, said, strict=True)]}
    p = calibration.softmax(scores, temperature)
    return {"prediction": scores.argmax(1).tolist(), "confidence": p.max(1).tolist()}


def component(embedding: str, part: Part, center: Matrix, kind: str, mix: float) -> dict[str, Any]:
    return {"embedding": embedding, "part": part, "center": center, "transform": kind, "mix": mix, "name": part.name}


def linear(ridge: heads.Ridge, name: str = "ridge") -> Part:
    return Part(name, ridge, None, 1.0, 1.0)


def fit(job: Job, mix: float, oof: Matrix, tuned: Tuned | None) -> Fitted:
    """(1 − mix) · head on the base embedding + mix · head on the tuned one: the frozen head and ridge, or both aligned with the target."""
    y, k, kind, fair = job.train.labels, len(job.labels), job.backbone.kind, job.fair()
    center = heads.center_of(job.base_background, kind)
    x = heads.transform(job.base_train, kind, center)
    base = fit_frozen(x, y, k, heads.usual_scale(job.base_background, kind))
    seen = job.base_target if job.recipe.aligns_heads else None
    shown, middle = x, center
    if seen is None:
        components = [component("base", part, center, kind, 1 - mix) for part in base.parts]
    else:
        aligned = aligned_head(job, x, heads.transform(seen, kind, center), over_kernel=True)
        shown, middle = aligned.shown, center + aligned.offset
        components = [component("base", aligned.part, middle, kind, 1 - mix)]
    if tuned is not None:
        components.append(tuned_component(job, tuned, mix))
    return Fitted(
        base=base,
        center=middle,
        x=shown,
        components=components,
        frozen=base.scores(heads.transform(job.base_held, kind, center)),
        candidate=total(components, k, kind, job.base_held, None if tuned is None else tuned.held),
        background=total(components, k, kind, job.base_background, None if tuned is None else tuned.background),
        oof=oof,
        temperature=calibration.fit_temperature(oof[fair], y[fair]),
        several=job.several,
        there=None if seen is None else total(components, k, kind, seen, None if tuned is None else tuned.target),
    )


def aligned_head(job: Job, x: Matrix, there: Matrix, *, over_kernel: bool) -> Aligned:
    assert job.target is not None
    return fit_aligned(x, job.train.labels, len(job.labels), job.from_target, there, job.target.labels < 0, over_kernel=over_kernel)


def tuned_component(job: Job, tuned: Tuned, mix: float) -> dict[str, Any]:
    """What it reads is less the background's mean, or less the target's. Linear: a head has one set of support rows, of the backbone's embedding."""
    kind = job.backbone.kind
    center = heads.center_of(tuned.background, kind)
    x = heads.transform(tuned.train, kind, center)
    if tuned.target is None or job.target is None:
        return component("tuned", linear(heads.fit_ridge(x, job.train.labels, len(job.labels))), center, kind, mix)
    aligned = aligned_head(job, x, heads.transform(tuned.target, kind, center), over_kernel=False)
    return component("tuned", aligned.part, center + aligned.offset, kind, mix)


def scores_of(fitted: Fitted, kind: str, base: Floats, tuned: Floats | None) -> Matrix:
    """Scores of other rows by their raw embeddings."""
    return total(fitted.components, fitted.base.labels, kind, base, tuned)


def total(components: list[dict[str, Any]], labels: int, kind: str, base: Floats, tuned: Floats | None) -> Matrix:
    out = np.zeros((len(base), labels))
    for c in components:
        raw = base if c["embedding"] == "base" else tuned
        if raw is not None and c["mix"] > 0:
            out += c["mix"] * c["part"].scores(heads.transform(raw, kind, c["center"]))
    return out
