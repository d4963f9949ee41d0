"""One training job, top to bottom: its method's model, its figures, what it leaves behind."""

import time
from typing import Any

import torch

from . import ranks
from .advise import advise
from .artifacts import lineage_of, store_embeddings, write_manifest
from .evaluate import evaluate
from .inspect_rows import inspect
from .job import Job
from .methods import METHODS, needs, plain
from .model_card import write_card
from .wire import file_facts, phase, say, send


def run(spec: dict[str, Any], stopping: list[bool]) -> None:
    """Sends every line of the job, ending with `result`. Raises EngineError or Stopped."""
    torch.manual_seed(spec["seed"] & 0x7FFFFFFF)
    torch.set_num_threads(spec["limits"]["threads"])
    look = {"advise": advise, "inspect": inspect}.get(spec.get("action", "train"))
    if look:
        # As below, without the compiler, whose import takes longer than most looks; optimisers import it by themselves.
        torch.set_deterministic_debug_mode("warn")
        look(spec, stopping)
        return
    # Imports the compiler before the clock of the job runs.
    torch.use_deterministic_algorithms(True, warn_only=True)
    needs(spec)
    ranks.join(spec["device"])
    job = Job(spec, stopping)
    say(f"{len(job.train)} training rows, {len(job.held)} held out ({job.held_name}), {len(job.labels)} labels, {job.device}")
    model = METHODS.get(job.recipe.method, plain)(job)
    followed = ranks.index() > 0
    ranks.leave()
    if followed:
        return
    phase("evaluating")
    if limit := job.ledger.time_limit():
        job.evidence["time_limit"] = limit
        early = f"{len(limit['stages'])} stages of the training"
        job.notes.append(f"max_seconds ({limit['max_seconds']:g}) ended {early} early; this is the best until then.")
    result, held = evaluate(job, model.trained, model.fitted, model.others)
    state, tuned = model.trained.state, model.trained.tuned
    result["parity"] = tuned.parity if tuned else None
    result["tasks"] = model.tasks
    result["losses"] = state.losses if state else []
    if state and state.aside_losses:
        result["evidence"]["losses_on_rows_set_aside"] = state.aside_losses
    lineage = lineage_of(job, result)
    files = [*(tuned.files if tuned else []), job.out / "head.safetensors", store_embeddings(job, tuned)]
    files += write_card(job.out, {"job": job.spec["job"], **lineage}, result, held)
    for path in files:
        send(type="artifact", name=path.name, **file_facts(path))
    write_manifest(job, files, model.trained.mix, result, lineage)
    result["seconds"] = time.monotonic() - job.started
    send(type="result", result={**result, "held_out": held})
