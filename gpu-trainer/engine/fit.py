"""The closed-form heads of a candidate, fitted on what the graphs of the edge give, and their scores of the held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import heads
from .deploy import Tuned
from .heads import Matrix
from .job import Job
from .kernel import Frozen, Part, fit_frozen


@dataclass(frozen=True)
class Fitted:
    """`x`: base features of the training rows. `base`: the head on them, the frozen one; `frozen`, `candidate`: scores of held-out rows."""

    base: Frozen
    center: Matrix
    x: Matrix
    components: list[dict[str, Any]]
    frozen: Matrix
    candidate: Matrix
    background: Matrix
    oof: Matrix
    temperature: float

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
    """(1 − mix) · the frozen head on the base embedding + mix · ridge on the tuned one."""
    y, k, kind, fair = job.train.labels, len(job.labels), job.backbone.kind, job.fair()
    center = heads.center_of(job.base_background, kind)
    x = heads.transform(job.base_train, kind, center)
    base = fit_frozen(x, y, k)
    frozen = base.scores(heads.transform(job.base_held, kind, center))
    background = base.scores(heads.transform(job.base_background, kind, center)) * (1 - mix)
    candidate = frozen * (1 - mix)
    components = [component("base", part, center, kind, 1 - mix) for part in base.parts]
    if tuned is not None:
        tuned_center = heads.center_of(tuned.background, kind)
        ridge = heads.fit_ridge(heads.transform(tuned.train, kind, tuned_center), y, k)
        candidate = candidate + mix * ridge.scores(heads.transform(tuned.held, kind, tuned_center))
        background = background + mix * ridge.scores(heads.transform(tuned.background, kind, tuned_center))
        components.append(component("tuned", linear(ridge), tuned_center, kind, mix))
    return Fitted(base, center, x, components, frozen, candidate, background, oof, heads.fit_temperature(oof[fair], y[fair]))


def scores_of(fitted: Fitted, kind: str, base: np.ndarray[Any, Any], tuned: np.ndarray[Any, Any] | None) -> Matrix:
    """Scores of other rows by their raw embeddings."""
    total = np.zeros((len(base), fitted.base.labels))
    for c in fitted.components:
        raw = base if c["embedding"] == "base" else tuned
        if raw is not None and c["mix"] > 0:
            total += c["mix"] * c["part"].scores(heads.transform(raw, kind, c["center"]))
    return total
