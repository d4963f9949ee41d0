"""The closed-form heads of a candidate, fitted on what the graphs of the edge give, and their scores of the held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import heads
from .aligned_head import fit_aligned
from .deploy import Tuned
from .export import Floats
from .heads import Matrix
from .job import Job
from .kernel import Frozen, Part, fit_frozen


@dataclass(frozen=True)
class Fitted:
    """`x`: base features of the training rows. `base`: the head on them, the frozen one; `frozen`, `candidate`: scores of held-out rows. Where heads
    are aligned, `shift`: mean of the target's base features minus that of the source's; `there`: scores of the target's own rows."""

    base: Frozen
    center: Matrix
    x: Matrix
    components: list[dict[str, Any]]
    frozen: Matrix
    candidate: Matrix
    background: Matrix
    oof: Matrix
    temperature: float
    shift: Matrix | float = 0.0
    there: Matrix | None = None

    def answers(self) -> dict[str, Any]:
        return prediction(self.candidate, self.temperature)


def prediction(scores: Matrix, temperature: float) -> dict[str, Any]:
    p = heads.softmax(scores, temperature)
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
    base = fit_frozen(x, y, k)
    seen = job.base_target if job.recipe.aligns_heads else None
    if seen is None:
        components = [component("base", part, center, kind, 1 - mix) for part in base.parts]
    else:
        components = [head(job, "base", job.base_train, job.base_background, seen, 1 - mix)]
    if tuned is not None:
        components.append(head(job, "tuned", tuned.train, tuned.background, tuned.target, mix))
    return Fitted(
        base=base,
        center=center,
        x=x,
        components=components,
        frozen=base.scores(heads.transform(job.base_held, kind, center)),
        candidate=total(components, k, kind, job.base_held, None if tuned is None else tuned.held),
        background=total(components, k, kind, job.base_background, None if tuned is None else tuned.background),
        oof=oof,
        temperature=heads.fit_temperature(oof[fair], y[fair]),
        shift=0.0
        if seen is None
        else heads.transform(seen, kind).mean(axis=0) - heads.transform(job.base_train[~job.from_target], kind).mean(axis=0),
        there=None if seen is None else total(components, k, kind, seen, None if tuned is None else tuned.target),
    )


def head(job: Job, name: str, train: Floats, background: Floats, target: Floats | None, mix: float) -> dict[str, Any]:
    """One component over raw embeddings; what it reads is less the background's mean, or less the target's."""
    y, k, kind = job.train.labels, len(job.labels), job.backbone.kind
    center = heads.center_of(background, kind)
    x = heads.transform(train, kind, center)
    if target is None or job.target is None:
        return component(name, linear(heads.fit_ridge(x, y, k)), center, kind, mix)
    aligned = fit_aligned(x, y, k, job.from_target, heads.transform(target, kind, center), job.target.labels < 0)
    return component(name, linear(aligned.ridge, "aligned_ridge"), center + aligned.offset, kind, mix)


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
