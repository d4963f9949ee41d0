"""domain_adaptation and domain_confusion: a labelled source, a target that is unlabelled or partly labelled, and the same without adaptation."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from . import calibration, heads, ranks
from .course import RUN
from .data import Rows, embed, join
from .export import Floats, open_session
from .fit import Fitted, fit, scores_of
from .job import Job
from .losses.alignment import source_only
from .losses.coral import coral_loss
from .losses.mmd import mmd_loss
from .multi_task import paired_interval as interval
from .recipe import alignment_of
from .training import Model, Trained, train_once
from .validators import information_maximisation, soft_neighbourhood_density
from .wire import EngineError, say

METHODS = ("domain_adaptation", "domain_confusion")
SEEDS = 3
FROM_TARGET = -2


def needs(spec: dict[str, Any]) -> None:
    """Raises EngineError where there is nothing to adapt to, or nothing that could be adapted."""
    method = spec["method"]
    if method.get("type") not in METHODS:
        return
    if not spec.get("target") and not spec.get("source"):
        raise EngineError(
            "target_missing", f"method.type: {method['type']} needs a target_dataset: inputs of the domain that it is for, with or without labels."
        )
    if method.get("alignment") == "adabn" and spec["modality"] != "image":
        why = "the text backbone normalises each token by itself (layer norm) and keeps no statistics of a domain"
        raise EngineError("method_unavailable", f"method.alignment: adabn is for pictures; {why}. Use coral or mmd.")


def prepare(job: Job) -> None:
    """The target's labelled rows join the training rows (`row` FROM_TARGET); says so when nothing of the target can be held out."""
    assert job.target is not None
    if len(job.target) < 2:
        raise EngineError("target_missing", f"The target dataset has {len(job.target)} rows for training; adaptation needs more.")
    known = np.flatnonzero(job.target.labels >= 0)
    few = job.target.take(known)
    job.train = join(job.train, Rows(few.inputs, few.labels, few.split, np.full(len(few), FROM_TARGET, dtype=np.int64)))
    job.from_target = job.train.row == FROM_TARGET
    job.evidence["target_rows"] = {"training": len(job.target), "labelled": len(known), "held_out": len(job.held) if job.judged_by_target else 0}
    if not job.judged_by_target:
        job.notes.append("The target has no labelled held-out rows: every figure is of the source, and what adaptation gained there is not known.")


def aside(job: Job, name: str, seed: int) -> Job:
    """The same job for a comparison: its own folder, seed and notes, and its own part of the ledger."""
    other = copy.copy(job)
    other.spec, other.run, other.after = {**job.spec, "seed": seed}, name, []
    other.out = job.out / name
    other.out.mkdir(exist_ok=True)
    other.notes, other.evidence = [], {}
    return other


def accuracy(job: Job, fitted: Fitted) -> float:
    return float((fitted.candidate.argmax(1) == job.held.labels).mean())


def certainty(fitted: Fitted) -> float:
    """Information maximisation on the target's training rows, which needs none of their labels."""
    assert fitted.there is not None
    return information_maximisation(calibration.softmax(fitted.there, fitted.temperature))


def median(values: list[float]) -> int:
    """Where the (lower) median stands."""
    return int(np.argsort(values, kind="stable")[(len(values) - 1) // 2])


def adapt(job: Job) -> Model:
    """The adapted model, its heads, and the answers of the same method without adaptation on the same held-out rows.

    domain_confusion runs once a seed and serves the median by information maximisation on the target's training rows: neither the luckiest nor the
    unluckiest draw, and no held-out label has a say in which.
    """
    prepare(job)
    count = int(job.options.get("seeds") or SEEDS) if job.recipe.method == "domain_confusion" else 1
    seeds = [job.spec["seed"] + i for i in range(count)]
    # The other seeds, and the same without adaptation.
    job.after = [*RUN] * count
    job.embed_all()
    runs: list[tuple[Job, Trained, Fitted]] = []
    for i, seed in enumerate(seeds):
        run = job if i == 0 else aside(job, f"seed{seed}", seed)
        run.after = [*RUN] * (len(seeds) - i)
        if len(seeds) > 1:
            say(f"seed {seed}, {i + 1} of {len(seeds)}")
        trained = train_once(run)
        runs.append((run, trained, fit(run, trained.mix, trained.oof, trained.tuned)))
    sure = [certainty(fitted) for _, _, fitted in runs]
    chosen = ranks.from_first(lambda: median(sure))
    run, trained, fitted = runs[chosen]
    if run is not job:
        trained = brought(job, trained)
        job.notes += run.notes
    without, plain = unadapted(job)
    ours = fitted.candidate.argmax(1) == job.held.labels
    theirs = plain.candidate.argmax(1) == job.held.labels
    low, high = interval(ours, theirs, job.spec["seed"])
    job.evidence["adaptation"] = {
        "method": alignment_of(job.options, job.spec["modality"]) if job.recipe.method == "domain_adaptation" else "dann",
        "accuracy": float(ours.mean()),
        "source_only_accuracy": float(theirs.mean()),
        "difference": float(ours.mean() - theirs.mean()),
        "interval": {"low": low, "high": high},
        "judged_by": "target" if job.judged_by_target else "source",
    }
    if len(seeds) > 1:
        job.evidence["seeds"] = [
            {"seed": s, "accuracy": accuracy(job, r[2]), "information_maximisation": v, "served": i == chosen}
            for i, (s, r, v) in enumerate(zip(seeds, runs, sure, strict=True))
        ]
    if high < 0:
        job.notes.append("Negative transfer: adapting made the held-out rows worse than the same method without it, beyond doubt.")
    job.evidence |= unlabelled_evidence(job, trained, fitted, without, plain)
    return Model(trained, fitted, {"source_only": plain.answers()})


def unadapted(job: Job) -> tuple[Trained, Fitted]:
    """The same method without its adaptation, on the same rows and from the same seed."""
    say("the same without adaptation")
    plain = aside(job, "source-only", job.spec["seed"])
    plain.recipe = replace(job.recipe, objective=source_only, adapts_statistics=False, aligns_heads=False)
    trained = train_once(plain)
    return trained, fit(plain, trained.mix, trained.oof, trained.tuned)


def brought(job: Job, trained: Trained) -> Trained:
    """The files of a run beside the job, moved into the job's own folder."""
    if trained.tuned is None:
        return trained
    files = [job.out / p.name for p in trained.tuned.files]
    moves = list(zip(trained.tuned.files, files, strict=True))
    ranks.from_first(lambda: [os.replace(old, new) for old, new in moves])
    return replace(trained, tuned=replace(trained.tuned, files=files))


def unlabelled_evidence(job: Job, ours: Trained, fitted: Fitted, theirs: Trained, plain: Fitted) -> dict[str, Any]:
    """Label-free validators on the target's training rows, and how far apart the domains' embeddings are, adapted and not."""
    assert job.target is not None
    kind = job.backbone.kind
    base = job.base_target
    own = ~job.from_target

    def through(run: Trained) -> Floats | None:
        if run.tuned is None or run.tuned.target is not None:
            return None if run.tuned is None else run.tuned.target
        tail = open_session(next(p for p in run.tuned.files if p.name == "tail.onnx"), job.spec["limits"]["threads"])
        return embed(tail, job.target_features, job.check_stop)

    def distance(a: Floats, b: Floats) -> dict[str, float]:
        x, z = (torch.from_numpy(heads.transform(v, kind) * np.sqrt(v.shape[1])).float() for v in (a, b))
        return {"coral": float(coral_loss(x, z)), "mmd": float(mmd_loss(x[:512], z[:512]))}

    validators, distances = {}, {"frozen": distance(job.base_train[own], base)}
    for name, run, head in (("adapted", ours, fitted), ("source_only", theirs, plain)):
        embedding = through(run)
        p = calibration.softmax(scores_of(head, kind, base, embedding), head.temperature)
        validators[name] = {"information_maximisation": information_maximisation(p), "soft_neighbourhood_density": soft_neighbourhood_density(p)}
        if embedding is not None and run.tuned is not None:
            distances[name] = distance(run.tuned.train[own], embedding)
    return {"validators": validators, "domain_distance": distances}
