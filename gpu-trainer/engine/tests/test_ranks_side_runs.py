"""A job of several runs in several processes: every rank takes the same way through all of them, and the first alone writes."""

from pathlib import Path
from typing import Any

import numpy as np

from .conftest import Spec, run_engine, spec_of
from .test_adaptation import NAMES, domains
from .test_text_methods import LABELS, topics

__all__ = ["domains", "topics"]


def in_two(spec: Spec) -> Spec:
    return {**spec, "limits": {**spec["limits"], "processes": 2}}


def test_seeds_of_domain_confusion_and_source_only(domains: dict[str, Path], tmp_path: Path) -> None:
    method = {"type": "domain_confusion", "epochs": 1, "augment_views": 1, "seeds": 2}
    target = {"arrays": str(domains["unlabelled"]), "labels": NAMES}

    def result(name: str, change: Any) -> dict[str, Any]:
        return run_engine(change(spec_of("image", domains["source"], NAMES, tmp_path / name, method=method, target=target))).result

    one, two = result("one", lambda s: s), result("two", in_two)
    np.testing.assert_allclose(two["losses"], one["losses"], atol=1e-4)
    assert [s["seed"] for s in two["evidence"]["seeds"]] == [7, 8] and sum(s["served"] for s in two["evidence"]["seeds"]) == 1
    assert abs(two["evidence"]["adaptation"]["source_only_accuracy"] - one["evidence"]["adaptation"]["source_only_accuracy"]) <= 1 / 24 + 1e-9


def test_tasks_together_and_alone(topics: dict[str, Path], tmp_path: Path) -> None:
    tasks = [{"name": "topic", "labels": LABELS}, {"name": "size", "labels": ["short", "long"]}]

    def result(name: str, change: Any) -> dict[str, Any]:
        made = spec_of("text", topics["arrays"], LABELS, tmp_path / name, method={"type": "multi_task", "epochs": 1})
        return run_engine(change({**made, "dataset": {**made["dataset"], "tasks": tasks}})).result

    one, two = result("one", lambda s: s), result("two", in_two)
    np.testing.assert_allclose(two["losses"], one["losses"], atol=1e-5)
    assert two["tasks"] == one["tasks"]
