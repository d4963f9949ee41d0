"""action `advise`: what, when and how to transfer, from what can be measured on frozen embeddings in minutes."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from . import transferability as measure
from .data import Backbone, Rows
from .distances import Distance, between
from .export import Floats
from .heads import Ints, Matrix, fit_temperature, softmax
from .kernel import fit_frozen
from .label_noise import find_label_issues
from .recommend import NOISY, TUNE_FROM, Evidence, decide, distance_words, gain_words, options_of, summary_of
from .survey import Survey, choose, load, look, open_backbone
from .wire import EngineError, Meter, phase, say, send

ROWS_MAX = 2_000
TARGET_LABELLED_MIN = 20


def advise(spec: dict[str, Any], stopping: list[bool]) -> None:
    """Sends `advice`. Of a larger dataset a stratified sample of 2,000 labelled rows is looked at; costs are for all rows."""
    phase("loading")
    labels: list[str] = spec["dataset"]["labels"]
    every = load(spec)
    labelled = every.take(np.flatnonzero(every.labels >= 0))
    counts = np.bincount(labelled.labels, minlength=len(labels))
    if (counts > 0).sum() < 2:
        raise EngineError("too_few_classes", "Advice needs labelled rows of at least two labels.")
    rows = choose(labelled, ROWS_MAX, spec["seed"])
    target = choose(load(spec, "target"), ROWS_MAX, spec["seed"]) if spec.get("target") else None
    phase("advising")
    given = spec.get("backbones") or [spec["backbone"]]
    judged: list[tuple[Survey, dict[str, Any]]] = []
    meter = Meter(0)
    share = len(rows) / (len(rows) + (len(target) if target else 0))
    for i, b in enumerate(given):
        backbone = open_backbone(Path(b["dir"]), spec["modality"], spec["limits"]["threads"])
        seen = look(backbone, rows, stopping, meter, (i * share / len(given), (i + 1) * share / len(given)))
        judged.append((seen, judge(seen, b["id"], len(labels), len(labelled))))
        say(f"{b['id']}: {judged[-1][1]}")
    # The evidence that counts is left-out accuracy; LogME decides between equals.
    seen, best = max(judged, key=lambda j: (round(j[1]["accuracy"] or 0, 3), j[1]["log_me"]))
    there = look(seen.backbone, target, stopping, meter, (share, 1.0)) if target else None
    send(type="advice", advice=compose(spec, seen, best, [j[1] for j in judged], there, labelled, counts))


def judge(seen: Survey, name: str, classes: int, rows: int) -> dict[str, Any]:
    y = seen.rows.labels
    scores, fair = measure.out_of_fold_scores(seen.x, y, classes)
    right = int((scores.argmax(1) == y)[fair].sum())
    own = own_classes(seen.backbone, seen.raw)
    return {
        "backbone": name,
        "accuracy": right / len(fair) if len(fair) else None,
        "interval": measure.wilson(right, len(fair)) if len(fair) else None,
        "log_me": measure.log_me(seen.x, y, classes),
        "h_score": measure.h_score(seen.x, y),
        "leep": None if own is None else measure.leep(own, y, classes),
        "embed_seconds": seen.embed_seconds * rows,
    }


def own_classes(backbone: Backbone, raw: Floats) -> Matrix | None:
    """Probabilities of the classes that the backbone was trained on, where its weights still have that head."""
    if backbone.manifest["weights"] is None:
        return None
    weights = load_file(backbone.folder / backbone.manifest["weights"]["name"])
    if "_fc.weight" not in weights or weights["_fc.weight"].shape[1] != raw.shape[1]:
        return None
    return softmax(raw.astype(np.float64) @ weights["_fc.weight"].T.astype(np.float64) + weights["_fc.bias"], 1.0)


def compose(
    spec: dict[str, Any],
    seen: Survey,
    best: dict[str, Any],
    backbones: list[dict[str, Any]],
    there: Survey | None,
    labelled: Rows,
    counts: Ints,
) -> dict[str, Any]:
    y, classes = seen.rows.labels, len(counts)
    scores, fair = measure.out_of_fold_scores(seen.x, y, classes)
    temperature = fit_temperature(scores[fair], y[fair])
    noise = find_label_issues(softmax(scores[fair], temperature), y[fair]).share if len(fair) else None
    started = time.perf_counter()
    head = fit_frozen(seen.x, y, classes)
    head_seconds = time.perf_counter() - started
    curve, _ = measure.learning_curve(seen.x, y, classes, spec["seed"])
    notes: list[str] = []
    distance: Distance | None = None
    accuracy, interval = best["accuracy"] or 0.0, best["interval"] or {"low": 0.0, "high": 1.0}
    if there is not None and len(there.rows) >= 10:
        distance = between(seen.x, there.x, spec["seed"])
        said = head.scores(there.x)
        accuracy, interval, note = on_target(said, spec["target"]["labels"], there.rows, spec["dataset"]["labels"], temperature)
        notes.append(note)
    elif there is not None:
        notes.append("The target has fewer than 10 rows: too few to say how far it lies.")
    present = counts[counts > 0]
    need = TUNE_FROM[spec["modality"]]
    evidence = Evidence(
        modality=spec["modality"],
        rows=len(labelled),
        classes=len(present),
        typical=int(np.median(present)),
        missing=int(np.maximum(need - present, 0).sum()),
        accuracy=accuracy,
        interval=interval,
        at_home=(best["accuracy"] or 0.0, best["interval"] or {"low": 0.0, "high": 1.0}),
        chance=float(present.max() / present.sum()),
        trunk_seconds=seen.trunk_seconds,
        tail_seconds=seen.tail_seconds,
        head_seconds=head_seconds,
        distance=distance,
        label_noise=noise,
        tunable=not seen.backbone.added,
        target_rows=len(there.rows) if there else 0,
    )
    options = options_of(evidence)
    chosen, when = decide(evidence, options)
    notes += notes_of(evidence, curve, len(seen.rows))
    layers = {"linear_probe": "head", "domain_adaptation": "last_blocks"}.get(chosen["method"], chosen["options"].get("depth", "last_blocks"))
    why = f"Cross-validated {best['accuracy'] or 0:.1%} with a frozen head, LogME {best['log_me']:.2f}"
    why += "; the only backbone of this modality." if len(backbones) == 1 else f"; the best of {len(backbones)} backbones."
    return {
        "summary": summary_of(evidence, best["backbone"], chosen, when, "machine's CPU"),
        "what": {"backbone": best["backbone"], "layers": layers, "because": why},
        "when": when,
        "how": {k: chosen[k] for k in ("method", "options", "because")},
        "expected": {
            "accuracy": chosen["expected_accuracy"],
            "interval": chosen["interval"],
            "gain_over_frozen": chosen["expected_accuracy"] - accuracy,
            "seconds": chosen["seconds"],
            "device": "cpu",
        },
        "backbones": backbones,
        "learning_curve": curve,
        "distance": None if distance is None else {**vars(distance), "kind": distance.kind, "because": distance_words(distance) + "."},
        "label_noise": noise,
        "options": options,
        "notes": notes,
    }


def on_target(said: Matrix, names: list[str], rows: Rows, labels: list[str], temperature: float) -> tuple[float, dict[str, float], str]:
    """Accuracy of the source's head on the target: measured where the target has labels, else by its mean calibrated confidence
    (Guillory et al. 2021), which is too high under shift, so the interval reaches down by as much as it lies above chance."""
    place = np.array([labels.index(n) if n in labels else -1 for n in names] + [-1], dtype=np.int64)
    truth = place[rows.labels]
    known = np.flatnonzero((rows.labels >= 0) & (truth >= 0))
    if len(known) >= TARGET_LABELLED_MIN:
        right = int((said.argmax(1) == truth)[known].sum())
        return (
            right / len(known),
            measure.wilson(right, len(known)),
            f"On {len(known)} labelled target rows the source's head is right {right} times.",
        )
    sure = float(softmax(said, temperature).max(axis=1).mean())
    floor = 1 / said.shape[1]
    text = f"The target has no labels to measure by; the accuracy there is guessed from the head's mean confidence of {sure:.0%}."
    return sure, {"low": max(floor, 2 * sure - 1), "high": min(1.0, sure + (1 - sure) / 2)}, text


def notes_of(e: Evidence, curve: list[dict[str, Any]], looked_at: int) -> list[str]:
    notes = [text for text in [gain_words(curve)] if text]
    if e.label_noise is not None and e.label_noise >= NOISY:
        notes.append(f"About {e.label_noise:.0%} of the labels look wrong; look at the dataset's quality report first, and leave those rows out.")
    if looked_at < e.rows:
        notes.append(f"Measured on {looked_at} of {e.rows} labelled rows, drawn evenly over the classes.")
    return notes
