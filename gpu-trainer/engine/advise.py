"""action `advise`: what, when and how to transfer, from what can be measured on frozen embeddings in minutes."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from . import targets
from . import transferability as measure
from .calibration import softmax
from .data import Backbone
from .evidence import Found, gather, kept_rows, places
from .export import Floats
from .heads import Ints, Matrix
from .recommend import NOISY, Evidence, decide, distance_words, finds_each, gain_words, options_of, summary_of
from .survey import Sample, Survey, choose, load, look, open_backbone, sample
from .wire import EngineError, Meter, phase, say, send

ROWS_MAX = 2_000


def advise(spec: dict[str, Any], stopping: list[bool]) -> None:
    """Sends `advice`. Of a larger dataset a stratified sample of 2,000 labelled rows is looked at; costs are for all rows."""
    phase("loading")
    labels: list[str] = spec["dataset"]["labels"]
    several = spec.get("task") == "multi_label"
    if several and spec.get("target"):
        raise EngineError("options_invalid", "target: advice on another domain is for rows of one label; leave it out.")
    every = load(spec, several=several)
    labelled = every.take(np.flatnonzero(every.labelled))
    if not targets.teaches(labelled.labels):
        needed = "rows with a label and rows without it" if several else "labelled rows of at least two labels"
        raise EngineError("too_few_classes", f"Advice needs {needed}.")
    drawn = sample(labelled.labels, len(labels), ROWS_MAX, spec["seed"])
    rows = labelled.take(drawn.picked)
    device = torch.device("cuda" if spec["device"] != "cpu" and torch.cuda.is_available() else "cpu")
    target = choose(load(spec, "target"), ROWS_MAX, spec["seed"]) if spec.get("target") else None
    phase("advising")
    given = spec.get("backbones") or [spec["backbone"]]
    judged: list[tuple[Survey, dict[str, Any]]] = []
    meter = Meter()
    share = len(rows) / (len(rows) + (len(target) if target else 0))
    kept: list[Ints] = []
    for i, b in enumerate(given):
        backbone = open_backbone(Path(b["dir"]), spec["modality"], spec["limits"]["threads"])
        kept.append(kept_rows(rows, not backbone.added))
        seen = look(backbone, rows, stopping, meter, (i * share / len(given), (i + 1) * share / len(given)), kept[i])
        judged.append((seen, judge(seen, b["id"], drawn)))
        say(f"{b['id']}: {judged[-1][1]}")
    # The evidence that counts is left-out accuracy; LogME decides between equals.
    at = max(range(len(judged)), key=lambda i: (round(judged[i][1]["accuracy"] or 0, 3), judged[i][1]["log_me"]))
    seen, best = judged[at]
    there = look(seen.backbone, target, stopping, meter, (share, 1.0)) if target else None
    place = places(spec["target"]["labels"] if target else [], labels)
    found = gather(seen, kept[at], drawn, there, place, seed=spec["seed"], device=device, stopping=stopping)
    send(type="advice", advice=compose(spec, seen, best, [j[1] for j in judged], found, drawn))


def judge(seen: Survey, name: str, drawn: Sample) -> dict[str, Any]:
    y, classes = seen.rows.labels, len(drawn.counts)
    scores, fair = measure.out_of_fold_scores(seen.x, y, classes, fit=seen.fit)
    accuracy, interval = measure.weighted_share(targets.right(scores, y)[fair], drawn.weights[fair])
    own = own_classes(seen.backbone, seen.raw)
    return {
        "backbone": name,
        "accuracy": accuracy if len(fair) else None,
        "interval": interval if len(fair) else None,
        "log_me": measure.log_me(seen.x, y, classes),
        "h_score": measure.h_score(seen.x, y),
        "leep": None if own is None else measure.leep(own, y, classes),
        "embed_seconds": seen.embed_seconds * drawn.rows,
    }


def own_classes(backbone: Backbone, raw: Floats) -> Matrix | None:
    """Probabilities of the classes that the backbone was trained on, where its weights still have that head."""
    if backbone.manifest["weights"] is None:
        return None
    weights = load_file(backbone.folder / backbone.manifest["weights"]["name"])
    if "_fc.weight" not in weights:
        return None
    own = raw[:, : weights["_fc.weight"].shape[1]]
    return softmax(own.astype(np.float64) @ weights["_fc.weight"].T.astype(np.float64) + weights["_fc.bias"], 1.0)


def compose(
    spec: dict[str, Any],
    seen: Survey,
    best: dict[str, Any],
    backbones: list[dict[str, Any]],
    found: Found,
    drawn: Sample,
) -> dict[str, Any]:
    evidence = found.evidence
    curve, _ = measure.learning_curve(seen.x, seen.rows.labels, len(drawn.counts), drawn.weights, spec["seed"], seen.fit)
    options = options_of(evidence)
    chosen, when = decide(evidence, options)
    notes = [*found.notes, *notes_of(evidence, curve, len(seen.rows))]
    layers = {"linear_probe": "head", "domain_adaptation": "last_blocks"}.get(chosen["method"], chosen["options"].get("depth", "last_blocks"))
    why = f"Cross-validated {best['accuracy'] or 0:.1%} with a frozen head, LogME {best['log_me']:.2f}"
    why += "; the only backbone of this modality." if len(backbones) == 1 else f"; the best of {len(backbones)} backbones."
    distance = evidence.distance
    return {
        "summary": summary_of(evidence, best["backbone"], chosen, when, "machine's CPU"),
        "what": {"backbone": best["backbone"], "layers": layers, "because": why},
        "when": when,
        "how": {k: chosen[k] for k in ("method", "options", "because")},
        "expected": {
            "accuracy": chosen["expected_accuracy"],
            "interval": chosen["interval"],
            "gain_over_frozen": chosen["expected_accuracy"] - evidence.accuracy,
            "seconds": chosen["seconds"],
            "device": "cpu",
            "basis": chosen["basis"],
        },
        "backbones": backbones,
        "learning_curve": curve,
        "distance": None if distance is None else {**vars(distance), "kind": distance.kind, "because": distance_words(distance) + "."},
        "label_noise": evidence.label_noise,
        "options": options,
        "trials": found.trials,
        "notes": notes,
    }


def notes_of(e: Evidence, curve: list[dict[str, Any]], looked_at: int) -> list[str]:
    notes = [text for text in [gain_words(curve)] if text]
    if e.label_noise is not None and e.label_noise >= NOISY:
        notes.append(f"About {e.label_noise:.0%} of the labels look wrong; look at the dataset's quality report first, and leave those rows out.")
    if e.several:
        notes.append("Accuracy is the share of inputs whose labels are all said and no other.")
    if e.at_home[1]["high"] <= e.chance and finds_each(e):
        text = f"Always answering the most frequent {e.most_frequent} would be right in {e.chance:.0%}, and find nothing else; this head"
        if e.several:
            notes.append(f"{text} is right about a label in at least {e.least_recall:.0%}, rows with and without it counting alike.")
        else:
            notes.append(f"{text} finds on average at least {e.least_recall:.0%} of the rows of a label.")
    if looked_at < e.rows:
        notes.append(f"Measured on {looked_at} of {e.rows} labelled rows, drawn evenly over the classes and weighed by how many rows each has.")
    return notes
