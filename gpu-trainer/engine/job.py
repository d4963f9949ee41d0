"""What one training job holds: its rows, its recipe and the base embeddings. Every embedding goes through the ONNX graphs that the edge serves."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from . import auto, ranks, targets
from .activations import Activations, Room, compute
from .clock import Clock
from .course import RUN
from .data import TEST, TRAIN, VALIDATION, Backbone, Rows, augment, held_out, join, load_rows, moved
from .export import Floats, run_session
from .heads import Ints
from .ledger import Ledger
from .recipe import Recipe, recipe_of
from .source import Cached, Pixels, Source, Tokens
from .wire import EngineError, Meter, Stopped, phase, some_of

if TYPE_CHECKING:
    from .task_models import Tasks

CACHE_BYTES = 1 << 30
ADAPTING = ("domain_adaptation", "domain_confusion")
# Rows of the classifier that is transferred from have this number or a lower one.
FROM_SOURCE = -3


class Job:
    """`train`, `held`: labelled rows. `target`: every row of the target domain not held out, its labels −1 where unknown; None without one.
    `from_target`: training rows that are labelled rows of the target. `run`: "" or the name of a run beside the job, which has its own part of
    the ledger; `after`: costs of the stages of the runs that follow (stages.py)."""

    def __init__(self, spec: dict[str, Any], stopping: list[bool]) -> None:
        self.spec, self.stopping = spec, stopping
        self.image = spec["modality"] == "image"
        self.several = spec.get("task") == "multi_label"
        self.out = Path(spec["out_dir"])
        self.out.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        folder = Path(spec["backbone"]["dir"])
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        if self.manifest["modality"] != spec["modality"]:
            raise EngineError("backbone_mismatch", f"{self.manifest['id']} reads {self.manifest['modality']}, the dataset is {spec['modality']}")
        self.backbone = Backbone(folder, self.manifest, spec["limits"]["threads"])
        self.options = {k: v for k, v in spec["method"].items() if v is not None and k != "type"}
        self.asked: str = spec["method"].get("type", "auto")
        wanted = spec["device"]
        if wanted == "cuda" and not torch.cuda.is_available():
            raise EngineError("no_gpu", "The job asks for cuda and this host has none.", retryable=True, blame="graft")
        self.device = ranks.device(wanted)
        self.room = Room(spec["limits"].get("cache_bytes", CACHE_BYTES))
        self.notes: list[str] = []
        self.evidence: dict[str, Any] = {}
        # Refused before the data are read; `auto` at its most.
        self.recipe_of("fine_tune" if self.asked == "auto" else self.asked)
        self.tasks: Tasks | None = None
        # Trunk activations of training rows that were looked at already.
        self.looked: dict[int, Floats] = {}
        self.run = ""
        self.after: list[float] = []
        self.clock = Clock(spec["limits"]["max_seconds"])
        self.ledger = Ledger(spec, self.clock, self.notes)
        self.judged_by_target = False
        self.load()
        self.from_target = np.zeros(len(self.train), dtype=bool)
        self.recipe = self.decide()

    def recipe_of(self, method: str) -> Recipe:
        return recipe_of(method, self.options, self.spec["modality"], several=self.several)

    def read(self, dataset: dict[str, Any]) -> Rows:
        tensor = dataset.get("tensor", "labels")
        return load_rows(Path(dataset["arrays"]), self.spec["modality"], len(dataset["labels"]), tensor=tensor, several=self.several)

    def load(self) -> None:
        phase("loading")
        spec = self.spec
        self.labels: list[str] = list(spec["dataset"]["labels"])
        data = self.included(self.read(spec["dataset"]))
        source = self.beside("source")
        self.target: Rows | None = None
        outside: tuple[Rows, str] | None = None
        if spec.get("target") or (source is not None and self.asked in ADAPTING):
            # With a labelled source of its own and no other target, the dataset is the target.
            if spec.get("target"):
                far = self.included(self.read(spec["target"]), "exclude_target_rows")
                self.target = moved(far, spec["target"]["labels"], self.labels)
            else:
                self.target, data = data, data.take(np.zeros(0, dtype=np.int64))
            judged, name = held_out(self.target)
            if len(judged):
                outside = self.target.take(judged), name
                self.judged_by_target = not spec.get("validation")
                self.target = self.target.take(np.setdiff1d(np.arange(len(self.target)), judged))
        labelled = data.labelled
        if spec.get("validation"):
            outside = self.from_elsewhere(spec["validation"]), "validation"
        if outside:
            self.held, self.held_name = outside
            train = data.take(np.flatnonzero(labelled))
        else:
            judged, self.held_name = held_out(data)
            self.held = data.take(judged)
            held = TEST if self.held_name == "test" else VALIDATION
            train = data.take(np.flatnonzero(labelled & (data.split != held) & ((data.split == TRAIN) | (held == TEST))))
            if held == TEST and (data.split == VALIDATION).any():
                self.notes.append("The validation split was used for training; everything is measured on the test split.")
        enrolled = self.beside("enrolled")
        # What was enrolled may have brought labels that the dataset lacks.
        train, self.held = (moved(rows, self.labels[: rows.labels.shape[-1]], self.labels) if self.several else rows for rows in (train, self.held))
        for extra in (source, enrolled):
            train = train if extra is None else join(train, extra)
        self.enrolled_count, self.source_count = (0 if r is None else len(r) for r in (enrolled, source))
        self.train = train
        counts = targets.counts(train.labels, len(self.labels))
        if not targets.teaches(train.labels):
            if self.several:
                raise EngineError("too_few_classes", "Training needs a label that some examples of the training split have and others lack.")
            raise EngineError("too_few_classes", "Training needs examples of at least two labels in the training split.")
        if len(self.held) == 0:
            raise EngineError("nothing_held_out", "The dataset has no validation or test rows, so nothing could be proven.")
        thin = [name for name, c in zip(self.labels, counts, strict=True) if 0 < c < 4]
        if thin:
            self.notes.append(f"Few training examples (under 4): {some_of(thin)}.")

    def beside(self, which: str) -> Rows | None:
        """Examples of a classifier as labelled rows; labels that the dataset lacks are appended. Of the one transferred from each row's number is its
        id's, so that the same example is the same row in another job."""
        given = self.spec.get(which)
        if given is None:
            return None
        names: list[str] = given["labels"]
        rows = load_rows(Path(given["arrays"]), self.spec["modality"], len(names), enrolled=True, several=self.several)
        self.labels += [n for n in names if n not in self.labels]
        rows = moved(rows, names, self.labels)
        if which == "enrolled":
            return rows
        numbers = np.array([FROM_SOURCE - (zlib.crc32(i.encode()) & 0x3FFFFFFF) for i in given["ids"]], dtype=np.int64)
        return Rows(rows.inputs, rows.labels, rows.split, numbers)

    def included(self, data: Rows, which: str = "exclude_rows") -> Rows:
        left_out = np.array(self.spec.get(which) or [], dtype=np.int64)
        if len(left_out) and left_out.max() >= len(data):
            raise EngineError("options_invalid", f"{which}: the dataset has {len(data)} rows, there is no row {int(left_out.max())}.")
        return data.take(np.setdiff1d(np.arange(len(data)), left_out))

    def from_elsewhere(self, dataset: dict[str, Any]) -> Rows:
        """Labelled rows of another dataset, of labels that this one has too."""
        rows = moved(self.included(self.read(dataset), "exclude_validation_rows"), dataset["labels"], self.labels)
        known = np.flatnonzero(rows.labelled)
        unknown = sorted(set(dataset["labels"]) - set(self.labels))
        if unknown:
            self.notes.append(f"The validation dataset has labels that the training data lack; their rows were left out: {some_of(unknown)}.")
        return rows.take(known)

    def decide(self) -> Recipe:
        method = self.asked
        if method == "auto":
            method, self.evidence["auto"] = auto.choose(self)
            # What is half trained is trained to its end, even if these rows were looked at once more with another result.
            method = self.ledger.method or method
        recipe = self.recipe_of(method)
        if self.backbone.added and recipe.depth != "head":
            raise EngineError("method_unavailable", f"method.type: {self.manifest['id']} has no trainable weights; use linear_probe.")
        self.ledger.method = method
        return recipe

    @property
    def tunes(self) -> bool:
        return self.recipe.depth != "head"

    def check_stop(self) -> None:
        if self.stopping:
            raise Stopped

    def embed_all(self) -> None:
        """Trunk activations (several views of training rows when the tail is tuned) and base embeddings."""
        phase("embedding")
        tail = self.recipe.depth == "tail"
        views = self.recipe.augment_views if self.image and tail else 1
        target = self.target if self.target is not None and tail else None
        course = self.ledger.course
        course.expect(self.recipe.epochs * (len(RUN) + len(self.after)) if self.tunes else 0)
        meter = course.meter(ends=not self.tunes)
        started = time.monotonic()
        meter.expect(len(self.train) * views + len(self.held) + (len(target) if target else 0), ranks.count())
        self.views, self.base_train = self.activations("train", self.train, meter, views, keep=tail)
        held, self.base_held = self.activations("held", self.held, meter)
        self.held_features = held.plain()
        if target is not None:
            self.target_views, self.base_target = self.activations("target", target, meter)
            self.target_features = self.target_views.plain()
        self.base_background, self.background_features = self.backbone.background(self.check_stop)
        # What is trained goes through its graphs once more at the end: the whole network, or the tail alone, in two precisions at most.
        self.clock.reserve = (time.monotonic() - started) * (1.2 if self.recipe.whole else 0.7 / views if tail else 0.0)

    def activations(self, name: str, rows: Rows, meter: Meter | None = None, views: int = 1, *, keep: bool = True) -> tuple[Activations, Floats]:
        """Views of each row through the trunk, the plain one first, and the base embeddings."""

        def make(i: int) -> tuple[list[Floats], Floats]:
            self.check_stop()
            if self.clock.over:
                raise EngineError("out_of_time", f"max_seconds: {self.clock.seconds:g} s went by before the rows were embedded; nothing was trained.")
            value = rows.inputs[i]
            random = np.random.default_rng([self.spec["seed"] & 0x7FFFFFFF, i])
            known = self.looked.pop(i, None) if rows is self.train else None
            seen = [self.backbone.features_of(self.backbone.served(value)) if known is None else known]
            seen += [self.backbone.features_of(augment(value, random)) for _ in range(views - 1)]
            if meter:
                meter.work(views)
            return seen, run_session(self.backbone.tail, seen[0])

        return compute(self.out / f"{name}.activations", len(rows), self.room, make, keep=keep)

    def source_of(self, rows: Rows, *, plain: bool = False) -> Source:
        """Rows as the network of this job reads them. `plain`: at the side at which pictures are served."""
        if self.recipe.whole:
            return Pixels(rows.inputs, 224 if plain else self.recipe.size) if self.image else Tokens(rows.inputs)
        if rows is self.train:
            return Cached(self.views)
        return Cached(self.activations("rows", rows)[0])

    def target_source(self) -> Source:
        return Cached(self.target_views)

    def fair(self) -> Ints:
        """Rows whose class has another training row: the others could not be right when left out."""
        return np.flatnonzero(targets.fair(self.train.labels, len(self.labels)))
