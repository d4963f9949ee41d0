"""Rows of a frozen dataset through one frozen backbone, for those that look at a dataset without training on it."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from . import targets
from .data import Backbone, Rows, load_rows
from .export import Floats, run_session
from .heads import Ints, Matrix, by_turns, center_of, transform, usual_scale
from .kernel import Frozen, fit_frozen
from .wire import EngineError, Meter, Stopped

TRIED_ROWS = 8


@dataclass(frozen=True)
class Survey:
    """`raw`: embeddings as served; `x`: what a head sees; `features`: the trunk's activations where they were kept. Seconds are per row, measured on
    these rows. `usual`: `heads.usual_scale` of the background."""

    backbone: Backbone
    rows: Rows
    raw: Floats
    x: Matrix
    trunk_seconds: float
    tail_seconds: float
    features: dict[int, Floats]
    usual: Matrix | None = None

    @property
    def embed_seconds(self) -> float:
        return self.trunk_seconds + self.tail_seconds

    def fit(self, x: Matrix, y: Ints, labels: int) -> Frozen:
        """The head that a job would solve on such features."""
        return fit_frozen(x, y, labels, self.usual)


def open_backbone(folder: Path, modality: str, threads: int) -> Backbone:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    if manifest["modality"] != modality:
        raise EngineError("backbone_mismatch", f"{manifest['id']} reads {manifest['modality']}, the dataset is {modality}")
    return Backbone(folder, manifest, threads)


def load(spec: dict[str, Any], which: str = "dataset", *, several: bool = False) -> Rows:
    rows = load_rows(Path(spec[which]["arrays"]), spec["modality"], len(spec[which]["labels"]), several=several)
    excluded = spec.get("exclude_rows" if which == "dataset" else f"exclude_{which}_rows")
    return rows.take(np.flatnonzero(~np.isin(rows.row, excluded))) if excluded else rows


def chosen(labels: Ints, limit: int, seed: int) -> Ints:
    """At most `limit` rows in their order: classes take turns, and within a class chance decides."""
    if len(labels) <= limit:
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.sort(order[by_turns(labels[order], limit)])


@dataclass(frozen=True)
class Sample:
    """Rows drawn evenly over the labels out of all `rows` labelled ones. `picked`: which; `weights` [picked]: how many rows each of them stands for;
    `counts` [labels]: all rows by label; `groups`: all rows by what they are drawn by, of several labels the rarest."""

    rows: int
    picked: Ints
    weights: Matrix
    counts: Ints
    groups: Ints


def sample(y: Ints, labels: int, limit: int, seed: int) -> Sample:
    own = targets.strata(y)
    picked = chosen(own, limit, seed)
    groups = np.bincount(own)
    weights = groups[own[picked]] / np.bincount(own[picked])[own[picked]]
    return Sample(len(y), picked, weights, targets.counts(y, labels), groups[groups > 0])


def choose(rows: Rows, limit: int, seed: int) -> Rows:
    return rows if len(rows) <= limit else rows.take(chosen(rows.labels, limit, seed))


def affordable(backbone: Backbone, rows: Rows, seconds: float | None) -> int:
    """How many rows can be embedded in this time, judged by the first few; at least 100."""
    if seconds is None or len(rows) == 0:
        return len(rows)
    tried = rows.take(np.arange(min(len(rows), TRIED_ROWS)))
    seen = look(backbone, tried, [], Meter(every=np.inf))
    return max(100, int(seconds / max(seen.embed_seconds, 1e-6)))


def look(
    backbone: Backbone, rows: Rows, stopping: list[bool], meter: Meter, done: tuple[float, float] = (0.0, 1.0), keep: Ints | None = None
) -> Survey:
    """Embeds every row, one a run as the edge does. `done`: the part of all work before and after; `keep`: rows whose activations are kept."""
    kept = set() if keep is None else set(keep.tolist())
    activations: dict[int, Floats] = {}
    start, end = done
    raw: list[Floats] = []
    trunk = tail = 0.0
    for i, value in enumerate(rows.inputs):
        if stopping:
            raise Stopped
        at = time.perf_counter()
        features = backbone.features_of(backbone.served(value))
        half = time.perf_counter()
        if i in kept:
            activations[i] = features
        raw.append(run_session(backbone.tail, features))
        trunk, tail = trunk + half - at, tail + time.perf_counter() - half
        meter.tick(i + 1, 1, start + (end - start) * (i + 1) / len(rows))
    stacked = np.concatenate(raw) if raw else np.zeros((0, backbone.dimension), dtype=np.float32)
    background = load_file(backbone.folder / backbone.manifest["background"]["name"])["embeddings"]
    x = transform(stacked, backbone.kind, center_of(background, backbone.kind))
    n = max(len(rows), 1)
    return Survey(backbone, rows, stacked, x, trunk / n, tail / n, activations, usual_scale(background, backbone.kind))
