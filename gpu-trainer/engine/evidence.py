"""The figures that advice and `auto` rest on: what the frozen head reaches, how far the target lies, and what trials on these rows brought."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from . import targets
from . import transferability as measure
from .calibration import fit_temperature, softmax
from .data import Rows
from .distances import Distance, between
from .heads import Ints, Matrix, fit_ridge
from .label_noise import noise_share
from .probe import PROBE_ROWS_MIN, ROWS_PER_CLASS, Trial, aligned, measurable, tuned_tail
from .recommend import Evidence
from .survey import Sample, Survey

TARGET_LABELLED_MIN = 20


@dataclass(frozen=True)
class Found:
    evidence: Evidence
    trials: list[dict[str, Any]]
    notes: list[str]


def gather(
    seen: Survey,
    kept: Ints,
    drawn: Sample,
    there: Survey | None,
    place: Ints,
    *,
    seed: int,
    device: torch.device,
    stopping: list[bool],
) -> Found:
    """`seen`: the labelled rows of `drawn`, `kept` of them with activations. `there`: the target, whose label `i` is `place[i]` here."""
    y, classes, present = seen.rows.labels, len(drawn.counts), drawn.groups
    scores, fair = measure.out_of_fold_scores(seen.x, y, classes, fit=seen.fit)
    right = targets.right(scores, y)[fair]
    at_home = measure.weighted_share(right, drawn.weights[fair])
    started = time.perf_counter()
    head = seen.fit(seen.x, y, classes)
    head_seconds = time.perf_counter() - started
    accuracy, interval = at_home
    notes: list[str] = []
    trials: list[dict[str, Any]] = []
    distance: Distance | None = None
    aligning: Trial | None = None
    judged_there = False
    if there is not None and len(there.rows) >= 10:
        distance = between(seen.x, there.x, seed)
        truth = place[there.rows.labels]
        temperature = fit_temperature(scores[fair], y[fair])
        accuracy, interval, note = on_target(head.scores(there.x), truth, temperature, at_home if len(fair) else None)
        judged_there = int((truth >= 0).sum()) >= TARGET_LABELLED_MIN
        notes.append(note)
        aligning = aligned(seen, there.x, truth, classes, seed)
        trials += [aligning.told("aligning")] if aligning else []
    elif there is not None:
        notes.append("The target has fewer than 10 rows: too few to say how far it lies.")
    tunable = not seen.backbone.added
    tuning = tuned_tail(seen, kept, seed, device, stopping) if tunable and len(kept) else None
    trials += [tuning.told("tuning")] if tuning else []
    evidence = Evidence(
        modality="image" if seen.backbone.image else "text",
        rows=drawn.rows,
        classes=int((drawn.counts > 0).sum()),
        typical=int(np.median(present)),
        missing=max(int(np.maximum(ROWS_PER_CLASS - present, 0).sum()), PROBE_ROWS_MIN - int(present[present >= ROWS_PER_CLASS].sum()), 0),
        accuracy=accuracy,
        interval=interval,
        at_home=at_home,
        chance=targets.most_frequent_share(y, drawn.weights),
        trunk_seconds=seen.trunk_seconds,
        tail_seconds=seen.tail_seconds,
        head_seconds=head_seconds,
        distance=distance,
        label_noise=noise_of(seen.x, y, classes),
        target_rows=len(there.rows) if there else 0,
        tuning=tuning,
        aligning=aligning,
        tunable=tunable,
        least_recall=measure.least_recall(scores[fair], y[fair]) if len(fair) else None,
        judged_there=judged_there,
        several=targets.several(y),
    )
    return Found(evidence, trials, notes)


def noise_of(x: Matrix, y: Ints, classes: int) -> float | None:
    """Share of labels that look wrong, by plain ridge as in the quality report: a head of a kernel follows single wrong labels."""
    scores, fair = measure.out_of_fold_scores(x, y, classes, fit=fit_ridge)
    return noise_share(scores[fair], y[fair]) if len(fair) else None


def places(names: list[str], labels: list[str]) -> Ints:
    """Where each of `names` stands in `labels`, −1 where it does not; the last entry is that of a row without a label."""
    return np.array([labels.index(n) if n in labels else -1 for n in names] + [-1], dtype=np.int64)


def on_target(said: Matrix, truth: Ints, temperature: float, at_home: tuple[float, dict[str, float]] | None) -> tuple[float, dict[str, float], str]:
    """Accuracy of the source's head on the target: measured where the target has labels, else by its mean calibrated confidence
    (Guillory et al. 2021), which is too high under shift, so the interval reaches down by as much as it lies above chance. A head is surest of rows
    that resemble those it was fitted on, so a guess is never better than what was left out `at_home`."""
    known = np.flatnonzero(truth >= 0)
    if len(known) >= TARGET_LABELLED_MIN:
        right = int((said.argmax(1) == truth)[known].sum())
        return (
            right / len(known),
            measure.wilson(right, len(known)),
            f"On {len(known)} labelled target rows the source's head is right {right} times.",
        )
    sure = float(softmax(said, temperature).max(axis=1).mean())
    most, around = at_home or (1.0, {"low": 1.0, "high": 1.0})
    low, high = max(1 / said.shape[1], 2 * sure - 1), sure + (1 - sure) / 2
    text = f"The target has no labels to measure by; the accuracy there is guessed from the head's mean confidence of {sure:.0%}"
    text += f", and as no better than the {most:.0%} of left-out rows." if sure > most else "."
    return min(sure, most), {"low": min(low, around["low"]), "high": min(high, around["high"])}, text


def kept_rows(rows: Rows, tunable: bool) -> Ints:
    """Rows whose activations a trial of tuning needs."""
    return measurable(rows.labels) if tunable else np.zeros(0, dtype=np.int64)
