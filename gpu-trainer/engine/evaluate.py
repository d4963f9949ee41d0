"""The candidate, the incumbent, the frozen head and the most frequent answer on the same held-out rows; the head that will be served."""

from pathlib import Path
from typing import Any

import numpy as np

from . import calibration, heads, targets
from .data import embed
from .export import Floats, open_session
from .fit import Fitted, prediction
from .head_file import ServedHead, write_head
from .job import Job
from .kernel import POWER, fit_novelty, kernel, landmarks_of
from .stages import keeping
from .training import Trained
from .tune import State
from .wire import EngineError

# Methods whose head is their own even where no network of theirs is served.
KEEP_NAME = ("zero_shot",)


def evaluate(job: Job, trained: Trained, fitted: Fitted, others: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The result, and its `held_out`; `others`: answers of this method's own comparisons on the same rows, by their names in HeldOut."""
    y, k, fair, mix, base = job.train.labels, len(job.labels), job.fair(), trained.mix, fitted.base
    frozen_temperature = calibration.fit_temperature(base.left_out[fair], y[fair])
    save_head(job, fitted)
    said, sure, name = targets.most_frequent(y, k)
    n = len(job.held)
    # Aligned heads have a penalty of their own.
    lam = fitted.components[0]["part"].ridge.lam if job.recipe.aligns_heads else base.lam
    held = {
        **({"task": "multi_label"} if job.several else {}),
        "split": job.held_name,
        "labels": job.labels,
        "rows": job.held.row.tolist(),
        "truth": targets.told(job.held.labels),
        "candidate": fitted.answers(),
        "incumbent": incumbent(job, trained.state),
        "frozen": prediction(fitted.frozen, frozen_temperature, several=job.several),
        "baseline": {"prediction": said * n, name: sure * n},
        "scratch": fitted.answers() if job.recipe.random_start else None,
        **others,
    }
    result = {
        "method": {"asked": job.asked, "used": used(job, mix)},
        "hyperparameters": {**job.recipe.described(), "seed": job.spec["seed"], "lambda": lam},
        "tuned_mix": mix,
        "mix_curve": trained.curve,
        "temperature": fitted.temperature,
        "labels": job.labels,
        "train_rows": len(job.train),
        "device": str(job.device),
        "network": "base" if mix == 0 else "whole" if job.recipe.whole else "tail",
        "evidence": job.evidence,
        "notes": job.notes,
    }
    return result, held


def used(job: Job, mix: float) -> str:
    if mix == 0:
        return job.recipe.method if job.recipe.method in KEEP_NAME else "linear_probe"
    return "tail_tuning" if job.recipe.method == "fine_tune" and not job.recipe.whole else job.recipe.method


def save_head(job: Job, fitted: Fitted) -> None:
    y, center, oof = job.train.labels, fitted.center, fitted.oof
    units = heads.unit(fitted.x)
    chosen = landmarks_of(fitted.x, y)
    novelty = fit_novelty(units[chosen])
    tensors: dict[str, Any] = {}
    for i, c in enumerate(fitted.components):
        part = c["part"]
        if part.landmarks is None:
            tensors[f"components.{i}.center"] = c["center"].astype(np.float32)
        tensors[f"components.{i}.weight"] = (part.factor * part.ridge.weight).astype(np.float32)
        tensors[f"components.{i}.bias"] = (part.factor * part.ridge.bias).astype(np.float32)
    tensors["support.center"] = center.astype(np.float32)
    tensors["support.rows"] = units[chosen].astype(np.float32)
    tensors["support.factor"] = novelty.factor.astype(np.float32)
    tensors["support.label_of"] = first_label(y[chosen]).astype(np.int32)
    open_set = None
    rate = job.spec["false_reject_rate"]
    if rate is not None:
        fair = job.fair()
        v = novelty.variance(kernel(units, units[chosen]))
        v[chosen] = novelty.left_out()
        # Rows that have no label are none that should be known.
        known = (oof.max(1) - novelty.weight * v)[fair[targets.labels_each(y[fair]) > 0]]

        def knownness(base: Floats, scores: heads.Matrix) -> heads.Matrix:
            near = kernel(heads.unit(heads.transform(base, job.backbone.kind, center)), units[chosen])
            return scores.max(1) - novelty.weight * novelty.variance(near)

        threshold = heads.open_set_threshold(known, knownness(job.base_background, fitted.background), rate)
        if fitted.there is not None:
            # Inputs of the target are of its own classes: no more of them than was asked for may be unknown because they look different.
            threshold = min(threshold, float(np.quantile(knownness(job.base_target, fitted.there), rate)))
        open_set = {"threshold": threshold, "false_reject_rate": rate, "best_weight": 1, "variance_weight": novelty.weight}
    d = job.backbone.dimension
    metadata = {
        "format": "graft-head-1",
        "labels": job.labels,
        "task": "multi_label" if job.several else "single_label",
        "temperature": fitted.temperature,
        "components": [
            {"embedding": c["embedding"], "name": c["name"], "transform": c["transform"], "dimension": d, "mix": c["mix"]}
            | ({} if c["part"].landmarks is None else {"kernel_power": POWER})
            for c in fitted.components
        ],
        "open_set": open_set,
        "support": {"embedding": "base", "transform": job.backbone.kind, "dimension": d},
    }
    write_head(job.out / "head.safetensors", tensors, metadata)


def incumbent(job: Job, state: State | None) -> dict[str, Any] | None:
    given = job.spec["incumbent"]
    # A tail's last checkpoint is seconds old.
    between = keeping(job, state, job.run, "final") if state is not None and job.recipe.whole else job.check_stop
    if given is None:
        return None
    head = ServedHead(Path(given["head"]))
    tuned = None
    if head.needs_tuned:
        if given["tail"] is None:
            raise EngineError("incumbent_incomplete", "The incumbent's head needs its tail, which is missing.", blame="graft")
        threads = job.spec["limits"]["threads"]
        features = job.held_features
        if given.get("trunk") is not None:
            trunk = open_session(Path(given["trunk"]), threads)
            features = []
            for v in job.held.inputs:
                between()
                features.append(job.backbone.features_of(job.backbone.served(v), trunk))
        tuned = embed(open_session(Path(given["tail"]), threads), features, between)
    scores = head.scores(job.base_held, tuned)
    said = prediction(scores, head.meta["temperature"], several=job.several)
    place = {name: i for i, name in enumerate(job.labels)}

    def here(label: int) -> int:
        return place.get(head.labels[label], -1)

    said["prediction"] = [[here(c) for c in own] if job.several else here(own) for own in said["prediction"]]
    return said


def first_label(y: heads.Ints) -> heads.Ints:
    """What a support row is shown under; −1 for one of no label."""
    return np.where(y.any(axis=1), targets.classes(y), -1) if targets.several(y) else y
