"""One training job, top to bottom: embed, cross-fit, tune, evaluate, export."""

import time
from typing import Any

import torch

from .advise import advise
from .artifacts import lineage_of, store_embeddings, write_manifest
from .deploy import deploy
from .evaluate import evaluate
from .inspect_rows import inspect
from .job import Job
from .model_card import write_card
from .stages import Stages
from .wire import file_facts, phase, say, send


def run(spec: dict[str, Any], stopping: list[bool]) -> None:
    """Sends every line of the job, ending with `result`. Raises EngineError or Stopped."""
    torch.manual_seed(spec["seed"] & 0x7FFFFFFF)
    torch.set_num_threads(spec["limits"]["threads"])
    torch.use_deterministic_algorithms(True, warn_only=True)
    look = {"advise": advise, "inspect": inspect}.get(spec.get("action", "train"))
    if look:
        look(spec, stopping)
        return
    job = Job(spec, stopping)
    say(f"{len(job.train)} training rows, {len(job.held)} held out ({job.held_name}), {len(job.labels)} labels, {job.device}")
    job.embed_all()
    stages = Stages(job)
    stages.run()
    state = stages.state
    mix, curve, oof = stages.cross_fit()
    if job.tunes and mix == 0:
        job.notes.append("Cross-fitting found nothing gained by the tuned network, so the frozen backbone is kept.")
    phase("exporting")
    tuned = deploy(job, state) if state is not None and mix > 0 else None
    job.check_stop()
    phase("evaluating")
    result, held = evaluate(job, mix, curve, oof, tuned)
    result["losses"] = state.losses if state else []
    if state and state.aside_losses:
        result["evidence"]["losses_on_rows_set_aside"] = state.aside_losses
    lineage = lineage_of(job, result)
    files = [*(tuned.files if tuned else []), job.out / "head.safetensors", store_embeddings(job, tuned)]
    files += write_card(job.out, {"job": job.spec["job"], **lineage}, result, held)
    for path in files:
        send(type="artifact", name=path.name, **file_facts(path))
    write_manifest(job, files, mix, result["network"], lineage)
    result["seconds"] = time.monotonic() - job.started
    send(type="result", result={**result, "held_out": held})
