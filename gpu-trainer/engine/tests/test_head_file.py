"""An incumbent's head is read as the edge serves it."""

from pathlib import Path

import numpy as np
import pytest

from engine.head_file import ServedHead, write_head


def test_rows_written_in_directions_score_as_the_rows_themselves(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    m, d, width, labels = 30, 20, 7, 3
    basis = np.linalg.qr(random.normal(size=(d, width)))[0].T
    rows = random.normal(size=(m, width)) * 0.3
    tensors = {
        "support.center": random.normal(size=d) * 0.01,
        "support.label_of": np.arange(m, dtype=np.int32) % labels,
        "support.factor": np.eye(m),
        "components.0.weight": random.normal(size=(labels, m)),
        "components.0.bias": random.normal(size=labels),
    }
    part = {"embedding": "base", "name": "kernel_ridge", "transform": "l2", "dimension": d, "mix": 0.8, "kernel_power": 4}
    metadata = {"format": "graft-head-1", "labels": ["a", "b", "c"], "components": [part]}
    asked = random.normal(size=(9, d)).astype(np.float32)

    def scores(**more: np.ndarray) -> np.ndarray:
        write_head(tmp_path / "head.safetensors", tensors | more, metadata)
        return ServedHead(tmp_path / "head.safetensors").scores(asked, None)

    whole = scores(**{"support.rows": rows @ basis})
    np.testing.assert_allclose(scores(**{"support.rows": rows, "support.basis": basis}), whole, atol=1e-10)
    with pytest.raises(ValueError, match="matmul"):
        scores(**{"support.rows": rows})
