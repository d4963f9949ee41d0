"""multi_task: one tail for all tasks, the head of one of them, and each task beside the same task trained alone on the same rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from . import tune
from .activations import Activations, Joined
from .arrays import ArrayFile
from .checkpoint import restore
from .data import TEST, TRAIN, VALIDATION
from .fit import fit
from .heads import Ints
from .job import Job
from .losses.cross_entropy import CrossEntropy
from .losses.tasks import TaskLosses
from .multi_task import Task, task_result
from .network import OWN_DIMENSION, load_network
from .schedule import class_weight
from .source import Cached
from .stages import Stage
from .stages import learn as learn_stage
from .training import Model, train_once
from .wire import EngineError, say


def needs(spec: dict[str, Any]) -> None:
    """At least two tasks; the dataset's `labels` become those of the task that is served."""
    method = spec["method"]
    if method.get("type") != "multi_task":
        return
    tasks = spec["dataset"].get("tasks") or []
    if len(tasks) < 2:
        raise EngineError("tasks_missing", "method.type: multi_task needs a dataset whose rows name the labels of at least two tasks.")
    names = [t["name"] for t in tasks]
    wanted = method.get("task") or names[0]
    if wanted not in names:
        raise EngineError("options_invalid", f"method.task: the dataset has no task {wanted}; it has {', '.join(names)}.")
    spec["dataset"] = of_task(spec["dataset"], wanted)
    if spec.get("validation"):
        spec["validation"] = of_task(spec["validation"], wanted)


def of_task(dataset: dict[str, Any], name: str) -> dict[str, Any]:
    """The dataset with the labels of one task. One without tasks has labels of the task that is served."""
    tasks = dataset.get("tasks") or []
    if not tasks:
        return {**dataset, "tasks": [{"name": name, "labels": dataset["labels"]}], "tensor": "labels"}
    i = next((i for i, t in enumerate(tasks) if t["name"] == name), None)
    if i is None:
        raise EngineError("options_invalid", f"validation_dataset: none of its rows has a label of the task {name}, which is the one served.")
    return {**dataset, "labels": tasks[i]["labels"], "tensor": f"tasks.{i}"}


def labels_by_task(dataset: dict[str, Any], tasks: list[dict[str, Any]]) -> Ints:
    """[task, row]: places in the labels of each of `tasks`; −1 where the row has none, or one that the task lacks."""
    arrays = ArrayFile(Path(dataset["arrays"]))
    rows = []
    for task in tasks:
        at = next((i for i, t in enumerate(dataset["tasks"]) if t["name"] == task["name"]), None)
        tensor = None if at is None else "labels" if dataset["tensor"] == "labels" else f"tasks.{at}"
        if at is None or tensor is None:
            rows.append(np.full(arrays.shape("labels")[0], -1, dtype=np.int64))
            continue
        place = [task["labels"].index(n) if n in task["labels"] else -1 for n in dataset["tasks"][at]["labels"]]
        rows.append(np.array([*place, -1], dtype=np.int64)[arrays.read(tensor)])
    return np.stack(rows)


class Tasks:
    """Tasks of the dataset, the served one first; `near`, `beside`, `held`: their labels of `job.train`, of the training rows without a label of the
    served task, and of every held-out row."""

    def __init__(self, job: Job) -> None:
        spec = job.spec["dataset"]
        served = int(spec["tensor"].removeprefix("tasks."))
        self.names = [spec["tasks"][served], *(t for i, t in enumerate(spec["tasks"]) if i != served)]
        table = labels_by_task(spec, self.names)
        data = job.included(job.read(spec))
        any_label = (table[:, data.row] >= 0).any(axis=0)
        first = table[0, data.row] >= 0
        elsewhere = job.spec.get("validation")
        if elsewhere:
            judged_by = labels_by_task(elsewhere, self.names)
            self.held = job.read(elsewhere).take(np.flatnonzero((judged_by >= 0).any(axis=0)))
            training = np.ones(len(data), dtype=bool)
        else:
            held = TEST if job.held_name == "test" else VALIDATION
            judged_by = table
            self.held = data.take(np.flatnonzero((data.split == held) & any_label))
            training = (data.split != held) & ((data.split == TRAIN) | (held == TEST))
        self.beside = data.take(np.flatnonzero(training & any_label & ~first))
        own = np.where(job.train.row[None, :] >= 0, table[:, np.maximum(job.train.row, 0)], -1)
        self.near, self.far, self.truth = own, table[:, self.beside.row], judged_by[:, self.held.row]
        for t, task in enumerate(self.names):
            if len(np.unique(self.labels_of(t)[self.labels_of(t) >= 0])) < 2:
                raise EngineError("too_few_classes", f"The task {task['name']} has training examples of fewer than two labels.")
        self.features = job.activations("beside", self.beside)[0]
        self.held_features = job.activations("held-tasks", self.held)[0]

    def labels_of(self, t: int) -> Ints:
        """Of all training rows: those of the served task, then those beside. (Enrolled examples have labels of the served task alone.)"""
        return np.concatenate([self.near[t], self.far[t]])

    def share_of(self, t: int, job: Job) -> float:
        """Rows that one task alone learns from, beside those that all of them learn from together."""
        enrolled = int((job.train.row < 0).sum()) if t == 0 else 0
        return (int((self.labels_of(t) >= 0).sum()) + enrolled) / len(job.train)

    def objective(self, job: Job) -> TaskLosses:
        known = [labels[labels >= 0] for labels in map(self.labels_of, range(1, len(self.names)))]
        weights = [class_weight(job.recipe, y, len(t["labels"]), torch.device("cpu")) for y, t in zip(known, self.names[1:], strict=True)]
        source = Cached(self.features) if len(self.features) else None
        return TaskLosses(weights, list(self.near[1:]), list(self.far[1:]), source, OWN_DIMENSION[job.recipe.modality], job.spec["seed"])


def learn(job: Job) -> Model:
    tasks = Tasks(job)
    job.tasks = tasks
    # Tasks alone have no folds.
    job.after = [tasks.share_of(t, job) for t in range(len(tasks.names))]
    job.embed_all()
    trained = train_once(job)
    fitted = fit(job, trained.mix, trained.oof, trained.tuned)
    state = trained.state
    if state is None:
        raise EngineError("out_of_time", "max_seconds: no time was left to train the tasks together.")
    assert isinstance(state.criterion, TaskLosses)
    together = featured(job, state, tasks.held_features)
    results = []
    for t, named in enumerate(tasks.names):
        say(f"the task {named['name']} alone")
        ours = F.normalize(state.classifier, dim=1).T if t == 0 else F.normalize(state.criterion.heads[t - 1], dim=1).T
        alone = train_alone(job, tasks, t)
        theirs = featured(job, alone, tasks.held_features) @ F.normalize(alone.classifier, dim=1).T
        said = ((together @ ours).argmax(dim=1).cpu().numpy(), theirs.argmax(dim=1).cpu().numpy())
        task = Task(named["name"], list(named["labels"]), tasks.truth[t])
        results.append(task_result(task, tasks.truth[t], *said, job.spec["seed"]))
    worse = [r["name"] for r in results if r["negative_transfer"]]
    if worse:
        job.notes.append(f"Negative transfer between tasks: {', '.join(worse)} did worse together than alone, beyond doubt.")
    job.evidence["task_log_variances"] = {
        n["name"]: float(v) for n, v in zip(tasks.names, state.criterion.uncertainties.log_variance.tolist(), strict=True)
    }
    return Model(trained, fitted, tasks=results)


def featured(job: Job, state: tune.State, features: Activations) -> torch.Tensor:
    raw = torch.from_numpy(tune.embed_torch(state, Cached(features), between=job.check_stop)).to(state.classifier.device)
    return tune.features(raw, job.backbone.kind == "sqrt_l2").detach()


def train_alone(job: Job, tasks: Tasks, t: int) -> tune.State:
    """The same network, recipe and rows with the labels of one task alone."""
    seed = (job.spec["seed"], f"alone{t}")
    y = tasks.labels_of(t)
    if t == 0:
        y = np.concatenate([job.train.labels, tasks.far[0]])
    network = load_network(job.backbone.folder / job.manifest["weights"]["name"], job.image, whole=False, random=None)
    state = tune.start(network, CrossEntropy(), len(tasks.names[t]["labels"]), job.recipe, seed, job.device)
    done, name = job.ledger.run(f"alone{t}"), f"alone{t}"
    if done.final:
        restore(state, *done.final)
        return state
    source, rows = Cached(Joined(job.views, tasks.features)), np.flatnonzero(y >= 0)
    cost, *after = job.after[t:]
    until = job.clock.until(cost / (cost + sum(after))) if job.clock.seconds else math.inf
    learn_stage(job, Stage(name, name, source, y, rows, cost, after, until), state)
    job.ledger.finish(state, name)
    return state
