"""What one training job holds, and its steps: load, embed, cross-fit, tune. Every embedding goes through the ONNX graphs that the edge serves."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import heads, tune
from .data import TEST, TRAIN, VALIDATION, Backbone, Rows, augment, centre, embed, join, load_rows
from .export import Floats
from .heads import Ints, Matrix
from .wire import EngineError, Meter, Stopped, file_facts, phase, send

MIXES = tuple(i / 10 for i in range(11))
FOLDS = 2
CHECKPOINT_EVERY_SECONDS = 10.0
DEFAULTS = {"image": {"epochs": 20, "learning_rate": 5e-4, "augment_views": 4}, "text": {"epochs": 6, "learning_rate": 1e-4, "augment_views": 1}}


class Job:
    def __init__(self, spec: dict[str, Any], stopping: list[bool]) -> None:
        self.spec, self.stopping = spec, stopping
        self.image = spec["modality"] == "image"
        self.out = Path(spec["out_dir"])
        self.out.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        folder = Path(spec["backbone"]["dir"])
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        if self.manifest["modality"] != spec["modality"]:
            raise EngineError("backbone_mismatch", f"{self.manifest['id']} reads {self.manifest['modality']}, the dataset is {spec['modality']}")
        self.backbone = Backbone(folder, self.manifest, spec["limits"]["threads"])
        method = {k: v for k, v in spec["method"].items() if v is not None}
        self.asked: str = method.get("type", "auto")
        if self.asked not in ("auto", "fine_tune", "linear_probe"):
            raise EngineError("method_unavailable", f"The method {self.asked} is not available; use auto, fine_tune or linear_probe.")
        if method.get("depth") == "full":
            raise EngineError("method_unavailable", "depth full is not available; use last_blocks or head.")
        self.tunes = self.asked != "linear_probe" and method.get("depth") != "head"
        self.hyper: dict[str, Any] = {
            **DEFAULTS[spec["modality"]],
            "batch_size": 32,
            "weight_decay": 0.01,
            "label_smoothing": 0.1,
            "depth": "last_blocks" if self.tunes else "head",
            **{k: v for k, v in method.items() if k not in ("type", "depth")},
        }
        wanted = spec["device"]
        if wanted == "cuda" and not torch.cuda.is_available():
            raise EngineError("no_gpu", "The job asks for cuda and this host has none.", retryable=True, blame="graft")
        self.device = torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")
        self.load()

    def load(self) -> None:
        phase("loading")
        spec = self.spec
        self.labels: list[str] = list(spec["dataset"]["labels"])
        data = load_rows(Path(spec["dataset"]["arrays"]), spec["modality"], len(self.labels))
        labelled = data.labels >= 0
        held = TEST if (labelled & (data.split == TEST)).any() else VALIDATION
        self.held_name = "test" if held == TEST else "validation"
        self.held = data.take(np.flatnonzero(labelled & (data.split == held)))
        train = data.take(np.flatnonzero(labelled & (data.split != held) & ((data.split == TRAIN) | (held == TEST))))
        self.enrolled_count = 0
        if spec["enrolled"] is not None:
            names: list[str] = spec["enrolled"]["labels"]
            extra = load_rows(Path(spec["enrolled"]["arrays"]), spec["modality"], len(names), enrolled=True)
            self.labels += [n for n in names if n not in self.labels]
            place = np.array([self.labels.index(n) for n in names], dtype=np.int64)
            moved = Rows(extra.inputs, place[extra.labels], extra.split, extra.row)
            train = join(train, moved)
            self.enrolled_count = len(moved)
        self.train = train
        counts = np.bincount(train.labels, minlength=len(self.labels))
        if (counts > 0).sum() < 2:
            raise EngineError("too_few_classes", "Training needs examples of at least two labels in the training split.")
        if len(self.held) == 0:
            raise EngineError("nothing_held_out", "The dataset has no validation or test rows, so nothing could be proven.")
        self.notes: list[str] = []
        thin = [name for name, c in zip(self.labels, counts, strict=True) if 0 < c < 4]
        if thin:
            self.notes.append(f"Few training examples (under 4): {', '.join(thin[:10])}.")
        if held == TEST and (data.split == VALIDATION).any():
            self.notes.append("The validation split was used for training; everything is measured on the test split.")

    def check_stop(self) -> None:
        if self.stopping:
            raise Stopped

    def embed_all(self) -> None:
        """Trunk activations (several views of training rows) and base embeddings."""
        phase("embedding")
        views = int(self.hyper["augment_views"]) if self.image and self.tunes else 1
        total = len(self.train) * views + len(self.held)
        meter = Meter(0)
        done = 0
        self.views: list[list[Floats]] = []
        for i in range(len(self.train)):
            self.check_stop()
            random = np.random.default_rng([self.spec["seed"] & 0x7FFFFFFF, i])
            value = self.train.inputs[i]
            row = [self.backbone.features_of(centre(value) if self.image else value)]
            row += [self.backbone.features_of(augment(value, random)) for _ in range(views - 1)]
            self.views.append(row)
            done += views
            meter.tick(0, i, views, done / total)
        self.held_features = [self.backbone.features_of(centre(v) if self.image else v) for v in self.held.inputs]
        meter.tick(0, len(self.train), len(self.held), 1.0)
        self.base_train = embed(self.backbone.tail, [v[0] for v in self.views])
        self.base_held = embed(self.backbone.tail, self.held_features)
        self.base_background, self.background_features = self.backbone.background()

    def recipe(self, stage: str) -> tune.Recipe:
        h = self.hyper
        return tune.Recipe(h["epochs"], h["learning_rate"], h["batch_size"], h["weight_decay"], h["label_smoothing"], self.spec["seed"], stage)

    def tune_all(self) -> tuple[list[Floats], tune.State | None]:
        """Out-of-fold tuned embeddings (per fold: embeddings of every training row) and the state tuned on all rows. Resumes from a checkpoint."""
        if not self.tunes:
            return [], None
        phase("training")
        weights = self.backbone.folder / self.manifest["weights"]["name"]
        y = self.train.labels
        self.folds = (heads.turns(y) % FOLDS).astype(np.int64)
        facts, tensors = tune.load_state(Path(self.spec["checkpoint"])) if self.spec["checkpoint"] else ({}, {})
        fold_embeddings: list[Floats] = [tensors[f"extra.fold{k}"].numpy() for k in range(FOLDS) if f"extra.fold{k}" in tensors]
        stages = [f"fold{k}" for k in range(FOLDS)] + ["final"]
        epochs = int(self.hyper["epochs"])
        # A fold holds half of the rows, so its epochs count half.
        cost = [epochs * float((self.folds != k).mean()) for k in range(FOLDS)] + [float(epochs)]
        meter = Meter(epochs)
        self.saved = time.monotonic()
        state: tune.State | None = None
        for s, stage in enumerate(stages):
            if s < len(fold_embeddings):
                continue
            recipe = self.recipe(stage)
            state = tune.start(weights, self.image, len(self.labels), self.backbone.dimension, recipe, self.device)
            if facts.get("stage") == stage:
                tune.restore(state, facts, tensors)
            keep = np.flatnonzero(self.folds != s) if stage != "final" else np.arange(len(y))
            steps = max(1, -(-len(keep) // recipe.batch_size))

            def on_step(epoch: int, step: int, examples: int, loss: float, s: int = s, steps: int = steps) -> None:
                part = (epoch * steps + step + 1) / (epochs * steps)
                meter.tick(epoch + 1, epoch * steps + step + 1, examples, (sum(cost[:s]) + cost[s] * part) / sum(cost), loss)

            def after_epoch(now: tune.State, stage: str = stage) -> None:
                due = time.monotonic() - self.saved > CHECKPOINT_EVERY_SECONDS
                if due or self.stopping:
                    self.checkpoint(now, stage, fold_embeddings)
                self.check_stop()

            tune.train(
                state,
                [self.views[i] for i in keep.tolist()],
                y[keep],
                recipe,
                sqrt=self.backbone.kind == "sqrt_l2",
                on_step=on_step,
                after_epoch=after_epoch,
            )
            if stage != "final":
                fold_embeddings.append(tune.embed_torch(state, [v[0] for v in self.views]))
        return fold_embeddings, state

    def checkpoint(self, state: tune.State, stage: str, folds: list[Floats]) -> None:
        path = self.out / f"checkpoint-{stage}-{state.epoch}.safetensors"
        extra = {f"fold{k}": torch.from_numpy(e) for k, e in enumerate(folds)}
        tune.save_state(path, state, extra, {"stage": stage, "job": self.spec["job"], "seed": self.spec["seed"]})
        send(type="checkpoint", epoch=state.epoch, **file_facts(path))
        self.saved = time.monotonic()

    def cross_fit(self, folds: list[Floats]) -> tuple[float, list[dict[str, float]], Matrix]:
        """The weight of the tuned head by scores that no row's own label took part in; 0 unless the tuned part wins. (Wolpert 1992, stacking.)"""
        y, k, kind = self.train.labels, len(self.labels), self.backbone.kind
        center = heads.center_of(self.base_background, kind)
        x = heads.transform(self.base_train, kind, center)
        base = np.zeros((len(y), k))
        tuned = np.zeros((len(y), k))
        if not folds:
            left_out = heads.fit_ridge(x, y, k).left_out
            return 0.0, [], left_out
        for f, embeddings in enumerate(folds):
            inside, outside = np.flatnonzero(self.folds != f), np.flatnonzero(self.folds == f)
            if len(outside) == 0 or len(np.unique(y[inside])) < 2:
                return 0.0, [], heads.fit_ridge(x, y, k).left_out
            base[outside] = heads.fit_ridge(x[inside], y[inside], k).scores(x[outside])
            # The fold's own centre: its background has not been through this tail.
            z = heads.transform(embeddings, kind)
            z = z - z[inside].mean(axis=0)
            tuned[outside] = heads.fit_ridge(z[inside], y[inside], k).scores(z[outside])
        fair = self.fair()
        curve = []
        for mix in MIXES:
            scores = (1 - mix) * base + mix * tuned
            curve.append({"mix": mix, "accuracy": float((scores.argmax(1) == y)[fair].mean()), "loss": self.loss_of(scores[fair], y[fair])})
        best = max(curve, key=lambda c: (round(c["accuracy"], 6), -c["loss"]))
        mix = best["mix"] if best["accuracy"] > curve[0]["accuracy"] else 0.0
        scores = (1 - mix) * base + mix * tuned
        return mix, [{"mix": c["mix"], "accuracy": c["accuracy"]} for c in curve], scores

    def loss_of(self, scores: Matrix, y: Ints) -> float:
        return heads.log_loss(scores, y, heads.fit_temperature(scores, y)) / max(len(y), 1)

    def fair(self) -> Ints:
        """Rows whose class has another training row: the others could not be right when left out."""
        counts = np.bincount(self.train.labels, minlength=len(self.labels))
        return np.flatnonzero(counts[self.train.labels] > 1)
