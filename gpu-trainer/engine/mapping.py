"""zero_shot: a head for every label of the dataset, those without a training row among them, from the texts of the labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from . import calibration, heads, zero_shot
from .data import Backbone, embed
from .fit import Fitted, component, linear, prediction
from .heads import Ints, Matrix
from .job import Job
from .kernel import fit_frozen
from .training import Model, Trained
from .wire import EngineError, phase, some_of

SEEN_LABELS_MIN = 2


def needs(spec: dict[str, Any]) -> None:
    method = spec["method"]
    if method.get("type") != "zero_shot":
        return
    if not spec.get("label_texts"):
        raise EngineError("label_texts_missing", "method.type: zero_shot maps into the space of the labels' texts, and the labels have none.")
    unknown = sorted(set(method.get("unseen_labels") or []) - set(spec["dataset"]["labels"]))
    if unknown:
        raise EngineError("options_invalid", f"method.unseen_labels: the dataset has no label {some_of(unknown)}.")


def signatures(job: Job) -> Matrix:
    """Unit rows [labels, a]: each label's text through the text backbone, minus the centre of its background."""
    given = job.spec["label_texts"]
    folder = Path(given["backbone_dir"])
    backbone = Backbone(folder, json.loads((folder / "manifest.json").read_text()), job.spec["limits"]["threads"])
    arrays = load_file(Path(given["tokens"]))
    if len(arrays["lengths"]) < len(job.labels):
        lacking = job.labels[len(arrays["lengths"]) :]
        raise EngineError("label_texts_missing", f"These labels have no text to map to: {some_of(lacking)}.")
    rows = [r[:n].astype(np.int64) for r, n in zip(arrays["input_ids"], arrays["lengths"], strict=True)]
    base, _ = backbone.background()
    x = heads.transform(embed(backbone.tail, [backbone.features_of(r) for r in rows]), backbone.kind, heads.center_of(base, backbone.kind))
    return heads.unit(x)


def without_unseen(job: Job) -> Ints:
    """Drops the rows of unseen labels from the training rows; returns those labels. Labels without a row are unseen in any case."""
    named = [job.labels.index(name) for name in job.options.get("unseen_labels") or []]
    drop = np.isin(job.train.labels, named)
    if (drop & (job.train.row == -1)).any():
        names = sorted({job.labels[c] for c in job.train.labels[drop & (job.train.row == -1)]})
        raise EngineError("options_invalid", f"method.unseen_labels: the classifier has enrolled examples of {some_of(names)}.")
    job.train = job.train.take(np.flatnonzero(~drop))
    job.from_target = np.zeros(len(job.train), dtype=bool)
    seen = np.unique(job.train.labels)
    unseen = np.setdiff1d(np.arange(len(job.labels)), seen)
    if len(seen) < SEEN_LABELS_MIN:
        raise EngineError("too_few_classes", "zero_shot learns its mapping from at least two labels with training examples.")
    if len(unseen) == 0:
        raise EngineError("unseen_labels_missing", "method.unseen_labels: every label has training examples; name those to be kept unseen.")
    return unseen


def learn(job: Job) -> Model:
    """W_c = V s_c, with the constant that seen labels give up in the bias: an ordinary head of one component on the base embedding."""
    unseen = without_unseen(job)
    job.embed_all()
    phase("training")
    s, kind, y, k = signatures(job), job.backbone.kind, job.train.labels, len(job.labels)
    center = heads.center_of(job.base_background, kind)
    x = heads.transform(job.base_train, kind, center)
    name = job.options.get("mapping") or "eszsl"
    penalties, tried = zero_shot.choose_penalties(x, y, s) if name == "eszsl" else (None, [])

    def fit(a: Matrix, b: Ints, c: Matrix) -> Matrix:
        return zero_shot.devise(a, b, c, job.spec["seed"]) if penalties is None else zero_shot.eszsl(a, b, c, penalties)

    bias = np.zeros(k)
    constant = zero_shot.give_up(x, y, s, fit)
    bias[np.setdiff1d(np.arange(k), unseen)] = -constant
    oof = np.zeros((len(y), k))
    halves = heads.turns(y) % 2
    for half in (0, 1):
        inside, outside = np.flatnonzero(halves != half), np.flatnonzero(halves == half)
        if len(outside) and len(np.unique(y[inside])) > 1:
            oof[outside] = x[outside] @ fit(x[inside], y[inside], s) @ s.T + bias
    mapped = heads.Ridge(weight=s @ fit(x, y, s).T, bias=bias, lam=penalties.gamma if penalties else 0.0, left_out=oof)
    held = heads.transform(job.base_held, kind, center)
    frozen = fit_frozen(x, y, k, heads.usual_scale(job.base_background, kind))
    candidate = mapped.scores(held)
    fair = job.fair()
    fitted = Fitted(
        base=frozen,
        center=center,
        x=x,
        components=[component("base", linear(mapped, name), center, kind, 1.0)],
        frozen=frozen.scores(held),
        candidate=candidate,
        background=mapped.scores(heads.transform(job.base_background, kind, center)),
        oof=oof,
        temperature=calibration.fit_temperature(oof[fair], y[fair]),
    )
    figures = zero_shot.generalised(candidate, job.held.labels, unseen)
    if figures["unseen_rows"] == 0:
        job.notes.append("No held-out row has an unseen label, so what the mapping is worth on new labels could not be measured.")
    job.evidence["zero_shot"] = {
        "mapping": name,
        "unseen_labels": [job.labels[c] for c in unseen],
        **figures,
        **({"gamma": penalties.gamma, "lambda": penalties.lam} if penalties else {}),
        "left_out_labels_accuracy": max((t["accuracy"] for t in tried), default=None),
        "seen_labels_give_up": constant,
    }
    return Model(Trained(None, 0.0, [], oof, None), fitted, names_alone(job, s, held, x))


def names_alone(job: Job, s: Matrix, held: Matrix, x: Matrix) -> dict[str, Any]:
    """Cosine to the labels' texts without any mapping: texts only, as pictures do not live in that space."""
    if job.image or s.shape[1] != x.shape[1]:
        return {}
    scores = heads.unit(x) @ s.T
    return {"zero_shot": prediction(heads.unit(held) @ s.T, calibration.fit_temperature(scores, job.train.labels))}
