"""`worker.py CACHE`: the engine's own `run`, one spec after another, in one process.

A request is a line of JSON on stdin, answers are the engine's lines. Nothing of the engine is replaced. Two of its functions are remembered, because
several methods of one episode ask them the same question:
- `Backbone.features_of`: the trunk is frozen, so an input has one activation. Those of stored rows are kept on disk by set and backbone, in float32
  as computed; those of augmented views are forgotten with the episode;
- the run without adaptation that every adaptation is compared with: the same spec, seed and recipe give the same model.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from engine import adaptation
from engine.__main__ import fail
from engine.data import Backbone, load_rows
from engine.job import Job
from engine.run import run
from engine.wire import EngineError

Compute = Callable[..., Any]
# What tells an adaptation from the same without it.
CHANGED = ("method", "objective", "adapts_statistics", "aligns_heads")


class Activations:
    """`kept`: by digest of backbone and input, as on disk; `views`: of this episode only."""

    def __init__(self, folder: Path, compute: Compute) -> None:
        self.folder, self.compute = folder, compute
        self.kept: dict[str, Any] = {}
        self.views: dict[str, Any] = {}
        self.opened: set[Path] = set()

    def key(self, backbone: Backbone, value: Any) -> str:
        digest = hashlib.sha1(backbone.manifest["sha256"].encode())
        digest.update(np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()

    def of(self, backbone: Backbone, value: Any, trunk: Any = None) -> Any:
        if trunk is not None:
            return self.compute(backbone, value, trunk)
        key = self.key(backbone, value)
        if key in self.kept:
            return self.kept[key]
        if key not in self.views:
            self.views[key] = self.compute(backbone, value)
        return self.views[key]

    def warm(self, backbone: Backbone, arrays: Path, set_name: str) -> None:
        """Reads the set's file, and adds to it what these arrays have beyond."""
        file = self.folder / f"{set_name}-{backbone.manifest['sha256'][:12]}.safetensors"
        if file not in self.opened and file.exists():
            self.kept |= load_file(file)
        self.opened.add(file)
        rows = load_rows(arrays, backbone.manifest["modality"], 1 << 20)
        values = [backbone.served(v) for v in rows.inputs]
        missing = {self.key(backbone, v): v for v in values}
        missing = {k: v for k, v in missing.items() if k not in self.kept}
        if not missing:
            return
        self.kept |= {k: self.compute(backbone, v) for k, v in missing.items()}
        stored = load_file(file) if file.exists() else {}
        stored |= {k: self.kept[k] for k in missing}
        self.folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        save_file(stored, part)
        os.replace(part, file)


def remembered(compute: Compute, answers: dict[str, Any]) -> Compute:
    """The run without adaptation, by everything of the job that it depends on."""

    def of(job: Job) -> Any:
        recipe = {f.name: getattr(job.recipe, f.name) for f in fields(job.recipe) if f.name not in CHANGED}
        spec = {k: job.spec[k] for k in ("seed", "dataset", "target", "backbone")}
        key = json.dumps([recipe, spec], sort_keys=True)
        if key not in answers:
            answers[key] = compute(job)
        return answers[key]

    return of


def main(cache: Path) -> None:
    activations = Activations(cache, Backbone.features_of)
    plain: dict[str, Any] = {}
    Backbone.features_of = lambda self, value, trunk=None: activations.of(self, value, trunk)  # type: ignore[method-assign]
    adaptation.unadapted = remembered(adaptation.unadapted, plain)
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "forget":
            activations.views.clear()
            plain.clear()
            continue
        spec = request["spec"]
        try:
            if request["do"] == "choose":
                # Says so itself, in a line of its own.
                Job(spec, [])
                continue
            folder = Path(spec["backbone"]["dir"])
            backbone = Backbone(folder, json.loads((folder / "manifest.json").read_text()), spec["limits"]["threads"])
            for part, name in zip(("dataset", "target"), request["sets"], strict=False):
                activations.warm(backbone, Path(spec[part]["arrays"]), name)
            run(spec, [])
        except EngineError as error:
            fail(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
