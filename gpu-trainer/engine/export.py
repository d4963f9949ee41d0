"""ONNX export of trunks and tails in the form that the edge loads, and the sessions that run them here exactly as they are served."""

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

OPSET = 17
Floats = NDArray[np.float32]


def export_graph(
    module: nn.Module,
    sample: torch.Tensor,
    target: Path,
    *,
    input_name: str,
    output_name: str,
    dynamic: bool,
    int8: bool,
) -> list[Path]:
    """Writes `target` and `target`.data by rename; returns the files. `dynamic`: axis 1 is the number of tokens.

    int8 is dynamic per-channel: per-tensor costs accuracy (cosine .960 against .992). Convolutions stay float32, which is faster in wasm.
    """
    module = module.eval()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        raw = Path(folder) / "raw.onnx"
        axes = {input_name: {1: "tokens"}} if dynamic else None
        if dynamic and output_name == "hidden" and axes is not None:
            axes["hidden"] = {1: "tokens"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (sample,),
                str(raw),
                input_names=[input_name],
                output_names=[output_name],
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
        if int8:
            packed = Path(folder) / "int8.onnx"
            quantize_dynamic(str(raw), str(packed), per_channel=True, weight_type=QuantType.QInt8)
            raw = packed
        # Weights outside the graph: the edge hands them over once and frees its copy, which saves 26 MiB of wasm memory (pictures; texts 35).
        data = target.name + ".data"
        staged = Path(folder) / target.name
        onnx.save_model(
            onnx.load(str(raw)),
            str(staged),
            save_as_external_data=True,
            all_tensors_to_one_file=True,
            location=data,
            size_threshold=1024,
            convert_attribute=True,
        )
        os.replace(Path(folder) / data, target.with_name(data))
        os.replace(staged, target)
        return [target, target.with_name(data)]


def open_session(model: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, value: NDArray[Any]) -> Floats:
    """One input, one output. Text graphs must be run one row at a time: dynamic int8 changes with the batch."""
    result = session.run(None, {session.get_inputs()[0].name: value})[0]
    return np.asarray(result, dtype=np.float32)
