"""The trained network as the edge serves it, and the embeddings that those graphs give: heads are fitted on nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from .data import SQUARE, centre, embed
from .efficientnet import normalise
from .export import Floats, export_graph, open_session, run_session
from .job import Job
from .losses.alignment import adopt_statistics, target_statistics
from .network import Network
from .stages import keeping
from .tune import State, embed_network, served

PATCH = 64


@dataclass(frozen=True)
class Tuned:
    """Embeddings as the graphs give them (`target`: where heads are aligned with one); `exact`: of the held-out rows, as the torch network does.
    `parity`: how far the two answer alike."""

    train: Floats
    held: Floats
    background: Floats
    files: list[Path]
    exact: Floats
    precision: str
    target: Floats | None = None
    parity: dict[str, Any] | None = None


def deploy(job: Job, state: State, precision: str) -> Tuned:
    """tail.onnx, for a whole network trunk.onnx beside it, and the weights; then every row through them. `precision`: int8 or float32."""
    network = served(state)
    between = keeping(job, state, job.run, "final")
    source = under_own_statistics(job, network, between) if job.recipe.adapts_statistics else None
    network = network.cpu().to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    exact = by_torch(network, job.held_features if network.trunk is None else (ready(v, job.image) for v in job.held.inputs), between)
    threads = job.spec["limits"]["threads"]
    files: list[Path] = []
    sample = torch.from_numpy(job.views[0][0])
    middle = "features" if job.image else "hidden"
    kind: dict[str, Any] = {"dynamic": not job.image, "int8": precision == "int8"}
    if network.trunk is not None:
        first = torch.zeros(1, 3, 224, 224) if job.image else torch.from_numpy(job.train.inputs[0][None])
        names = {"input_name": "pixels" if job.image else "input_ids", "output_name": middle}
        files += export_graph(network.trunk, first, job.out / "trunk.onnx", **names, **kind)
    files += export_graph(network.tail, sample, job.out / "tail.onnx", input_name=middle, output_name="embedding", **kind)
    tail = open_session(job.out / "tail.onnx", threads)
    # An export takes as long as many rows, and says nothing of how long they will take.
    meter = job.ledger.course.meter(ends=not job.after)
    target = job.target if job.recipe.aligns_heads else None
    meter.expect(len(job.train) + len(job.held) + len(job.base_background) + (len(target) if target else 0), 1)
    begun = False

    def each() -> None:
        """Before each row: the one before it is done."""
        nonlocal begun
        between()
        if begun:
            meter.work(1)
        begun = True

    if network.trunk is None:
        tuned = embed(tail, job.views.plain(), each), embed(tail, job.held_features, each), embed(tail, job.background_features, each)
        there = embed(tail, job.target_features, each) if target else None
        weights = network.tail.state_dict()
        if source is not None:
            tuned = np.where(job.from_target[:, None], tuned[0], source), tuned[1], tuned[2]
    else:
        trunk = open_session(job.out / "trunk.onnx", threads)

        def through(values: Any) -> Floats:
            made = []
            for value in values:
                each()
                made.append(run_session(tail, run_session(trunk, ready(value, job.image))))
            return np.concatenate(made)

        tuned = through(job.train.inputs), through(job.held.inputs), through(background(job))
        there = None
        weights = network.state_dict()
    path = job.out / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in weights.items()}, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)
    return Tuned(*tuned, [*files, path], exact, precision, there)


def by_torch(network: Network, rows: Iterable[Any], each: Callable[[], None]) -> Floats:
    """One row a run, as the graphs are run; `each` is called before every row."""
    network.eval()
    made = []
    with torch.no_grad():
        for row in rows:
            each()
            made.append(network(torch.from_numpy(row)).numpy())
    return np.concatenate(made).astype(np.float32)


def under_own_statistics(job: Job, network: Network, between: Callable[[], None]) -> Floats:
    """AdaBN: embeddings of the training rows under the source's batch statistics; the network is left with the target's, which are served."""
    rows = job.source_of(job.train)
    adopt_statistics(network, rows, np.flatnonzero(~job.from_target).tolist(), between)
    embeddings = embed_network(network, rows, job.device, between=between)
    target_statistics(job, network, between)
    return embeddings


def ready(value: Any, image: bool) -> NDArray[Any]:
    return normalise(torch.from_numpy(np.ascontiguousarray(centre(value)))[None]).numpy() if image else value[None]


def background(job: Job) -> list[Any]:
    """Inputs of a whole network's background. Of the pictures' only the shared trunk's activations are kept, so for those it is training pictures
    with their patches shuffled: statistics of pictures without the content of any class."""
    if not job.image:
        return job.backbone.background_tokens()
    job.notes.append("Background of the whole network: training pictures with shuffled patches.")
    random = np.random.default_rng(job.spec["seed"] & 0x7FFFFFFF)
    return [jigsaw(job.train.inputs[i % len(job.train)], random) for i in range(len(job.base_background))]


def jigsaw(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    n = SQUARE // PATCH
    tiles = pixels.reshape(n, PATCH, n, PATCH, 3).transpose(0, 2, 1, 3, 4).reshape(n * n, PATCH, PATCH, 3)
    tiles = tiles[random.permutation(n * n)].reshape(n, n, PATCH, PATCH, 3)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(SQUARE, SQUARE, 3)
