"""The stages of a job's training: one network a fold, whose embeddings of the other rows are fair evidence, then the final one on all rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import calibration, heads, ranks, targets, tune
from .aligned_head import fit_aligned
from .checkpoint import restore
from .export import Floats
from .heads import Matrix
from .job import ADAPTING, Job
from .kernel import fit_frozen
from .losses.alignment import target_statistics
from .network import load_network
from .recipe import Recipe
from .source import Source
from .wire import OutOfTime, Stopped, phase

MIXES = tuple(i / 10 for i in range(11))
FOLDS = 2
# As few labelled rows of the target as this say more about it than all of the source's.
WITNESSES_MIN = 20
# Weight of the tuned part of an adapted model where nothing speaks against it: both aligned heads are better than either. docs/decisions/0014.
SHARE = 0.3
CHECKPOINT_EVERY_SECONDS = 10.0
# A whole network's state is hundreds of MB: seldom. Inside epochs, which may be long, too.
WHOLE_EVERY_SECONDS = 120.0
INSIDE_EVERY_SECONDS = 120.0


@dataclass(frozen=True)
class Stage:
    """`run`, `name`: which it is in the ledger. `cost`: rows that it learns from, as a share of all; `after`: costs of the stages that follow in the
    job. `until`: when it has to end."""

    run: str
    name: str
    source: Source
    y: heads.Ints
    rows: heads.Ints
    cost: float
    after: list[float]
    until: float = math.inf


def keeping(job: Job, state: tune.State, run: str, stage: str) -> Callable[[], None]:
    """To be called between batches that do not train: at a stop it keeps what has been learnt, and raises Stopped."""

    def between() -> None:
        if not job.stopping:
            return
        if ranks.index() == 0:
            job.ledger.keep(state, run, stage)
        raise Stopped

    return between


def learn(job: Job, stage: Stage, state: tune.State) -> None:
    """Trains one stage from where the checkpoint left it to its end or that of its time; writes checkpoints. Raises Stopped after the last one."""
    recipe, ledger, course = job.recipe, job.ledger, job.ledger.course
    course.begin()
    ledger.resume(state, stage.run, stage.name)

    def pause(now: tune.State, every: float) -> None:
        stop = ranks.any_rank(bool(job.stopping))
        if ranks.index() == 0 and (stop or time.monotonic() - ledger.saved > every):
            ledger.save(now, stage.run, stage.name)
        if stop:
            raise Stopped

    def after_step(now: tune.State, step: int, steps: int, examples: int, loss: float) -> None:
        every = recipe.epochs * steps
        ahead = stage.cost * (1 - (now.epoch * steps + step + 1) / every) + sum(stage.after)
        epochs_ahead = recipe.epochs * (1 + len(stage.after)) - now.epoch
        course.step(now.updates, work=stage.cost / every, ahead=ahead, epochs_ahead=epochs_ahead, examples=examples, loss=loss)
        pause(now, INSIDE_EVERY_SECONDS)
        if stage.until < math.inf and ranks.any_rank(time.monotonic() > stage.until):
            raise OutOfTime(steps)

    def after_epoch(now: tune.State) -> None:
        course.epochs += 1
        pause(now, WHOLE_EVERY_SECONDS if recipe.whole else CHECKPOINT_EVERY_SECONDS)

    seed, sqrt = (job.spec["seed"], stage.name), job.backbone.kind == "sqrt_l2"
    try:
        between = keeping(job, state, stage.run, stage.name)
        calls = {"after_step": after_step, "after_epoch": after_epoch, "between": between}
        tune.train(state, stage.source, stage.y, stage.rows, recipe, seed, sqrt=sqrt, **calls)
    except OutOfTime as e:
        tune.end_early(state, e.steps)
        ledger.cut_short(stage.run, stage.name, state.epoch + state.step / e.steps, recipe.epochs)
    course.steps += state.updates


def remarks(state: tune.State, recipe: Recipe) -> list[str]:
    """What the training of the final network came across."""
    notes = []
    if state.pieces > 1:
        part = -(-recipe.batch_size // state.pieces)
        notes.append(f"Memory ran out: batches of {recipe.batch_size} were worked through {part} at a time, gradients added up.")
    if recipe.early_stopping and state.losses and not state.aside_losses:
        notes.append("early_stopping had no rows to watch, because no class has five training rows: all epochs were trained.")
    return notes


class Stages:
    """Runs them; `folds`: per fold the embeddings of every training row, then those of the target where heads are aligned with it; `state`: the
    final network. Resumes from the job's ledger."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.folds: list[Floats] = []
        self.fold_of = (heads.turns(targets.strata(job.train.labels)) % FOLDS).astype(np.int64)
        self.state: tune.State | None = None

    def run(self) -> None:
        job, recipe, y = self.job, self.job.recipe, self.job.train.labels
        if not job.tunes:
            return
        phase("training")
        done = job.ledger.run(job.run)
        names = [f"fold{k}" for k in range(FOLDS)] + ["final"]
        cost = [float((self.fold_of != k).mean()) for k in range(FOLDS)] + [1.0]
        source, plain = job.source_of(job.train), job.source_of(job.train, plain=True)
        for s, name in enumerate(names):
            if s < len(done.folds):
                continue
            keep = np.flatnonzero(self.fold_of != s) if name != "final" else np.arange(len(y))
            state = self.begin(name, keep)
            if name == "final" and done.final:
                restore(state, *done.final)
                self.state = state
                break
            if s == 0 and ranks.any_rank(job.clock.left() <= 0):
                job.ledger.cut_short(job.run, name, 0.0, recipe.epochs)
                return
            after = [*cost[s + 1 :], *job.after]
            until = job.clock.until(cost[s] / (cost[s] + sum(after))) if job.clock.seconds else math.inf
            learn(job, Stage(job.run, name, source, y, keep, cost[s], after, until), state)
            if name != "final":
                done.folds.append(self.embeddings(state, plain, keeping(job, state, job.run, name)))
                continue
            self.state = state
            if not recipe.whole:
                job.ledger.finish(state, job.run)
            job.notes += remarks(state, recipe)
        self.folds = done.folds

    def begin(self, stage: str, keep: heads.Ints) -> tune.State:
        job, recipe = self.job, self.job.recipe
        weights = job.backbone.folder / job.manifest["weights"]["name"]
        random = job.spec["seed"] & 0x7FFFFFFF if recipe.random_start else None
        network = load_network(weights, job.image, whole=recipe.whole, random=random).to(job.device)
        criterion = recipe.objective(job, keep, network)
        return tune.start(network, criterion, len(job.labels), recipe, (job.spec["seed"], stage), job.device)

    def embeddings(self, state: tune.State, plain: Source, between: Callable[[], None]) -> Floats:
        """What the fold's network gives for every training row, and for the target's."""
        job = self.job
        rows = tune.embed_torch(state, plain, between=between)
        if not job.recipe.aligns_heads:
            return rows
        network = tune.served(state)
        if job.recipe.adapts_statistics:
            network = target_statistics(job, network, between)
            near = np.flatnonzero(job.from_target)
            if len(near):
                rows[near] = tune.embed_network(network, plain, job.device, near.tolist(), between)
        return np.concatenate([rows, tune.embed_network(network, job.target_source(), job.device, between=between)])

    def cross_fit(self) -> tuple[float, list[dict[str, float]], Matrix]:
        """The weight of the tuned head by scores that no row's own label took part in; 0 unless the tuned part wins. (Wolpert 1992, stacking.) A
        network from random weights is not mixed: it shows what it is worth alone."""
        job = self.job
        y, k, kind = job.train.labels, len(job.labels), job.backbone.kind
        x = heads.transform(job.base_train, kind, heads.center_of(job.base_background, kind))
        usual = heads.usual_scale(job.base_background, kind)
        base = np.zeros((len(y), k))
        tuned = np.zeros((len(y), k))
        alone = job.recipe.random_start
        if not self.folds:
            return 0.0, [], fit_frozen(x, y, k, usual).left_out
        for f, embeddings in enumerate(self.folds):
            inside, outside = np.flatnonzero(self.fold_of != f), np.flatnonzero(self.fold_of == f)
            if len(outside) == 0 or not targets.teaches(y[inside]):
                return float(alone), [], fit_frozen(x, y, k, usual).left_out
            if job.recipe.aligns_heads:
                base[outside] = self.aligned(job.base_train, inside, outside, job.base_target, over_kernel=True)
                tuned[outside] = self.aligned(embeddings[: len(y)], inside, outside, embeddings[len(y) :], over_kernel=False)
                continue
            base[outside] = fit_frozen(x[inside], y[inside], k, usual).scores(x[outside])
            # The fold's own centre: its background has not been through this network.
            z = heads.transform(embeddings, kind)
            z = z - z[inside].mean(axis=0)
            tuned[outside] = heads.fit_ridge(z[inside], y[inside], k).scores(z[outside])
        fair = witnesses(job.fair(), job.from_target)
        curve = []
        for mix in MIXES:
            scores = (1 - mix) * base + mix * tuned
            right = float(targets.right(scores, y)[fair].mean())
            loss = calibration.log_loss(scores[fair], y[fair], calibration.fit_temperature(scores[fair], y[fair])) / max(len(fair), 1)
            curve.append({"mix": mix, "accuracy": right, "loss": loss})
        best = max(curve, key=lambda c: (round(c["accuracy"], 6), -c["loss"]))
        mix = best["mix"] if best["accuracy"] > curve[0]["accuracy"] else 0.0
        mix = 1.0 if alone else settled(curve, len(fair)) if job.recipe.method in ADAPTING else mix
        return mix, [{"mix": c["mix"], "accuracy": c["accuracy"]} for c in curve], (1 - mix) * base + mix * tuned

    def aligned(self, train: Floats, inside: heads.Ints, outside: heads.Ints, target: Floats, *, over_kernel: bool) -> Matrix:
        """Scores of left-out rows by a head aligned with the target; each row is taken less the mean of its own domain."""
        job = self.job
        assert job.target is not None
        x, there = (heads.transform(raw, job.backbone.kind) for raw in (train, target))
        near = job.from_target
        y, free = job.train.labels[inside], job.target.labels < 0
        head = fit_aligned(x[inside], y, len(job.labels), near[inside], there, free, over_kernel=over_kernel)
        return head.scores(x[outside], near[outside])


def witnesses(fair: heads.Ints, from_target: np.ndarray[Any, Any]) -> heads.Ints:
    """The rows that decide about the mixing weight: labelled rows of the target where there are enough of them."""
    near = fair[from_target[fair]]
    return near if len(near) >= WITNESSES_MIN else fair


def settled(curve: list[dict[str, float]], rows: int) -> float:
    """The weight nearest to SHARE that is not worse than the best by more than one standard error of a share (Breiman et al. 1984): rows of the
    source hardly say what a weight is worth on the target, so they only speak against it."""
    best = max(c["accuracy"] for c in curve)
    error = (best * (1 - best) / max(rows, 1)) ** 0.5
    return min((c["mix"] for c in curve if c["accuracy"] >= best - error), key=lambda mix: (round(abs(mix - SHARE), 6), mix))
