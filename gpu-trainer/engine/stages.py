"""The stages of a job's training: one network a fold, whose embeddings of the other rows are fair evidence, then the final one on all rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import heads, ranks, tune
from .checkpoint import load_state, restore, save_state
from .export import Floats
from .heads import Matrix
from .job import ADAPTING, Job
from .kernel import fit_frozen
from .network import load_network
from .wire import Meter, Stopped, file_facts, phase, send

MIXES = tuple(i / 10 for i in range(11))
FOLDS = 2
# As few labelled rows of the target as this say more about it than all of the source's.
WITNESSES_MIN = 20
CHECKPOINT_EVERY_SECONDS = 10.0
# A whole network's state is hundreds of MB, and its epochs are long: seldom, but inside epochs too.
WHOLE_EVERY_SECONDS = 120.0


class Stages:
    """Runs them; `folds`: per fold the embeddings of every training row; `state`: the final network. Resumes from the job's checkpoint."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.folds: list[Floats] = []
        self.fold_of = (heads.turns(job.train.labels) % FOLDS).astype(np.int64)
        self.state: tune.State | None = None
        self.saved = time.monotonic()

    def run(self) -> None:
        job, recipe, y = self.job, self.job.recipe, self.job.train.labels
        if not job.tunes:
            return
        phase("training")
        checkpoint = job.spec["checkpoint"]
        facts, tensors = load_state(Path(checkpoint)) if checkpoint else ({}, {})
        self.folds = [tensors[f"extra.fold{k}"].numpy() for k in range(FOLDS) if f"extra.fold{k}" in tensors]
        names = [f"fold{k}" for k in range(FOLDS)] + ["final"]
        # A fold holds half of the rows, so its epochs count half.
        cost = [float((self.fold_of != k).mean()) for k in range(FOLDS)] + [1.0]
        meter = Meter(recipe.epochs)
        self.saved = time.monotonic()
        source, plain = job.source_of(job.train), job.source_of(job.train, plain=True)
        for s, stage in enumerate(names):
            if s < len(self.folds):
                continue
            keep = np.flatnonzero(self.fold_of != s) if stage != "final" else np.arange(len(y))
            state = self.begin(stage, keep)
            if facts.get("stage") == stage:
                restore(state, facts, tensors)

            def after_step(now: tune.State, step: int, steps: int, examples: int, loss: float, s: int = s, stage: str = stage) -> None:
                part = (now.epoch * steps + step + 1) / (recipe.epochs * steps)
                done = (sum(cost[:s]) + cost[s] * part) / sum(cost)
                meter.tick(now.epoch + 1, now.epoch * steps + step + 1, examples, done, loss)
                stop = ranks.any_rank(bool(job.stopping))
                if stop or (recipe.whole and time.monotonic() - self.saved > WHOLE_EVERY_SECONDS):
                    self.checkpoint(now, stage)
                if stop:
                    raise Stopped

            def after_epoch(now: tune.State, stage: str = stage) -> None:
                stop = ranks.any_rank(bool(job.stopping))
                if stop or time.monotonic() - self.saved > (WHOLE_EVERY_SECONDS if recipe.whole else CHECKPOINT_EVERY_SECONDS):
                    self.checkpoint(now, stage)
                if stop:
                    raise Stopped

            seed = (job.spec["seed"], stage)
            sqrt = job.backbone.kind == "sqrt_l2"
            tune.train(state, source, y, keep, recipe, seed, sqrt=sqrt, after_step=after_step, after_epoch=after_epoch)
            if stage == "final":
                self.state = state
                if state.pieces > 1:
                    part = -(-recipe.batch_size // state.pieces)
                    job.notes.append(f"Memory ran out: batches of {recipe.batch_size} were worked through {part} at a time, gradients added up.")
            else:
                self.folds.append(tune.embed_torch(state, plain))

    def begin(self, stage: str, keep: heads.Ints) -> tune.State:
        job, recipe = self.job, self.job.recipe
        weights = job.backbone.folder / job.manifest["weights"]["name"]
        random = job.spec["seed"] & 0x7FFFFFFF if recipe.random_start else None
        network = load_network(weights, job.image, whole=recipe.whole, random=random).to(job.device)
        criterion = recipe.objective(job, keep, network)
        return tune.start(network, criterion, len(job.labels), job.backbone.dimension, recipe, (job.spec["seed"], stage), job.device)

    def checkpoint(self, state: tune.State, stage: str) -> None:
        job = self.job
        if not job.keeps or ranks.index() > 0:
            return
        inside = f"-{state.step}" if state.step else ""
        path = job.out / f"checkpoint-{stage}-{state.epoch}{inside}.safetensors"
        extra = {f"fold{k}": torch.from_numpy(e) for k, e in enumerate(self.folds)}
        save_state(path, state, extra, {"stage": stage, "job": job.spec["job"], "seed": job.spec["seed"]})
        send(type="checkpoint", epoch=state.epoch, **file_facts(path))
        self.saved = time.monotonic()

    def cross_fit(self) -> tuple[float, list[dict[str, float]], Matrix]:
        """The weight of the tuned head by scores that no row's own label took part in; 0 unless the tuned part wins. (Wolpert 1992, stacking.) A
        network from random weights is not mixed: it shows what it is worth alone."""
        job = self.job
        y, k, kind = job.train.labels, len(job.labels), job.backbone.kind
        x = heads.transform(job.base_train, kind, heads.center_of(job.base_background, kind))
        base = np.zeros((len(y), k))
        tuned = np.zeros((len(y), k))
        alone = job.recipe.random_start
        if not self.folds:
            return 0.0, [], fit_frozen(x, y, k).left_out
        for f, embeddings in enumerate(self.folds):
            inside, outside = np.flatnonzero(self.fold_of != f), np.flatnonzero(self.fold_of == f)
            if len(outside) == 0 or len(np.unique(y[inside])) < 2:
                return float(alone), [], fit_frozen(x, y, k).left_out
            base[outside] = fit_frozen(x[inside], y[inside], k).scores(x[outside])
            # The fold's own centre: its background has not been through this network.
            z = heads.transform(embeddings, kind)
            z = z - z[inside].mean(axis=0)
            tuned[outside] = heads.fit_ridge(z[inside], y[inside], k).scores(z[outside])
        fair = witnesses(job.fair(), job.from_target)
        curve = []
        for mix in MIXES:
            scores = (1 - mix) * base + mix * tuned
            right = float((scores.argmax(1) == y)[fair].mean())
            loss = heads.log_loss(scores[fair], y[fair], heads.fit_temperature(scores[fair], y[fair])) / max(len(fair), 1)
            curve.append({"mix": mix, "accuracy": right, "loss": loss})
        best = max(curve, key=lambda c: (round(c["accuracy"], 6), -c["loss"]))
        mix = best["mix"] if best["accuracy"] > curve[0]["accuracy"] else 0.0
        mix = 1.0 if alone else bold(curve, len(fair)) if job.recipe.method in ADAPTING else mix
        return mix, [{"mix": c["mix"], "accuracy": c["accuracy"]} for c in curve], (1 - mix) * base + mix * tuned


def witnesses(fair: heads.Ints, from_target: np.ndarray[Any, Any]) -> heads.Ints:
    """The rows that decide about the mixing weight: labelled rows of the target where there are enough of them."""
    near = fair[from_target[fair]]
    return near if len(near) >= WITNESSES_MIN else fair


def bold(curve: list[dict[str, float]], rows: int) -> float:
    """The largest weight not worse than the best by more than one standard error of a share (Breiman et al. 1984): what a network gained on the
    target hardly shows on the source, so it is taken unless the source speaks against it."""
    best = max(c["accuracy"] for c in curve)
    error = (best * (1 - best) / max(rows, 1)) ** 0.5
    return max(c["mix"] for c in curve if c["accuracy"] >= best - error)
