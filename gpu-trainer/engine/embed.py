"""`python -m engine.embed BACKBONE ARRAYS OUT [THREADS]`: embeddings of frozen arrays through the graphs that the edge serves.

ARRAYS: `pixels` U8 [n, 256, 256, 3], or `input_ids` I32 [n, t] with `lengths` I32 [n]. OUT: `embeddings` F32 [n, d]; for pictures also
`features` F16 [n, 192, 7, 7] when the environment asks for it (GRAFT_KEEP_FEATURES).
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from .arrays import ArrayFile, Pictures, TokenRows
from .data import Backbone, embed


def main(folder: Path, arrays: Path, out: Path, threads: int) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    backbone = Backbone(folder, manifest, threads)
    given = ArrayFile(arrays)
    inputs = Pictures.all_of(given) if backbone.image else TokenRows.all_of(given)
    embeddings, features = [], []
    for value in inputs:
        feature = backbone.features_of(backbone.served(value))
        embeddings.append(embed(backbone.tail, [feature])[0])
        if backbone.image and os.environ.get("GRAFT_KEEP_FEATURES"):
            features.append(feature[0].astype(np.float16))
    result = {"embeddings": np.stack(embeddings)}
    if features:
        result["features"] = np.stack(features)
    save_file(result, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else os.cpu_count() or 1)
