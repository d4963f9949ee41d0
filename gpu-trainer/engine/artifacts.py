"""What a job leaves behind besides graphs and heads: embeddings for the edge, and the manifest, written last."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file as save_arrays

from . import heads, targets
from .deploy import Tuned
from .job import FROM_SOURCE, Job
from .wire import file_facts, send, sha256_of

STORED_ROWS_MAX = 1_000


def store_embeddings(job: Job, tuned: Tuned | None) -> Path:
    """Raw embeddings of the training rows (at most STORED_ROWS_MAX, classes in turn), those of a source classifier among them, and of the enrolled
    examples. Of several labels `present` says which each row has."""
    from_dataset = np.flatnonzero((job.train.row >= 0) | (job.train.row <= FROM_SOURCE))
    keep = from_dataset[heads.by_turns(targets.strata(job.train.labels[from_dataset]), STORED_ROWS_MAX)]
    y = job.train.labels[keep]
    enrolled = np.flatnonzero(job.train.row == -1)
    arrays: dict[str, Any] = {
        "base": job.base_train[keep],
        "labels": (np.zeros(len(keep)) if job.several else y).astype(np.int32),
        "rows": job.train.row[keep].astype(np.int32),
        "enrolled.base": job.base_train[enrolled],
    }
    if job.several:
        arrays["present"] = y.astype(np.uint8)
    if tuned is not None:
        arrays |= {"tuned": tuned.train[keep], "enrolled.tuned": tuned.train[enrolled], "background.tuned": tuned.background}
    path = job.out / "embeddings.safetensors"
    save_arrays({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)
    return path


def code_version() -> str:
    """SHA-256 over the engine's own sources, in the order of their names: what a result was computed by, with or without a repository."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        if "tests" not in path.parts:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def lineage_of(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """What a model was made from and by; enough to make it again."""
    spec = job.spec
    return {
        "backbone": job.manifest["id"],
        "backbone_sha256": job.manifest["sha256"],
        "license": job.manifest.get("license"),
        "preprocessing": job.manifest.get("preprocessing"),
        "arrays_sha256": sha256_of(Path(spec["dataset"]["arrays"])),
        "target_sha256": sha256_of(Path(spec["target"]["arrays"])) if spec.get("target") else None,
        "validation_sha256": sha256_of(Path(spec["validation"]["arrays"])) if spec.get("validation") else None,
        "excluded_rows": len(spec.get("exclude_rows") or []),
        "enrolled_examples": job.enrolled_count,
        "source_examples": job.source_count,
        "method": result["method"]["used"],
        "seed": spec["seed"],
        "engine_sha256": code_version(),
        "torch": torch.__version__,
        "device": result["device"],
    }


def write_manifest(job: Job, files: list[Path], mix: float, result: dict[str, Any], lineage: dict[str, Any]) -> None:
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
        "network": result["network"],
        "parity": result["parity"],
        # Of `auto`: which way was taken, and on what evidence.
        "lineage": {**lineage, **({"choice": job.evidence["auto"]} if "auto" in job.evidence else {})},
        "files": named,
    }
    path = job.out / "manifest.json"
    path.with_suffix(".part").write_text(json.dumps(manifest, indent=2) + "\n")
    os.replace(path.with_suffix(".part"), path)
    send(type="artifact", name="manifest.json", **file_facts(path))
