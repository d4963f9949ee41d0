"""Pictures per second of the engine's loop beside a plain loop, on the same backbone, batch and machine, in one process: JSON on stdout.

Rows, each trained for real for about `--seconds`:
- tail, engine: cached trunk activations of four augmented views, made within the measured time, then epochs of the tail;
- tail, plain: a DataLoader that crops and mirrors one picture at a time (Pillow), the whole network forward, the tail backward;
- whole, engine: the engine's batched augmentation; whole, plain: the same DataLoader; whole, in memory: the loop on ready tensors, the bound.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from engine.data import Backbone, augment, centre
from engine.efficientnet import normalise
from engine.losses.cross_entropy import CrossEntropy
from engine.network import load_network
from engine.recipe import Recipe, recipe_of
from engine.source import Cached, Pixels
from engine.tune import start, train
from engine.wire import protocol_output

CLASSES, ROWS, BATCH, EPOCHS = 8, 128, 32, 20


class Enough(Exception):
    """The measured time is over."""


class OnePicture(Dataset[tuple[torch.Tensor, int]]):
    """What most training scripts do: decode is done, every picture is cropped, mirrored and scaled alone."""

    def __init__(self, pixels: np.ndarray, y: np.ndarray, size: int) -> None:
        self.pixels, self.y, self.size = pixels, y, size
        self.random = np.random.default_rng(2)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        picture = Image.fromarray(self.pixels[i])
        side = int(256 * np.sqrt(self.random.uniform(0.5, 1)))
        x, y = self.random.integers(0, 257 - side, 2)
        picture = picture.crop((x, y, x + side, y + side)).resize((self.size, self.size), Image.Resampling.BILINEAR)
        if self.random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return (torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float() - 127) / 128, int(self.y[i])


def pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth random drawings, one colour scheme a class: the speed does not depend on what is in them."""
    random = np.random.default_rng(seed)
    y = np.arange(ROWS) % CLASSES
    coarse = random.uniform(0, 255, (ROWS, 3, 8, 8)) * 0.5 + random.uniform(0, 255, (CLASSES, 3, 1, 1))[y] * 0.5
    fine = F.interpolate(torch.from_numpy(coarse), size=(256, 256), mode="bicubic").clamp(0, 255)
    return fine.permute(0, 2, 3, 1).round().to(torch.uint8).numpy(), y


def engine_rate(
    recipe: Recipe, weights: Path, source: Cached | Pixels, y: np.ndarray, seconds: float, device: torch.device, spent: float = 0.0
) -> float:
    network = load_network(weights, True, whole=recipe.whole, random=None)
    state = start(network, CrossEntropy(), CLASSES, recipe, (1, "bench"), device)
    began, seen = time.monotonic(), 0

    def after_step(_s: object, _i: int, _n: int, examples: int, _l: float) -> None:
        nonlocal seen
        seen += examples
        if time.monotonic() - began > seconds:
            raise Enough

    with suppress(Enough):
        train(state, source, y, np.arange(len(y)), recipe, (1, "bench"), sqrt=True, after_step=after_step, after_epoch=lambda _s: None)
    # `spent` was for EPOCHS epochs of all rows: this run pays its share of it.
    took = time.monotonic() - began
    return seen / (took + spent * seen / (EPOCHS * len(y)))


def plain_rate(batches: Iterator[tuple[torch.Tensor, torch.Tensor]], weights: Path, tail_only: bool, seconds: float, device: torch.device) -> float:
    network = load_network(weights, True, whole=True, random=None).to(device)
    head = torch.nn.Linear(1280, CLASSES).to(device)
    for p in network.trunk.parameters() if tail_only and network.trunk is not None else []:
        p.requires_grad_(False)
    trained = [p for p in [*network.parameters(), *head.parameters()] if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=5e-4)
    began, seen = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        x, target = next(batches)
        loss = F.cross_entropy(head(network(x.to(device))[:, : head.in_features]), target.to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen += len(target)
    return seen / (time.monotonic() - began)


def endless(loader: DataLoader[tuple[torch.Tensor, int]]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    while True:
        yield from loader


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--seconds", type=float, default=20)
    asked = parser.parse_args()
    folder = Path(asked.backbone)
    manifest = json.loads((folder / "manifest.json").read_text())
    weights = folder / manifest["weights"]["name"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pixels, y = pictures(1)
    whole = recipe_of("fine_tune", {"depth": "full", "batch_size": BATCH, "epochs": 1_000, "class_weights": "none"}, "image")
    tail = recipe_of("fine_tune", {"batch_size": BATCH, "epochs": 1_000, "class_weights": "none"}, "image")

    def loader(size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return endless(DataLoader(OnePicture(pixels, y, size), batch_size=BATCH, shuffle=True, drop_last=True))

    began = time.monotonic()
    backbone = Backbone(folder, manifest, torch.get_num_threads())
    views = [
        [backbone.features_of(centre(p)), *(backbone.features_of(augment(p, np.random.default_rng([1, i, v]))) for v in range(3))]
        for i, p in enumerate(pixels)
    ]
    caching = time.monotonic() - began
    ready = [
        (normalise(torch.from_numpy(pixels[i : i + BATCH, : whole.size, : whole.size])).to(device), torch.from_numpy(y[i : i + BATCH]))
        for i in range(0, ROWS, BATCH)
    ]

    def memory() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from ((x.contiguous(memory_format=torch.channels_last), t) for x, t in ready)

    results = {
        "tail_plain": plain_rate(loader(224), weights, True, asked.seconds, device),
        "tail_engine": engine_rate(tail, weights, Cached(views), y, asked.seconds, device, caching),
        "whole_plain": plain_rate(loader(whole.size), weights, False, asked.seconds, device),
        "whole_engine": engine_rate(whole, weights, Pixels(pixels, whole.size), y, asked.seconds, device),
        "whole_in_memory": plain_rate(memory(), weights, False, asked.seconds, device),
    }
    said = {"device": str(device), "size": whole.size, "batch": BATCH, "epochs": EPOCHS, "caching_seconds": caching, "rates": results}
    # The engine keeps stdout to itself.
    os.write(protocol_output(), json.dumps(said).encode())


if __name__ == "__main__":
    main()
