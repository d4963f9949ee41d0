"""Short trials on rows that are there anyway: what a tuned tail, and what aligned embeddings, would bring on these data. Steps are counted, not
seconds, so that the same job always decides alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from . import targets, tune
from .heads import Ints, Matrix, by_turns, fit_ridge, transform, turns
from .losses.binary import of_rows
from .losses.cross_entropy import CrossEntropy
from .multi_task import paired_interval
from .network import load_network
from .recipe import recipe_of
from .source import Cached
from .survey import Survey
from .targets import Mask
from .wire import Stopped

PROBE_ROWS = 400
PROBE_ROWS_MIN = 40
ROWS_PER_CLASS = 4
EPOCHS = {"image": 8, "text": 4}
FOLDS = 2
MIXES = tuple(i / 10 for i in range(11))
WITNESSES_MIN = 20


@dataclass(frozen=True)
class Trial:
    """Shares of the same rows that are answered right without and with; `low`, `high`: 95 % interval of the difference."""

    rows: int
    without: float
    with_: float
    low: float
    high: float
    seconds: float
    passes: int  # rows times epochs that were trained on

    @property
    def difference(self) -> float:
        return self.with_ - self.without

    def told(self, what: str) -> dict[str, Any]:
        return {
            "what": what,
            "rows": self.rows,
            "without": self.without,
            "with": self.with_,
            "difference": self.difference,
            "interval": {"low": self.low, "high": self.high},
            "seconds": self.seconds,
        }


def trial(right: Mask, before: Mask, seed: int, started: float, passes: int) -> Trial:
    """`right`, `before`: rows answered right with and without."""
    low, high = paired_interval(right, before, seed)
    return Trial(len(right), float(before.mean()), float(right.mean()), low, high, time.perf_counter() - started, passes)


def measurable(y: Ints) -> Ints:
    """Rows that a trial learns from and is judged by: at most PROBE_ROWS, of classes that both halves have two rows of. Empty where too few."""
    own = targets.strata(y)
    enough = np.flatnonzero(np.bincount(own)[own] >= ROWS_PER_CLASS)
    if len(enough) < PROBE_ROWS_MIN or not targets.teaches(y[enough]):
        return np.zeros(0, dtype=np.int64)
    return np.sort(enough[by_turns(own[enough], PROBE_ROWS)])


def tuned_tail(seen: Survey, at: Ints, seed: int, device: torch.device, stopping: list[bool]) -> Trial:
    """Of the rows `at`, whose activations were kept: two halves, each tuned on and judged by the other, as a job does it, with fewer epochs and one
    view. The mixing weight of a half is the best of the other one, so no row's label takes part in its own answer."""
    started = time.perf_counter()
    backbone, y = seen.backbone, seen.rows.labels[at]
    modality = "image" if backbone.image else "text"
    recipe = recipe_of("fine_tune", {"epochs": EPOCHS[modality], "augment_views": 1}, modality)
    kept = occurring(y)
    classes = kept.shape[1] if targets.several(kept) else int(kept.max()) + 1
    half = turns(targets.strata(kept)) % FOLDS
    source, x = Cached([[seen.features[i]] for i in at.tolist()]), seen.x[at]
    base, tuned = np.zeros((len(y), classes)), np.zeros((len(y), classes))

    def after(*_: object) -> None:
        if stopping:
            raise Stopped

    for k in range(FOLDS):
        inside, outside = np.flatnonzero(half != k), np.flatnonzero(half == k)
        network = load_network(backbone.folder / backbone.manifest["weights"]["name"], backbone.image, whole=False, random=None)
        criterion = of_rows(kept[inside]) if targets.several(kept) else CrossEntropy()
        state = tune.start(network, criterion, classes, recipe, (seed, f"probe{k}"), device)
        sqrt = backbone.kind == "sqrt_l2"
        tune.train(state, source, kept, inside, recipe, (seed, f"probe{k}"), sqrt=sqrt, after_step=after, after_epoch=after)
        z = transform(tune.embed_torch(state, source), backbone.kind)
        z -= z[inside].mean(axis=0)
        base[outside] = seen.fit(x[inside], kept[inside], classes).scores(x[outside])
        tuned[outside] = fit_ridge(z[inside], kept[inside], classes).scores(z[outside])
    right = np.zeros(len(y), dtype=bool)
    for k in range(FOLDS):
        mine, others = half == k, half != k
        share = [float(targets.right(((1 - m) * base + m * tuned)[others], kept[others]).mean()) for m in MIXES]
        mix = MIXES[int(np.argmax(share))]
        right[mine] = targets.right(((1 - mix) * base + mix * tuned)[mine], kept[mine])
    return trial(right, targets.right(base, kept), seed, started, len(y) * recipe.epochs)


def occurring(y: Ints) -> Ints:
    """The same rows with the labels that any of them has."""
    return y[:, y.any(axis=0)] if targets.several(y) else np.unique(y, return_inverse=True)[1].astype(np.int64)


def aligned(seen: Survey, target: Matrix, truth: Ints, classes: int, seed: int) -> Trial | None:
    """The source's head on labelled target rows, plain and with each domain's features minus their own mean: what aligning first moments brings.
    Null with fewer than WITNESSES_MIN labelled rows."""
    known = np.flatnonzero(truth >= 0)
    if len(known) < WITNESSES_MIN:
        return None
    started = time.perf_counter()
    source, y = seen.x, seen.rows.labels
    plain = seen.fit(source, y, classes).scores(target)
    centred = seen.fit(source - source.mean(axis=0), y, classes).scores(target - target.mean(axis=0))
    after, before = (said.argmax(1)[known] == truth[known] for said in (centred, plain))
    return trial(after, before, seed, started, 0)
