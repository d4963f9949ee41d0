"""action `inspect`: the quality of a frozen dataset, row by row, seen through a frozen backbone."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from .calibration import fit_temperature, softmax
from .data import TRAIN
from .distances import two_sample_test
from .heads import Ints, fit_ridge
from .label_noise import find_label_issues
from .label_sets import read_label_sets
from .neighbours import near_duplicates, outliers
from .picture_checks import picture_issues
from .survey import Survey, affordable, choose, load, look, open_backbone
from .text_checks import text_issues
from .transferability import out_of_fold_scores
from .wire import Meter, phase, send

ROWS_MAX = 5_000
# Cosine of centred features. Measured: a picture saved again as JPEG of quality 60, cropped a little or mirrored keeps .89 to .97, where 99 of
# 100 different drawings stay below .91; a text with a word less or a greeting more keeps .95 to .99.
NEAR_DUPLICATE = {"image": 0.9, "text": 0.94}
SPLIT_ROWS_MIN = 20
NOT_JUDGED = (
    "Labels of single rows were not questioned: rows of this dataset may have several labels, and confident learning compares one with another. "
    "Rows that are nearly the same and have other labels are listed as conflicting duplicates."
)


def inspect(spec: dict[str, Any], stopping: list[bool]) -> None:
    """Sends `inspection`. Of a larger dataset a stratified sample of 5,000 rows is looked at, or of as many as `max_seconds` allow."""
    phase("inspecting")
    labels: list[str] = spec["dataset"]["labels"]
    backbone = open_backbone(Path(spec["backbone"]["dir"]), spec["modality"], spec["limits"]["threads"])
    sets = read_label_sets(Path(spec["dataset"]["arrays"])) if spec.get("task") == "multi_label" else None
    every = load(spec) if sets is None else sets.by_kind(load(spec))
    rows = choose(every, min(ROWS_MAX, affordable(backbone, every, spec["limits"]["max_seconds"])), spec["seed"])
    seen = look(backbone, rows, stopping, Meter(0))
    issues, noise, accuracy = label_issues(seen, labels) if sets is None else ([], None, None)
    names = [f'"{label}"' for label in labels] if sets is None else sets.names(labels)
    issues += near_duplicates(seen.x, rows.labels, rows.split, rows.row, names, NEAR_DUPLICATE[spec["modality"]])
    issues += outliers(seen.x, rows.row)
    if backbone.image:
        issues += picture_issues(rows.inputs, rows.row)
    else:
        issues += text_issues(list(rows.inputs), rows.row, backbone.folder / backbone.manifest["vocabulary"]["name"])
    for issue in issues:
        issue.setdefault("suggested", None)
        issue.setdefault("with", None)
        issue["score"] = float(np.clip(issue["score"], 0, 1))
    issues.sort(key=lambda i: (i["code"], -i["score"], i["row"]))
    counts = np.bincount(rows.labels[rows.labels >= 0], minlength=len(labels)) if sets is None else sets.counts(rows.labels)
    inspection = {
        "rows": len(rows),
        "backbone": spec["backbone"]["id"],
        "issues": issues,
        "summary": dict(sorted(Counter(i["code"] for i in issues).items())),
        "label_noise": noise,
        "cross_validated_accuracy": accuracy,
        "class_balance": class_balance(counts),
        "split_shift": split_shift(seen, spec["seed"]),
        "notes": [] if sets is None else [NOT_JUDGED],
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
    p = softmax(scores[fair], fit_temperature(scores[fair], y[fair]))
    noise = find_label_issues(p, y[fair])
    at = labelled[fair]
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
    return issues, noise.share, float((p.argmax(1) == y[fair]).mean())


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
