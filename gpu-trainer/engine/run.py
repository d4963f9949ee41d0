"""One training job, top to bottom: embed, cross-fit, tune, evaluate, export."""

import os
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from .artifacts import store_embeddings, write_manifest
from .data import embed
from .evaluate import evaluate
from .export import export_graph, open_session
from .job import Job
from .wire import file_facts, phase, say, send


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
