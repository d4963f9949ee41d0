"""What a user would do about another domain: scikit-learn on aligned embeddings. `peers.py SOURCE TARGET EPISODES.json` -> JSON, one row per episode."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

warnings.filterwarnings("ignore")
SHRINKAGE = 0.5


def features(path: str, kind: str) -> np.ndarray:
    rows = load_file(path)["rows"].astype(np.float64)
    rows = np.sqrt(np.maximum(rows, 0)) if kind == "sqrt" else rows
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def power(rows: np.ndarray, p: float, x: np.ndarray) -> np.ndarray:
    """x @ (shrunk covariance of centred rows) ** p, through the singular vectors of the rows."""
    _, s, vt = np.linalg.svd(rows, full_matrices=False)
    values = s**2 / len(rows)
    floor = SHRINKAGE * values.sum() / rows.shape[1]
    inside = ((1 - SHRINKAGE) * values + floor) ** p - floor**p
    return x * floor**p + ((x @ vt.T) * inside) @ vt


def accuracy(model: object, x: np.ndarray, y: np.ndarray, q: np.ndarray, truth: np.ndarray) -> float:
    # Logistic regression with an L2 penalty lies in the span of its rows: rotated into that span it is the same model, and ten times as fast.
    _, _, vt = np.linalg.svd(x, full_matrices=False)
    model.fit(x @ vt.T, y)  # type: ignore[attr-defined]
    return 100 * float(np.mean(model.predict(q @ vt.T) == truth))  # type: ignore[attr-defined]


def models() -> dict[str, object]:
    return {
        "C=1": LogisticRegression(C=1.0, max_iter=300),
        "CV": GridSearchCV(LogisticRegression(max_iter=300), {"C": [1.0, 10.0, 100.0, 1000.0]}, cv=3),
    }


result = []
spaces = {kind: (features(sys.argv[1], kind), features(sys.argv[2], kind)) for kind in ("l2", "sqrt")}
for e in json.loads(Path(sys.argv[3]).read_text()):
    y, truth = np.array(e["sourceY"]), np.array(e["heldY"])
    line = {}
    for kind, (source, target) in spaces.items():
        x, t, q = source[e["source"]], target[e["target"]], target[e["held"]]
        xc, tc, qc = x - x.mean(0), t - t.mean(0), q - t.mean(0)
        for name, model in models().items():
            line[f"LR {name} {kind}"] = accuracy(model, x, y, q, truth)
            line[f"centring + LR {name} {kind}"] = accuracy(model, xc, y, qc, truth)
            line[f"CORAL + LR {name} {kind}"] = accuracy(model, power(tc, 0.5, power(xc, -0.5, xc)), y, qc, truth)
    result.append(line)
print(json.dumps(result))
