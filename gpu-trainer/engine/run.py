"""One training job, top to bottom: load, embed, cross-fit, tune, evaluate, export. Every embedding that is measured or stored goes through the
ONNX graphs that the edge serves.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

from . import heads, tune
from .data import TEST, TRAIN, VALIDATION, Backbone, Rows, augment, centre, embed, join, load_rows
from .export import Floats, export_graph, open_session
from .head_file import ServedHead, write_head
from .heads import Ints, Matrix
from .wire import EngineError, Meter, Stopped, file_facts, phase, say, send

MIXES = tuple(i / 10 for i in range(11))
FOLDS = 2
STORED_ROWS_MAX = 1_000
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
        return tune.Recipe(
            h["epochs"], h["learning_rate"], h["batch_size"], h["weight_decay"], h["label_smoothing"], self.spec["seed"], stage
        )

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


def prediction(scores: Matrix, temperature: float) -> dict[str, Any]:
    p = heads.softmax(scores, temperature)
    return {"prediction": scores.argmax(1).tolist(), "confidence": p.max(1).tolist()}


def run(spec: dict[str, Any], stopping: list[bool]) -> None:
    """Sends every line of the job, ending with `result`. Raises EngineError or Stopped."""
    torch.manual_seed(spec["seed"] & 0x7FFFFFFF)
    torch.set_num_threads(spec["limits"]["threads"])
    torch.use_deterministic_algorithms(True, warn_only=True)
    job = Job(spec, stopping)
    say(f"{len(job.train)} training rows, {len(job.held)} held out ({job.held_name}), {len(job.labels)} labels, {job.device}")
    job.embed_all()
    folds, state = job.tune_all()
    mix, curve, oof = job.cross_fit(folds)
    if job.tunes and mix == 0:
        job.notes.append("Cross-fitting found nothing gained by the tuned tail, so the frozen backbone is kept.")
    phase("exporting")
    files: list[Path] = []
    tuned_train = tuned_held = tuned_background = None
    if state is not None and mix > 0:
        sample = torch.from_numpy(job.views[0][0])
        names = {"input_name": "features" if job.image else "hidden", "output_name": "embedding"}
        files += export_graph(state.tail.cpu(), sample, job.out / "tail.onnx", **names, dynamic=not job.image, int8=not job.image)
        tail = open_session(job.out / "tail.onnx", spec["limits"]["threads"])
        tuned_train = embed(tail, [v[0] for v in job.views])
        tuned_held = embed(tail, job.held_features)
        tuned_background = embed(tail, job.background_features)
        save_file({k: v.contiguous() for k, v in state.tail.state_dict().items()}, job.out / "weights.safetensors.part")
        os.replace(job.out / "weights.safetensors.part", job.out / "weights.safetensors")
        files.append(job.out / "weights.safetensors")
    job.check_stop()
    phase("evaluating")
    result, held = evaluate(job, mix, curve, oof, tuned_train, tuned_held, tuned_background)
    files += [job.out / "head.safetensors", store_embeddings(job, tuned_train, tuned_background)]
    for path in files:
        send(type="artifact", name=path.name, **file_facts(path))
    write_manifest(job, files, mix)
    result["losses"] = state.losses if state else []
    result["seconds"] = time.monotonic() - job.started
    send(type="result", result={**result, "held_out": held})


def evaluate(
    job: Job, mix: float, curve: list[dict[str, float]], oof: Matrix, tuned_train: Floats | None, tuned_held: Floats | None, tuned_background: Floats | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    y, k, kind, fair = job.train.labels, len(job.labels), job.backbone.kind, job.fair()
    center = heads.center_of(job.base_background, kind)
    x = heads.transform(job.base_train, kind, center)
    base = heads.fit_ridge(x, y, k)
    frozen_scores = base.scores(heads.transform(job.base_held, kind, center))
    background_scores = base.scores(heads.transform(job.base_background, kind, center)) * (1 - mix)
    candidate_scores = frozen_scores * (1 - mix)
    components = [component("base", base, center, kind, 1 - mix)]
    if tuned_train is not None and tuned_held is not None and tuned_background is not None:
        tuned_center = heads.center_of(tuned_background, kind)
        ridge = heads.fit_ridge(heads.transform(tuned_train, kind, tuned_center), y, k)
        candidate_scores = candidate_scores + mix * ridge.scores(heads.transform(tuned_held, kind, tuned_center))
        background_scores = background_scores + mix * ridge.scores(heads.transform(tuned_background, kind, tuned_center))
        components.append(component("tuned", ridge, tuned_center, kind, mix))
    temperature = heads.fit_temperature(oof[fair], y[fair])
    frozen_temperature = heads.fit_temperature(base.left_out[fair], y[fair])
    save_head(job, components, temperature, x, oof, background_scores, center)
    counts = np.bincount(y, minlength=k)
    majority, share = int(counts.argmax()), float(counts.max() / counts.sum())
    n = len(job.held)
    held = {
        "split": job.held_name,
        "labels": job.labels,
        "rows": job.held.row.tolist(),
        "truth": job.held.labels.tolist(),
        "candidate": prediction(candidate_scores, temperature),
        "incumbent": incumbent(job),
        "frozen": prediction(frozen_scores, frozen_temperature),
        "baseline": {"prediction": [majority] * n, "confidence": [share] * n},
    }
    result = {
        "method": {"asked": job.asked, "used": "tail_tuning" if mix > 0 else "linear_probe"},
        "hyperparameters": {**job.hyper, "seed": job.spec["seed"], "lambda": base.lam},
        "tuned_mix": mix,
        "mix_curve": curve,
        "temperature": temperature,
        "labels": job.labels,
        "train_rows": len(job.train),
        "device": str(job.device),
        "notes": job.notes,
    }
    return result, held


def component(embedding: str, ridge: heads.Ridge, center: Matrix, kind: str, mix: float) -> dict[str, Any]:
    return {"embedding": embedding, "ridge": ridge, "center": center, "transform": kind, "mix": mix}


def save_head(job: Job, components: list[dict[str, Any]], temperature: float, x: Matrix, oof: Matrix, background_scores: Matrix, center: Matrix) -> None:
    y = job.train.labels
    units = heads.unit(x)
    chosen = heads.by_turns(y, heads.SUPPORT_ROWS_MAX)
    tensors: dict[str, Any] = {}
    for i, c in enumerate(components):
        tensors[f"components.{i}.center"] = c["center"].astype(np.float32)
        tensors[f"components.{i}.weight"] = c["ridge"].weight.astype(np.float32)
        tensors[f"components.{i}.bias"] = c["ridge"].bias.astype(np.float32)
    tensors["support.center"] = center.astype(np.float32)
    tensors["support.rows"] = units[chosen].astype(np.float32)
    tensors["support.label_of"] = y[chosen].astype(np.int32)
    open_set = None
    rate = job.spec["false_reject_rate"]
    if rate is not None:
        fair = job.fair()
        similarity = units @ units.T
        np.fill_diagonal(similarity, -np.inf)
        known = (oof.max(1) + similarity.max(1))[fair]
        near = heads.unit(heads.transform(job.base_background, job.backbone.kind, center)) @ units[chosen].T
        threshold = heads.open_set_threshold(known, background_scores.max(1) + near.max(1), rate)
        open_set = {"threshold": threshold, "false_reject_rate": rate, "best_weight": 1, "nearest_weight": 1}
    d = job.backbone.dimension
    metadata = {
        "format": "graft-head-1",
        "labels": job.labels,
        "task": "single_label",
        "temperature": temperature,
        "components": [{"embedding": c["embedding"], "name": "ridge", "transform": c["transform"], "dimension": d, "mix": c["mix"]} for c in components],
        "open_set": open_set,
        "support": {"embedding": "base", "transform": job.backbone.kind, "dimension": d},
    }
    write_head(job.out / "head.safetensors", tensors, metadata)


def incumbent(job: Job) -> dict[str, Any] | None:
    given = job.spec["incumbent"]
    if given is None:
        return None
    head = ServedHead(Path(given["head"]))
    tuned = None
    if head.needs_tuned:
        if given["tail"] is None:
            raise EngineError("incumbent_incomplete", "The incumbent's head needs its tail, which is missing.", blame="graft")
        tuned = embed(open_session(Path(given["tail"]), job.spec["limits"]["threads"]), job.held_features)
    scores = head.scores(job.base_held, tuned)
    said = prediction(scores, head.meta["temperature"])
    place = {name: i for i, name in enumerate(job.labels)}
    said["prediction"] = [place.get(head.labels[i], -1) for i in said["prediction"]]
    return said


def store_embeddings(job: Job, tuned: Floats | None, background: Floats | None) -> Path:
    """Raw embeddings of the training rows (at most STORED_ROWS_MAX, classes in turn) and of the enrolled examples."""
    from_dataset = np.flatnonzero(job.train.row >= 0)
    keep = from_dataset[heads.by_turns(job.train.labels[from_dataset], STORED_ROWS_MAX)]
    enrolled = np.flatnonzero(job.train.row < 0)
    arrays: dict[str, Any] = {
        "base": job.base_train[keep],
        "labels": job.train.labels[keep].astype(np.int32),
        "rows": job.train.row[keep].astype(np.int32),
        "enrolled.base": job.base_train[enrolled],
    }
    if tuned is not None and background is not None:
        arrays |= {"tuned": tuned[keep], "enrolled.tuned": tuned[enrolled], "background.tuned": background}
    path = job.out / "embeddings.safetensors"
    save_arrays({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)
    return path


def write_manifest(job: Job, files: list[Path], mix: float) -> None:
    named = [{"name": p.name, **{k: v for k, v in file_facts(p).items() if k != "file"}} for p in files]
    manifest = {
        "format": "graft-model-1",
        "job": job.spec["job"],
        "base_backbone": job.manifest["id"],
        "base_sha256": job.manifest["sha256"],
        "modality": job.spec["modality"],
        "dimension": job.backbone.dimension,
        "labels": job.labels,
        "seed": job.spec["seed"],
        "dataset_digest": None,
        "tuned": mix > 0,
        "files": named,
    }
    path = job.out / "manifest.json"
    path.with_suffix(".part").write_text(json.dumps(manifest, indent=2) + "\n")
    os.replace(path.with_suffix(".part"), path)
    send(type="artifact", name="manifest.json", **file_facts(path))
