"""`auto`: what the advisor's rules say on this job's own rows, or what an advice job said about the same data; with the figures, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import ranks
from . import transferability as measure
from .evidence import gather, kept_rows
from .recipe import recipe_of
from .recommend import decide, options_of
from .survey import chosen, look, sample
from .wire import EngineError, phase, send

if TYPE_CHECKING:
    from .job import Job

ROWS_MAX = 400


def choose(job: Job) -> tuple[str, dict[str, Any]]:
    """The method, and what `evidence.auto` says about it. A caller who says how deep has decided already."""
    asked = next((f"{k} {job.options[k]}" for k in ("depth", "last_blocks") if job.options.get(k) is not None), None)
    if asked and not job.backbone.added:
        table: dict[str, Any] = {"source": "asked", "because": f"The job asks for {asked}.", "options": []}
        method = "fine_tune"
    elif job.spec.get("advice"):
        method, table = advised(job)
    else:
        method, table = measured(job)
    if job.spec.get("checkpoint") and method == "linear_probe":
        # A head alone leaves no checkpoints: before the interruption these rows said otherwise, if only just.
        method, table["because"] = "fine_tune", f"Goes on as it began. {table['because']}"
    # Every rank looked, because training takes them all; what the first one saw is what they do.
    method, table = ranks.from_first(lambda: (method, {"chose": method, **table}))
    send(type="choice", method=method, because=table["because"], options=table["options"])
    return method, table


def advised(job: Job) -> tuple[str, dict[str, Any]]:
    given = job.spec["advice"]
    advice = given["advice"]
    table = {
        "source": "advice",
        "advice_job": given["job"],
        "because": advice["when"]["because"],
        "verdict": advice["when"]["verdict"],
        "frozen": next(
            ({k: b[k] for k in ("accuracy", "interval", "log_me")} for b in advice["backbones"] if b["backbone"] == job.manifest["id"]), None
        ),
        "distance": advice["distance"],
        "label_noise": advice["label_noise"],
        "trials": advice.get("trials", []),
        "options": advice["options"],
    }
    return possible(job, advice["how"]["method"]), table


def measured(job: Job) -> tuple[str, dict[str, Any]]:
    """On at most ROWS_MAX training rows and as many of the target; their activations are kept for the training."""
    phase("advising")
    seed = job.spec["seed"] & 0x7FFFFFFF
    y = job.train.labels
    drawn = sample(y, len(job.labels), ROWS_MAX, seed)
    rows = job.train.take(drawn.picked)
    meter = job.ledger.course.meter(ends=False)
    seen = look(job.backbone, rows, job.stopping, meter, (0.0, 0.7), np.arange(len(rows)))
    job.looked = {int(drawn.picked[i]): f for i, f in seen.features.items()}
    there = None
    if job.target is not None and len(job.target):
        there = look(job.backbone, job.target.take(chosen(job.target.labels, ROWS_MAX, seed)), job.stopping, meter, (0.7, 1.0))
    place = np.array([*range(len(job.labels)), -1], dtype=np.int64)
    kept = kept_rows(rows, not job.backbone.added)
    found = gather(seen, kept, drawn, there, place, seed=seed, device=job.device, stopping=job.stopping)
    e = found.evidence
    options = options_of(e)
    best, when = decide(e, options)
    table = {
        "source": "measured",
        "because": when["because"],
        "verdict": when["verdict"],
        "rows": len(rows),
        "frozen": {"accuracy": e.at_home[0], "interval": e.at_home[1], "log_me": measure.log_me(seen.x, rows.labels, len(job.labels))},
        "distance": None if e.distance is None else {**vars(e.distance), "kind": e.distance.kind},
        "label_noise": e.label_noise,
        "trials": found.trials,
        "options": options,
    }
    return possible(job, best["method"]), table


def possible(job: Job, method: str) -> str:
    """The method, or the tail alone where the job's own options forbid it."""
    if method != "domain_adaptation":
        return method
    try:
        recipe_of(method, job.options, job.spec["modality"])
    except EngineError:
        return "fine_tune"
    return method if job.target is not None and (job.image or job.options.get("alignment") != "adabn") else "fine_tune"
