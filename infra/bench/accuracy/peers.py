"""What a user would pick instead, on the same embeddings and episodes: `peers.py SET.safetensors EPISODES.json MODALITY` -> JSON, a row per episode."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

warnings.filterwarnings("ignore")


def peers(shots: int) -> dict[str, object]:
    out: dict[str, object] = {
        "LogisticRegression C=1": LogisticRegression(C=1.0, max_iter=300),
        "kNN": KNeighborsClassifier(min(5, shots), metric="cosine"),
        "nearest class mean": NearestCentroid(),
        "LinearSVC": LinearSVC(),
        "RidgeClassifierCV": RidgeClassifierCV(alphas=np.logspace(-3, 3, 13)),
    }
    if shots >= 2:
        out["shrinkage LDA"] = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        out["LogisticRegression CV"] = GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1.0, 10.0, 100.0]}, cv=min(3, shots))
    return out


def softmax_confidence(model: object, x: np.ndarray) -> np.ndarray:
    return model.predict_proba(x).max(axis=1)  # type: ignore[attr-defined]


rows = load_file(sys.argv[1])["rows"].astype(np.float64)
# Columns of a table are standardised by each model's own examples, as scikit-learn's guide advises; embeddings are made unit vectors.
table = sys.argv[3] == "vector"
if not table:
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
result = []
for shots, all_episodes in json.loads(Path(sys.argv[2]).read_text()):
    for e in all_episodes:
        line: dict[str, object] = {"shots": shots, "accuracy": {}}
        for name, peer in peers(shots).items():
            model = make_pipeline(StandardScaler(), peer) if table else peer
            model.fit(rows[e["support"]], e["supportY"])  # type: ignore[attr-defined]
            said = model.predict(rows[e["query"]])  # type: ignore[attr-defined]
            line["accuracy"][name] = 100 * float(np.mean(said == np.array(e["queryY"])))  # type: ignore[index]
            if name == "LogisticRegression C=1" and e["probes"]:
                known, unknown = (softmax_confidence(model, rows[e[k]]) for k in ("query", "probes"))
                line["auroc"] = float(roc_auc_score([1] * len(known) + [0] * len(unknown), np.concatenate([known, unknown])))
        result.append(line)
    print(shots, file=sys.stderr, flush=True)
print(json.dumps(result))
