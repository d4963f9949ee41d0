"""action `inspect`: the quality of a frozen dataset, row by row, seen through a frozen backbone."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from . import targets
from .data import TRAIN
from .distances import two_sample_test
from .heads import Ints, fit_ridge
from .label_noise import find_label_issues, find_presence_issues, mean_share
from .label_sets import LabelSets, read_label_sets
from .neighbours import merged, near_duplicates, outliers, same_pictures
from .picture_checks import picture_issues
from .survey import Survey, affordable, choose, load, look, open_backbone
from .text_checks import text_issues
from .transferability import out_of_fold_scores
from .wire import Meter, phase, send

ROWS_MAX = 5_000
# What needs no network is asked of more rows: reading so many squares takes a minute at most, comparing them with each other a few seconds.
PLAIN_ROWS_MAX = {"image": 10_000, "text": 50_000}
# Cosine of centred features. Measured: a picture saved again as JPEG of quality 60, cropped a little or mirrored keeps .89 to .97, where 99 of
# 100 different drawings stay below .91; a text with a word less or a greeting more keeps .95 to .99.
NEAR_DUPLICATE = {"image": 0.9, "text": 0.94}
SPLIT_ROWS_MIN = 20


def inspect(spec: dict[str, Any], stopping: list[bool]) -> None:
    """Sends `inspection`. Of a larger dataset a stratified sample of 5,000 rows is looked at, or of as many as `max_seconds` allow; what needs no
    network is asked of PLAIN_ROWS_MAX."""
    phase("inspecting")
    labels: list[str] = spec["dataset"]["labels"]
    backbone = open_backbone(Path(spec["backbone"]["dir"]), spec["modality"], spec["limits"]["threads"])
    sets = read_label_sets(Path(spec["dataset"]["arrays"])) if spec.get("task") == "multi_label" else None
    every = load(spec) if sets is None else sets.by_kind(load(spec))
    rows = choose(every, min(ROWS_MAX, affordable(backbone, every, spec["limits"]["max_seconds"])), spec["seed"])
    seen = look(backbone, rows, stopping, Meter())
    issues, noise, accuracy = label_issues(seen, labels) if sets is None else presence_issues(seen, sets, labels)
    names = [f'"{label}"' for label in labels] if sets is None else sets.names(labels)
    repeated = near_duplicates(seen.x, rows.labels, rows.split, rows.row, names, NEAR_DUPLICATE[spec["modality"]])
    issues += outliers(seen.x, rows.row)
    plain = choose(every, PLAIN_ROWS_MAX[spec["modality"]], spec["seed"])
    if backbone.image:
        blank, small = picture_issues(plain.inputs, plain.row, stopping)
        repeated = merged(repeated, same_pictures(small, plain.labels, plain.split, plain.row, names))
        issues += blank
    else:
        issues += text_issues(list(plain.inputs), plain.row, backbone.folder / backbone.manifest["vocabulary"]["name"])
    issues += repeated
    for issue in issues:
        issue.setdefault("suggested", None)
        issue.setdefault("with", None)
        issue["score"] = float(np.clip(issue["score"], 0, 1))
    issues.sort(key=lambda i: (i["code"], -i["score"], i["row"]))
    # Of all rows: a sample takes the labels in turn.
    counts = np.bincount(every.labels[every.labels >= 0], minlength=len(labels)) if sets is None else sets.counts(every.labels)
    inspection = {
        "rows": len(rows),
        "backbone": spec["backbone"]["id"],
        "issues": issues,
        "summary": dict(sorted(Counter(i["code"] for i in issues).items())),
        "label_noise": noise,
        "cross_validated_accuracy": accuracy,
        "class_balance": class_balance(counts),
        "split_shift": split_shift(seen, spec["seed"]),
    }
    send(type="inspection", inspection=inspection)


def label_issues(seen: Survey, labels: list[str]) -> tuple[list[dict[str, Any]], float | None, float | None]:
    """Suspected labels, the noise share and the cross-validated accuracy of the frozen head on all labelled rows, whatever their split."""
    labelled = np.flatnonzero(seen.rows.labels >= 0)
    y = seen.rows.labels[labelled]
    if len(np.unique(y)) < 2:
        return [], None, None
    # Plain ridge: a head of a kernel follows single wrong labels, and then does not contradict them.
    scores, fair = out_of_fold_scores(seen.x[labelled], y, len(labels), fit=fit_ridge)
    if len(fair) == 0:
        return [], None, None
    noise = find_label_issues(scores[fair], y[fair])
    at, p = labelled[fair], noise.p
    issues = [
        {
            "code": "label_issue",
            "row": int(seen.rows.row[at[i]]),
            "score": float(score),
            "suggested": labels[to],
            "detail": f'Labelled "{labels[y[fair][i]]}" ({p[i, y[fair][i]]:.0%}), but the other rows say "{labels[to]}" ({p[i, to]:.0%}).',
        }
        for i, to, score in zip(noise.rows.tolist(), noise.suggested.tolist(), noise.score.tolist(), strict=True)
    ]
    return issues, noise.share, float((scores[fair].argmax(1) == y[fair]).mean())


def presence_issues(seen: Survey, sets: LabelSets, labels: list[str]) -> tuple[list[dict[str, Any]], float | None, float | None]:
    """The same where rows have several labels: each label by itself is there or not (Thyagarajan et al. 2022). The noise share is of these decisions,
    the accuracy of rows whose labels are all said and no other."""
    labelled = np.flatnonzero(seen.rows.labels >= 0)
    kind = seen.rows.labels[labelled]
    y = sets.sets[kind].astype(np.int64)
    if not targets.teaches(y):
        return [], None, None
    scores, fair = out_of_fold_scores(seen.x[labelled], y, len(labels), fit=fit_ridge)
    if len(fair) == 0:
        return [], None, None
    scores, y, at, names = scores[fair], y[fair], labelled[fair], sets.names(labels)
    issues: list[dict[str, Any]] = []
    found = find_presence_issues(scores, y)
    for c, (label, noise) in enumerate(zip(labels, found, strict=True)):
        p = noise.p[:, 1]
        for i, score in zip(noise.rows.tolist(), noise.score.tolist(), strict=True):
            says = f'"{label}" is there too ({p[i]:.0%})' if y[i, c] == 0 else f'"{label}" is not there ({1 - p[i]:.0%})'
            detail = f"Labelled with {names[kind[fair[i]]]}, but the other rows say that {says}."
            suggested = label if y[i, c] == 0 else None
            issues.append({"code": "label_issue", "row": int(seen.rows.row[at[i]]), "score": score, "suggested": suggested, "detail": detail})
    return issues, mean_share(found), float(targets.right(scores, y).mean())


def class_balance(counts: Ints) -> dict[str, Any] | None:
    """counts: rows of each label. Effective classes: the exponential of the entropy of the shares, so k classes of one size count k."""
    counts = counts[counts > 0]
    if len(counts) == 0:
        return None
    share = counts / counts.sum()
    return {"smallest": int(counts.min()), "largest": int(counts.max()), "effective_classes": float(np.exp(-(share * np.log(share)).sum()))}


def split_shift(seen: Survey, seed: int) -> dict[str, float] | None:
    held = seen.rows.split != TRAIN
    if min(held.sum(), (~held).sum()) < SPLIT_ROWS_MIN:
        return None
    area, p = two_sample_test(seen.x[~held], seen.x[held], seed)
    return {"auc": area, "p_value": p}
