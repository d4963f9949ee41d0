"""An aligned head on its way through the head file: what is served is what was judged. test/learning/aligned-head.test.ts reads the same file."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from engine import heads
from engine.evaluate import save_head
from engine.export import Floats
from engine.fit import fit
from engine.head_file import ServedHead
from engine.kernel import kernel

LABELS = ["a", "b", "c"]
D = 24


def made(out: Path, rate: float | None = 0.1) -> Any:
    """A job's rows on a backbone of few dimensions: three classes, and the same three in a target that is moved and stretched."""
    random = np.random.default_rng(3)
    means = 2 + 0.4 * random.normal(size=(3, D))
    away, stretch = 4 * (random.random(D) < 0.3), random.uniform(0.4, 2.0, D)

    def rows(n: int, far: bool) -> tuple[Floats, heads.Ints]:
        y = np.arange(n) % 3
        x = means[y] + 0.5 * random.normal(size=(n, D))
        return np.maximum(x * stretch + away if far else x, 0).astype(np.float32), y

    (train, y), (target, _), (held, truth) = rows(30, False), rows(40, True), rows(60, True)
    near = np.zeros(30, dtype=bool)
    return SimpleNamespace(
        train=SimpleNamespace(labels=y),
        held=SimpleNamespace(labels=truth),
        target=SimpleNamespace(labels=np.full(40, -1)),
        labels=LABELS,
        backbone=SimpleNamespace(kind="sqrt_l2", dimension=D),
        several=False,
        recipe=SimpleNamespace(aligns_heads=True),
        base_train=train,
        base_target=target,
        base_held=held,
        base_background=random.uniform(0, 6, (50, D)).astype(np.float32),
        from_target=near,
        fair=lambda: np.arange(30),
        spec={"false_reject_rate": rate},
        out=out,
    )


def written(out: Path) -> tuple[Any, Any]:
    job = made(out)
    fitted = fit(job, 0.0, np.random.default_rng(1).normal(size=(30, 3)), None)
    save_head(job, fitted)
    return job, fitted


def test_the_file_answers_as_the_candidate_that_was_judged(tmp_path: Path) -> None:
    job, fitted = written(tmp_path)
    head = ServedHead(tmp_path / "head.safetensors")
    (component,) = head.meta["components"]
    assert component["kernel_power"] == 4 and component["name"] == "aligned_kernel_ridge"
    np.testing.assert_allclose(head.scores(job.base_held, None), fitted.candidate, atol=2e-4)
    assert (fitted.candidate.argmax(1) == job.held.labels).mean() > (fitted.frozen.argmax(1) == job.held.labels).mean()


def test_its_support_is_where_the_target_is_and_knows_the_target(tmp_path: Path) -> None:
    job, _ = written(tmp_path)
    head = ServedHead(tmp_path / "head.safetensors")
    center, rows = (head.tensors[f"support.{name}"].astype(np.float64) for name in ("center", "rows"))
    np.testing.assert_allclose(center, heads.transform(job.base_target, "sqrt_l2").mean(axis=0), atol=1e-6)
    similarity = kernel(heads.unit(heads.transform(job.base_target, "sqrt_l2", center)), rows)
    variance = 1 - ((similarity @ head.tensors["support.factor"].astype(np.float64).T) ** 2).sum(axis=1)
    rule = head.meta["open_set"]
    known = head.scores(job.base_target, None).max(1) - rule["variance_weight"] * variance
    assert (known < rule["threshold"] - 1e-4).mean() <= rule["false_reject_rate"]


if __name__ == "__main__":
    import sys

    folder = Path(sys.argv[1])
    job, fitted = written(folder)
    (folder / "answers.json").write_text(json.dumps({"rows": job.base_held.tolist(), "scores": fitted.candidate.tolist()}))
