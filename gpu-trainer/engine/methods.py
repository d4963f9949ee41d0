"""From a job to its model, by method: what each needs before the data are read, and the steps that are its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import adaptation, mapping, task_models
from .fit import fit
from .job import Job
from .recipe import recipe_of
from .training import Model, train_once
from .wire import EngineError


def needs(spec: dict[str, Any]) -> None:
    """Raises EngineError, the caller's, for what the method cannot do without, and for what rows of several labels cannot be used with."""
    if spec.get("task") == "multi_label":
        asked = spec["method"].get("type", "auto")
        recipe_of("fine_tune" if asked == "auto" else asked, {}, spec["modality"], several=True)
        for beside in ("target", "source"):
            if spec.get(beside):
                raise EngineError("options_invalid", f"{beside}: rows of several labels are trained on alone; leave it out.")
    for method in (adaptation, mapping, task_models):
        method.needs(spec)


def plain(job: Job) -> Model:
    job.embed_all()
    trained = train_once(job)
    return Model(trained, fit(job, trained.mix, trained.oof, trained.tuned))


METHODS: dict[str, Callable[[Job], Model]] = {
    "domain_adaptation": adaptation.adapt,
    "domain_confusion": adaptation.adapt,
    "multi_task": task_models.learn,
    "zero_shot": mapping.learn,
}
