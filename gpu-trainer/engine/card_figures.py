"""The figures of a model card that depend on whether a row has one label or several: contenders beside each other, labels, plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import plots

CONTENDERS = ("candidate", "incumbent", "frozen", "source_only", "zero_shot", "scratch", "baseline")
NAMES = {
    "candidate": "this model",
    "incumbent": "served when it was trained",
    "frozen": "head on the frozen backbone",
    "source_only": "same method without adaptation",
    "zero_shot": "label names alone",
    "scratch": "same network from random weights",
    "baseline": "majority class",
}
Z_95 = 1.959964
Row = list[str]


@dataclass(frozen=True)
class Figures:
    """Tables as a head and rows; `said`: what their figures mean; `pictures`: SVG by file name."""

    contenders: tuple[Row, list[Row]]
    classes: tuple[Row, list[Row]]
    said: str
    pictures: dict[str, str]


def figures_of(held: dict[str, Any]) -> Figures:
    return of_several(held) if held.get("task") == "multi_label" else of_one(held)


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    p, z2 = right / n, Z_95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def share_words(right: int, n: int) -> Row:
    low, high = wilson(right, n)
    return [f"{right / max(n, 1):.1%}", f"{low:.1%} – {high:.1%}"]


def error_of(bins: Sequence[dict[str, float]]) -> str:
    return f"{plots.expected_calibration_error(bins):.3f}"


def recalls(held: dict[str, Any], who: str) -> list[tuple[int, int]]:
    """`(rows, right)` by label."""
    labels = len(held["labels"])
    truth, said = np.asarray(held["truth"]), np.asarray(held[who]["prediction"])
    return [(int((truth == k).sum()), int(((truth == k) & (said == k)).sum())) for k in range(labels)]


def of_one(held: dict[str, Any]) -> Figures:
    labels, truth, mine = held["labels"], held["truth"], held["candidate"]
    rows = []
    for who in (who for who in CONTENDERS if held.get(who) is not None):
        right = np.asarray(held[who]["prediction"]) == np.asarray(truth)
        bins = plots.reliability_bins(held[who]["confidence"], right.tolist())
        rows.append([NAMES[who], *share_words(int(right.sum()), len(truth)), error_of(bins)])
    frozen = recalls(held, "frozen")
    classes = [(labels[k], n, ok / n, frozen[k][1] / n) for k, (n, ok) in enumerate(recalls(held, "candidate")) if n > 0]
    classes.sort(key=lambda c: (c[2], -c[1], c[0]))
    bins = plots.reliability_bins(mine["confidence"], [a == b for a, b in zip(truth, mine["prediction"], strict=True)])
    return Figures(
        (["", "accuracy", "95 % interval", "calibration error"], rows),
        (["label", "rows", "recall", "frozen head"], [[n, str(rows), f"{a:.1%}", f"{b:.1%}"] for n, rows, a, b in classes]),
        "",
        {
            "confusion.svg": plots.confusion(plots.confusion_counts(truth, mine["prediction"], len(labels)), labels),
            "reliability.svg": plots.reliability(bins),
            "classes.svg": plots.class_table(classes),
        },
    )


def table_of(held: dict[str, Any], who: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[labels, 3]: rows that have the label, that are said to, and both."""
    out = np.zeros((len(held["labels"]), 3), dtype=np.int64)
    for own, said in zip(held["truth"], held[who]["prediction"], strict=True):
        known = [c for c in said if c >= 0]
        for at, which in enumerate((own, known, list(set(own) & set(known)))):
            out[which, at] += 1
    return out


def f1_of(table: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """2 · both / (has + said), [labels]; NaN of labels that no row has."""
    return np.divide(2.0 * table[:, 2], table[:, 0] + table[:, 1], out=np.full(len(table), np.nan), where=table[:, 0] > 0)


def said_bins(held: dict[str, Any], who: str) -> list[dict[str, float]]:
    """Of every label that is said: its probability, and whether the row has it."""
    told = held[who]
    every = list(zip(held["truth"], told["prediction"], told["probability"], strict=True))
    right = [c in own for own, said, _ in every for c in said]
    return plots.reliability_bins([p for _, _, each in every for p in each], right)


def of_several(held: dict[str, Any]) -> Figures:
    labels, truth = held["labels"], held["truth"]
    rows = []
    for who in (who for who in CONTENDERS if held.get(who) is not None):
        right = sum(sorted(said) == sorted(own) for own, said in zip(truth, held[who]["prediction"], strict=True))
        each = f1_of(table_of(held, who))
        name = "most frequent set of labels" if who == "baseline" else NAMES[who]
        macro = float(np.nanmean(each)) if not np.isnan(each).all() else 0.0
        rows.append([name, *share_words(right, len(truth)), f"{macro:.3f}", error_of(said_bins(held, who))])
    mine, frozen = table_of(held, "candidate"), table_of(held, "frozen")
    ours, theirs = f1_of(mine), f1_of(frozen)
    order = sorted((k for k in range(len(labels)) if mine[k, 0] > 0), key=lambda k: (ours[k], -mine[k, 0], labels[k]))

    def share(part: int, of: int) -> str:
        return f"{part / of:.1%}" if of else "none said"

    table = [
        [labels[k], str(has), share(both, has), share(both, said), f"{ours[k]:.3f}", f"{theirs[k]:.3f}"]
        for k in order
        for has, said, both in [mine[k].tolist()]
    ]
    recall = [(labels[k], int(mine[k, 0]), mine[k, 2] / mine[k, 0], frozen[k, 2] / mine[k, 0]) for k in order]
    return Figures(
        (["", "exact match", "95 % interval", "macro-F1", "calibration error"], rows),
        (["label", "rows", "recall", "precision", "F1", "F1 of the frozen head"], table),
        " An exact match says all labels of a row and no other; the calibration error is of the labels that are said.",
        {"reliability.svg": plots.reliability(said_bins(held, "candidate"), "labels said"), "classes.svg": plots.class_table(recall)},
    )
