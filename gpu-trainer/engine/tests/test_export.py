"""What is exported answers as what was trained: same top-1 on every row, and a difference that is reported."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine import tune
from engine.data import embed
from engine.export import export_graph, open_session
from engine.losses.cross_entropy import CrossEntropy
from engine.network import load_network
from engine.recipe import recipe_of
from engine.source import Cached

from .conftest import BACKBONES

LABELS = 4
ROWS = 12


def features(image: bool) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    if image:
        return [random.normal(size=(1, 192, 7, 7)).astype(np.float32) for _ in range(ROWS)]
    return [random.normal(size=(1, 4 + i, 384)).astype(np.float32) for i in range(ROWS)]


@pytest.mark.parametrize(("image", "tolerance"), [(True, 1e-4), (False, None)])
def test_a_trained_tail_answers_the_same_as_a_graph(image: bool, tolerance: float | None, tmp_path: Path) -> None:
    weights = BACKBONES / ("efficientnet-lite0" if image else "all-minilm-l6-v2") / "weights.safetensors"
    modality = "image" if image else "text"
    recipe = recipe_of("fine_tune", {"epochs": 3, "learning_rate": 1e-3, "batch_size": 4, "label_smoothing": 0.0}, modality)
    network = load_network(weights, image, whole=False, random=None)
    seed = (1, "final")
    state = tune.start(network, CrossEntropy(), LABELS, recipe, seed, torch.device("cpu"))
    before = {k: v.clone() for k, v in network.tail.state_dict().items()}
    rows = features(image)
    y, keep = np.arange(ROWS) % LABELS, np.arange(ROWS)
    source = Cached([[row] for row in rows])
    tune.train(state, source, y, keep, recipe, seed, sqrt=image, after_step=lambda *_: None, after_epoch=lambda _: None)
    assert any(not torch.equal(v, before[k]) for k, v in network.tail.state_dict().items())
    names = {"input_name": "features" if image else "hidden", "output_name": "embedding"}
    written = export_graph(network.tail, torch.from_numpy(rows[0]), tmp_path / "tail.onnx", **names, dynamic=not image, int8=not image)
    # What the runtime of an isolate would hold twice lies beside the graph.
    assert [path.name for path in written] == ["tail.onnx", "tail.onnx.data"]
    assert written[0].stat().st_size < 100_000 < 1_000_000 < written[1].stat().st_size
    ours = embed(open_session(tmp_path / "tail.onnx"), rows)
    torchs = tune.embed_torch(state, source)
    if tolerance is not None:
        np.testing.assert_allclose(ours, torchs, atol=tolerance)
    else:
        # int8: the directions agree.
        cosine = (ours * torchs).sum(1) / (np.linalg.norm(ours, axis=1) * np.linalg.norm(torchs, axis=1))
        assert cosine.min() > 0.98
    head = state.classifier.detach().numpy()
    own = head.shape[1]
    assert ((ours[:, :own] @ head.T).argmax(1) == (torchs[:, :own] @ head.T).argmax(1)).all()
