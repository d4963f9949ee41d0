"""What a job has finished: the folds and the final network of each of its runs. Every checkpoint holds all of it: nothing is trained twice."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .arrays import ArrayFile
from .checkpoint import load_state, part_of, restore, save_state, tensors_of
from .clock import Clock
from .course import Course
from .export import Floats
from .tune import State
from .wire import EngineError, file_facts, send, tell

FORMAT = 2


def rows_of(spec: dict[str, Any]) -> str:
    """SHA-256 of which rows a job trains on, as far as that may change between two attempts: a classifier is taught on while its job waits or is
    paused, and what was half trained on other rows fits neither their number nor their folds."""
    digest = hashlib.sha256(json.dumps([spec["dataset"]["labels"], spec.get("exclude_rows") or []]).encode())
    for which in ("enrolled", "source"):
        if given := spec.get(which):
            arrays = ArrayFile(Path(given["arrays"]))
            digest.update(json.dumps([which, given["ids"], given["labels"]]).encode())
            for name in ("labels", "present"):
                digest.update(arrays.read(name).tobytes() if name in arrays else b"")
    return digest.hexdigest()


@dataclass
class Run:
    """`final`: scalars and tensors of the trained network; kept where other runs follow."""

    folds: list[Floats] = field(default_factory=list)
    final: tuple[dict[str, Any], dict[str, Tensor]] | None = None


class Ledger:
    """`runs` by name, the job's own is "". `going`: the unfinished stage of the checkpoint that this process goes on from."""

    def __init__(self, spec: dict[str, Any], clock: Clock, notes: list[str]) -> None:
        self.spec, self.clock = spec, clock
        self.runs: dict[str, Run] = {}
        self.going: tuple[dict[str, Any], dict[str, Tensor]] | None = None
        self.saved = time.monotonic()
        # Where the last checkpoint left off: run, stage, epoch and step.
        self.place: tuple[str, str, int, int] | None = None
        self.course = Course(clock)
        self.method: str | None = None
        # Stages that ended by max_seconds.
        self.cut: list[dict[str, Any]] = []
        self.rows = rows_of(spec)
        if spec["checkpoint"]:
            self.open(Path(spec["checkpoint"]), notes)

    def open(self, path: Path, notes: list[str]) -> None:
        try:
            facts, tensors = load_state(path)
        except EngineError as e:
            notes.append(f"{e.detail} The training started again.")
            return
        if facts.get("format") != FORMAT or facts.get("job") != self.spec["job"] or facts.get("seed") != self.spec["seed"]:
            notes.append("The checkpoint is of another job or version; the training started again.")
            return
        if facts.get("rows") != self.rows:
            notes.append("Other examples are enrolled than when the checkpoint was written; the training started again.")
            return
        self.clock.spent += facts["seconds"]
        self.cut, self.method = facts["cut"], facts["method"]
        course = self.course
        course.epochs, course.begun, course.steps, course.planned = facts["epochs"], *(facts.get(k, 0) for k in ("begun", "steps", "planned"))
        for name, told in facts["runs"].items():
            mine = part_of(tensors, f"runs.{name}")
            folds = [mine[f"fold{k}"].numpy() for k in range(told["folds"])]
            self.runs[name] = Run(folds, (told["final"], part_of(mine, "final")) if told["final"] else None)
        self.going = facts, tensors

    def run(self, name: str) -> Run:
        return self.runs.setdefault(name, Run())

    def resume(self, state: State, run: str, stage: str) -> None:
        """Takes up the stage where the checkpoint left it, if this is the one."""
        if self.going and (self.going[0]["run"], self.going[0]["stage"]) == (run, stage):
            restore(state, *self.going)
            self.going = None

    def save(self, state: State, run: str, stage: str) -> None:
        """The state of an unfinished stage and all that is finished; says so."""
        name = "-".join(part for part in (run, stage, str(state.epoch), str(state.step) if state.step else "") if part)
        path = Path(self.spec["out_dir"]) / f"checkpoint-{name}.safetensors"
        extra: dict[str, Tensor] = {}
        told: dict[str, Any] = {}
        for key, done in self.runs.items():
            extra |= {f"runs.{key}.fold{k}": torch.from_numpy(e) for k, e in enumerate(done.folds)}
            told[key] = {"folds": len(done.folds), "final": done.final[0] if done.final else None}
            if done.final:
                extra |= {f"runs.{key}.final.{k}": v for k, v in done.final[1].items()}
        facts = {
            "format": FORMAT,
            "job": self.spec["job"],
            "seed": self.spec["seed"],
            "rows": self.rows,
            "method": self.method,
            "run": run,
            "stage": stage,
            "runs": told,
            "epochs": self.course.epochs,
            "begun": self.course.begun,
            "steps": self.course.steps,
            "planned": self.course.planned,
            "cut": self.cut,
            "seconds": self.clock.now(),
        }
        save_state(path, state, extra, facts)
        send(type="checkpoint", epoch=self.course.epochs, **file_facts(path))
        self.saved, self.place = time.monotonic(), (run, stage, state.epoch, state.step)

    def keep(self, state: State, run: str, stage: str) -> None:
        """Saves what the last checkpoint does not have: a host may be uploading that one, under this name."""
        if self.place != (run, stage, state.epoch, state.step):
            self.save(state, run, stage)

    def finish(self, state: State, run: str) -> None:
        self.run(run).final = tensors_of(state, whole=False)

    def cut_short(self, run: str, stage: str, epochs: float, planned: int) -> None:
        """A stage of the training ended by `max_seconds`."""
        # One that was stopped after its time was over is told of again when it has gone on.
        self.cut = [c for c in self.cut if (c["run"], c["stage"]) != (run, stage)]
        self.cut.append({"run": run, "stage": stage, "epochs": round(epochs, 2), "planned": planned})
        what = f"{run}/{stage}" if run else stage
        tell(f"max_seconds: the stage {what} of the training ended after {epochs:.1f} of {planned} epochs.", "warning")

    def time_limit(self) -> dict[str, Any] | None:
        """For the result: which stages ended early; None when all of them ended by themselves."""
        return {"max_seconds": self.clock.seconds, "seconds": round(self.clock.now(), 1), "stages": self.cut} if self.cut else None
