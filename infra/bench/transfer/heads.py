"""`heads.py SOURCE TARGET BACKGROUND KIND EPISODES.json`: the engine's heads on frozen embeddings, nothing trained -> JSON, one row an episode."""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from engine import heads
from engine.aligned_head import fit_aligned
from engine.kernel import fit_frozen


def embeddings(path: str) -> np.ndarray:
    return next(iter(load_file(path).values()))


def main(source: str, target: str, background: str, kind: str, episodes: str) -> None:
    center = heads.center_of(embeddings(background), kind)
    near, far = (heads.transform(embeddings(path), kind, center) for path in (source, target))
    result = []
    for e in json.loads(Path(episodes).read_text()):
        x, y, k = near[e["train"]], np.array(e["y"]), e["labels"]
        seen, judged, truth = far[e["unlabelled"]], far[e["judged"]], np.array(e["truth"])
        aligned = fit_aligned(x, y, k, np.zeros(len(x), dtype=bool), seen, np.ones(len(seen), dtype=bool), over_kernel=True)
        scores = {"frozen": fit_frozen(x, y, k).scores(judged), "ridge": heads.fit_ridge(x, y, k).scores(judged), "aligned": aligned.scores(judged)}
        result.append({name: 100 * float((s.argmax(1) == truth).mean()) for name, s in scores.items()})
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:6])
