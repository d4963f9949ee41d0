"""Whether a model's graphs answer as the torch network that they were exported from, and the precision that they ship in because of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import targets
from .deploy import Tuned, deploy
from .fit import Fitted, fit, scores_of
from .heads import Matrix
from .job import Job
from .tune import State


def deploy_settled(job: Job, state: State, mix: float, oof: Matrix) -> Tuned:
    """The graphs in the first precision whose answers are torch's on every held-out row, or else in the last one. No label is looked at."""
    rejected: list[dict[str, Any]] = []
    ways = precisions(job)
    for precision in ways:
        tuned = deploy(job, state, precision)
        facts = compare(job, fit(job, mix, oof, tuned), tuned)
        if facts["holds"] or precision == ways[-1]:
            break
        rejected.append({k: facts[k] for k in ("precision", "max_abs_logit_difference", "same_top1")})
        job.notes.append(
            f"In {precision} the graphs answer {facts['rows'] - facts['same_top1']} of {facts['rows']} held-out rows otherwise than torch, "
            f"so they ship in {ways[ways.index(precision) + 1]}."
        )
    if not facts["holds"]:
        job.notes.append(
            f"The graphs answer {facts['rows'] - facts['same_top1']} of {facts['rows']} held-out rows otherwise than torch; "
            "every figure here is that of the graphs, which are what is served."
        )
    return replace(tuned, parity={**facts, "rejected": rejected})


def precisions(job: Job) -> tuple[str, ...]:
    """Pictures: float32, which is faster in wasm. Texts: int8 where it answers the same; a whole text network of 90 MB in float32 fits no isolate."""
    if job.image:
        return ("float32",)
    return ("int8",) if job.recipe.whole else ("int8", "float32")


def compare(job: Job, fitted: Fitted, tuned: Tuned) -> dict[str, Any]:
    """Logits (scores over the temperature) of the held-out rows by the same heads: through the graphs, and with torch in the tuned part's place."""
    kind = job.backbone.kind
    graph, exact = (scores_of(fitted, kind, job.base_held, held) / fitted.temperature for held in (tuned.held, tuned.exact))
    same = int(targets.same_answers(graph, exact, job.train.labels).sum())
    return {
        "precision": tuned.precision,
        "rows": len(graph),
        "max_abs_logit_difference": float(np.abs(graph - exact).max(initial=0.0)),
        "same_top1": same,
        "holds": same == len(graph),
    }
