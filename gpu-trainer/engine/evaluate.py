"""The candidate, the incumbent, the frozen head and the majority class on the same held-out rows; the head that will be served."""

from pathlib import Path
from typing import Any

import numpy as np

from . import heads
from .data import embed
from .deploy import Tuned
from .export import open_session
from .head_file import ServedHead, write_head
from .heads import Matrix
from .job import Job
from .wire import EngineError


def prediction(scores: Matrix, temperature: float) -> dict[str, Any]:
    p = heads.softmax(scores, temperature)
    return {"prediction": scores.argmax(1).tolist(), "confidence": p.max(1).tolist()}


def evaluate(
    job: Job,
    mix: float,
    curve: list[dict[str, float]],
    oof: Matrix,
    tuned: Tuned | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    y, k, kind, fair = job.train.labels, len(job.labels), job.backbone.kind, job.fair()
    center = heads.center_of(job.base_background, kind)
    x = heads.transform(job.base_train, kind, center)
    base = heads.fit_ridge(x, y, k)
    frozen_scores = base.scores(heads.transform(job.base_held, kind, center))
    background_scores = base.scores(heads.transform(job.base_background, kind, center)) * (1 - mix)
    candidate_scores = frozen_scores * (1 - mix)
    components = [component("base", base, center, kind, 1 - mix)]
    if tuned is not None:
        tuned_center = heads.center_of(tuned.background, kind)
        ridge = heads.fit_ridge(heads.transform(tuned.train, kind, tuned_center), y, k)
        candidate_scores = candidate_scores + mix * ridge.scores(heads.transform(tuned.held, kind, tuned_center))
        background_scores = background_scores + mix * ridge.scores(heads.transform(tuned.background, kind, tuned_center))
        components.append(component("tuned", ridge, tuned_center, kind, mix))
    temperature = heads.fit_temperature(oof[fair], y[fair])
    frozen_temperature = heads.fit_temperature(base.left_out[fair], y[fair])
    save_head(job, components, temperature, x, oof, background_scores, center)
    counts = np.bincount(y, minlength=k)
    majority, share = int(counts.argmax()), float(counts.max() / counts.sum())
    n = len(job.held)
    held = {
        "split": job.held_name,
        "labels": job.labels,
        "rows": job.held.row.tolist(),
        "truth": job.held.labels.tolist(),
        "candidate": prediction(candidate_scores, temperature),
        "incumbent": incumbent(job),
        "frozen": prediction(frozen_scores, frozen_temperature),
        "baseline": {"prediction": [majority] * n, "confidence": [share] * n},
        "scratch": prediction(candidate_scores, temperature) if job.recipe.random_start else None,
    }
    result = {
        "method": {"asked": job.asked, "used": used(job, mix)},
        "hyperparameters": {**job.recipe.described(), "seed": job.spec["seed"], "lambda": base.lam},
        "tuned_mix": mix,
        "mix_curve": curve,
        "temperature": temperature,
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
        return "linear_probe"
    return "tail_tuning" if job.recipe.method == "fine_tune" and not job.recipe.whole else job.recipe.method


def component(embedding: str, ridge: heads.Ridge, center: Matrix, kind: str, mix: float) -> dict[str, Any]:
    return {"embedding": embedding, "ridge": ridge, "center": center, "transform": kind, "mix": mix}


def save_head(
    job: Job, components: list[dict[str, Any]], temperature: float, x: Matrix, oof: Matrix, background_scores: Matrix, center: Matrix
) -> None:
    y = job.train.labels
    units = heads.unit(x)
    chosen = heads.by_turns(y, heads.SUPPORT_ROWS_MAX)
    tensors: dict[str, Any] = {}
    for i, c in enumerate(components):
        tensors[f"components.{i}.center"] = c["center"].astype(np.float32)
        tensors[f"components.{i}.weight"] = c["ridge"].weight.astype(np.float32)
        tensors[f"components.{i}.bias"] = c["ridge"].bias.astype(np.float32)
    tensors["support.center"] = center.astype(np.float32)
    tensors["support.rows"] = units[chosen].astype(np.float32)
    tensors["support.label_of"] = y[chosen].astype(np.int32)
    open_set = None
    rate = job.spec["false_reject_rate"]
    if rate is not None:
        fair = job.fair()
        similarity = units @ units.T
        np.fill_diagonal(similarity, -np.inf)
        weight = heads.nearest_weight(units[chosen])
        known = (oof.max(1) + weight * similarity.max(1))[fair]
        near = heads.unit(heads.transform(job.base_background, job.backbone.kind, center)) @ units[chosen].T
        threshold = heads.open_set_threshold(known, background_scores.max(1) + weight * near.max(1), rate)
        open_set = {"threshold": threshold, "false_reject_rate": rate, "best_weight": 1, "nearest_weight": weight}
    d = job.backbone.dimension
    metadata = {
        "format": "graft-head-1",
        "labels": job.labels,
        "task": "single_label",
        "temperature": temperature,
        "components": [
            {"embedding": c["embedding"], "name": "ridge", "transform": c["transform"], "dimension": d, "mix": c["mix"]} for c in components
        ],
        "open_set": open_set,
        "support": {"embedding": "base", "transform": job.backbone.kind, "dimension": d},
    }
    write_head(job.out / "head.safetensors", tensors, metadata)


def incumbent(job: Job) -> dict[str, Any] | None:
    given = job.spec["incumbent"]
    if given is None:
        return None
    head = ServedHead(Path(given["head"]))
    tuned = None
    if head.needs_tuned:
        if given["tail"] is None:
            raise EngineError("incumbent_incomplete", "The incumbent's head needs its tail, which is missing.", blame="graft")
        tuned = embed(open_session(Path(given["tail"]), job.spec["limits"]["threads"]), job.held_features)
    scores = head.scores(job.base_held, tuned)
    said = prediction(scores, head.meta["temperature"])
    place = {name: i for i, name in enumerate(job.labels)}
    said["prediction"] = [place.get(head.labels[i], -1) for i in said["prediction"]]
    return said
