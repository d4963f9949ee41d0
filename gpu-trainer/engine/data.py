"""Arrays of a frozen dataset, and their embeddings through the graphs that the edge serves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from . import targets
from .arrays import ArrayFile, Pictures, TokenRows
from .efficientnet import normalise
from .export import Floats, open_session, run_session
from .heads import Ints
from .pixels import network_input
from .wire import EngineError, nothing

SQUARE, INPUT = 256, 224
TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True)
class Rows:
    """`inputs`: U8 squares or int64 token rows, read from disk when they are asked for. `labels`: as targets.py has them.
    `row`: number in the frozen dataset, −1 for enrolled examples, −2 for labelled rows of a target, from −3 down for examples of a source."""

    inputs: Pictures
    labels: Ints
    split: Ints
    row: Ints

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return targets.labelled(self.labels)

    def take(self, keep: Ints) -> "Rows":
        return Rows(self.inputs.take(keep), self.labels[keep], self.split[keep], self.row[keep])


def load_rows(path: Path, modality: str, labels: int, *, enrolled: bool = False, tensor: str = "labels", several: bool = False) -> Rows:
    """`several`: rows may have any number of labels; `present` says which."""
    arrays = ArrayFile(path)
    wanted: set[str] = {"pixels"} if modality == "image" else {"input_ids", "lengths"}
    wanted |= {tensor, "present"} if several else {tensor}
    missing = [name for name in sorted(wanted) if name not in arrays]
    if missing:
        raise EngineError("dataset_invalid", f"{path.name} lacks {', '.join(missing)}", blame="graft")
    y = arrays.read(tensor).astype(np.int64)
    if len(y) and (y.max() >= labels or y.min() < -1):
        raise EngineError("dataset_invalid", f"{path.name} has a label outside 0…{labels - 1}", blame="graft")
    if several:
        present = arrays.read("present").astype(np.int8)
        if present.shape != (len(y), labels) or (present & ~1).any():
            raise EngineError(
                "dataset_invalid", f"{path.name}: present is {list(present.shape)}, expected 0 and 1 in [{len(y)}, {labels}]", blame="graft"
            )
        present[y < 0] = -1
        y = cast("Ints", present)
    if modality == "image" and arrays.shape("pixels")[1:] != [SQUARE, SQUARE, 3]:
        raise EngineError("dataset_invalid", f"{path.name}: pixels are {arrays.shape('pixels')}, expected [n, 256, 256, 3]", blame="graft")
    inputs = (Pictures if modality == "image" else TokenRows).all_of(arrays)
    if len(inputs) != len(y):
        raise EngineError("dataset_invalid", f"{path.name} has {len(inputs)} rows and {len(y)} labels", blame="graft")
    split = np.zeros(len(y), dtype=np.int64) if enrolled else arrays.read("split").astype(np.int64)
    row = np.full(len(y), -1, dtype=np.int64) if enrolled else np.arange(len(y), dtype=np.int64)
    return Rows(inputs, y, split, row)


def join(a: Rows, b: Rows) -> Rows:
    parts = [np.concatenate([getattr(a, k), getattr(b, k)]) for k in ("labels", "split", "row")]
    return Rows(a.inputs.joined(b.inputs), *parts)


def moved(rows: Rows, names: list[str], labels: list[str]) -> Rows:
    """The same rows with their labels' places in `labels`; unlabelled where a name is not among them."""
    return Rows(rows.inputs, targets.placed(rows.labels, names, labels), rows.split, rows.row)


def held_out(rows: Rows) -> tuple[Ints, str]:
    """Labelled rows of the test split, or of the validation split when there is no test row."""
    test = np.flatnonzero(rows.labelled & (rows.split == TEST))
    return (test, "test") if len(test) else (np.flatnonzero(rows.labelled & (rows.split == VALIDATION)), "validation")


def centre(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    skip = (SQUARE - INPUT) // 2
    return pixels[skip : skip + INPUT, skip : skip + INPUT]


def augment(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """A random resized crop (area 0.5 to 1) of the stored square, mirrored half of the time, with a little brightness and contrast."""
    side = round(SQUARE * float(np.sqrt(random.uniform(0.5, 1.0))))
    y, x = (int(random.integers(0, SQUARE - side + 1)) for _ in range(2))
    crop = torch.from_numpy(pixels[y : y + side, x : x + side].copy()).permute(2, 0, 1)[None].float()
    view = torch.nn.functional.interpolate(crop, size=(INPUT, INPUT), mode="bilinear", align_corners=False, antialias=True)
    view = (view - 127) * float(random.uniform(0.85, 1.15)) + 127 + float(random.uniform(-16, 16))
    out = view[0].permute(1, 2, 0).clamp(0, 255).round().to(torch.uint8).numpy()
    return out[:, ::-1].copy() if random.random() < 0.5 else out


class Backbone:
    """Trunk and base tail through onnxruntime, exactly as served."""

    def __init__(self, folder: Path, manifest: dict[str, Any], threads: int) -> None:
        self.folder, self.manifest, self.threads = folder, manifest, threads
        self.image = manifest["modality"] == "image"
        self.trunk = open_session(folder / manifest["trunk"]["model"]["name"], threads)
        self.tail = open_session(folder / manifest["tail"]["model"]["name"], threads)
        self.kind: str = manifest["transform"]
        self.dimension: int = manifest["dimension"]
        # One that an operator added says itself how it reads a picture.
        self.added: bool = manifest["weights"] is None

    def served(self, value: Any) -> Any:
        """What `features_of` takes of a stored row when nothing is varied."""
        return centre(value) if self.image and not self.added else value

    def features_of(self, value: Any, trunk: onnxruntime.InferenceSession | None = None) -> Floats:
        """Trunk output of one input: a 224-pixel picture [224, 224, 3] U8 (of an added backbone the stored square), or one token row.

        `trunk`: another one than the backbone's own.
        """
        session = trunk or self.trunk
        if self.image and self.added:
            return run_session(session, network_input(value, self.manifest["preprocessing"]))
        if self.image:
            return run_session(session, normalise(torch.from_numpy(np.ascontiguousarray(value))[None]).numpy())
        return run_session(session, value[None])

    def background(self, each: Callable[[], None] = nothing) -> tuple[Floats, list[Floats]]:
        """Base embeddings [m, d] and trunk features of the background; `each` is called before every row that goes through the trunk."""
        base = load_file(self.folder / self.manifest["background"]["name"])["embeddings"]
        if self.image:
            arrays = load_file(self.folder / self.manifest["background_inputs"]["name"])
            return base, [f[None] for f in arrays["features"]]
        features = []
        for row in self.background_tokens():
            each()
            features.append(self.features_of(row))
        return base, features

    def background_tokens(self) -> list[NDArray[np.int64]]:
        arrays = load_file(self.folder / self.manifest["background_inputs"]["name"])
        return [r[:n].astype(np.int64) for r, n in zip(arrays["input_ids"], arrays["lengths"], strict=True)]


def embed(tail: onnxruntime.InferenceSession, features: Sequence[Floats], each: Callable[[], None] = nothing) -> Floats:
    """Embeddings [n, d] of cached trunk features, one row a run (dynamic int8 changes with the batch); `each` is called before every row."""
    if len(features) == 0:
        return np.zeros((0, 0), dtype=np.float32)
    made = []
    for f in features:
        each()
        made.append(run_session(tail, f))
    return np.concatenate(made)
