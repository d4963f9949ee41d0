"""What `auto` and advice go by: trials that no row's own label takes part in, weighed with earlier measurements. What follows: test_recommend.py."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import engine.auto
import engine.evidence
import engine.probe
import engine.run
from engine.evidence import noise_of
from engine.job import Job
from engine.probe import aligned, measurable, tuned_tail
from engine.survey import open_backbone

from .conftest import BACKBONES, run_engine, spec_of
from .small import cached, looked_at, seen_of, trial_of

Data = tuple[Path, list[str]]
CPU = torch.device("cpu")


@pytest.mark.parametrize("image", [True, False])
def test_tuning_shows_where_there_is_something_to_learn_and_not_on_shuffled_labels(image: bool) -> None:
    backbone = open_backbone(BACKBONES / ("efficientnet-lite0" if image else "all-minilm-l6-v2"), "image" if image else "text", 1)
    source, y = cached(image, rows=60, noise=12.0 if image else 3.0)
    features = [v[0] for v in source.views]
    seen, every = looked_at(backbone, features, y), np.arange(60)
    told, again = (tuned_tail(seen, every, 3, CPU, []) for _ in range(2))
    assert (told.rows, told.without, told.with_, told.low, told.high) == (60, again.without, again.with_, again.low, again.high)
    assert told.low <= told.difference <= told.high
    shuffled = np.random.default_rng(1).permutation(y)
    noise = tuned_tail(replace(seen, rows=replace(seen.rows, labels=shuffled)), every, 3, CPU, [])
    # Were a row's label in its own answer, both would be near 1 here: a third is chance.
    assert noise.without < 0.6 and noise.with_ < 0.6 and noise.low <= 0.05
    assert told.with_ > noise.with_


def test_rows_for_a_trial_have_four_of_their_class() -> None:
    y = np.array([0] * 30 + [1] * 30 + [2] * 3)
    assert set(y[measurable(y)].tolist()) == {0, 1} and len(measurable(y)) == 60
    assert len(measurable(y[:39])) == 0
    assert len(measurable(np.zeros(100, dtype=np.int64))) == 0
    many = measurable(np.arange(5_000) % 7)
    assert len(many) == 400 and np.ptp(np.bincount(many % 7)) <= 1


def test_aligning_helps_where_the_domains_are_moved_apart() -> None:
    random = np.random.default_rng(2)
    y = np.arange(200) % 2
    x = random.normal(size=(200, 8)) + np.where(y, 1.0, -1.0)[:, None]
    moved = random.normal(size=(200, 8)) + np.where(y, 1.0, -1.0)[:, None] + 2.0
    seen = seen_of(x, y)
    told = aligned(seen, moved, y, 2, 1)
    assert told is not None and told.without < 0.7 < 0.9 < told.with_ and told.low > 0
    assert aligned(seen, moved, np.where(np.arange(200) < 19, y, -1), 2, 1) is None


def test_auto_tells_its_table_in_result_manifest_card_and_event(mails: Data, tmp_path: Path) -> None:
    ended = run_engine(spec_of("text", *mails, tmp_path, method={"type": "auto"}))
    table = ended.result["evidence"]["auto"]
    assert (table["chose"], table["source"], table["verdict"]) == ("linear_probe", "measured", "not_yet")
    assert [(o["method"], o["basis"]) for o in table["options"]] == [("linear_probe", "measured"), ("fine_tune", "prior"), ("fine_tune", "prior")]
    assert ended.of("choice") == [{"type": "choice", "method": "linear_probe", "because": table["because"], "options": table["options"]}]
    assert json.loads((tmp_path / "manifest.json").read_text())["lineage"]["choice"] == table
    card = (tmp_path / "model-card.md").read_text()
    assert f"`auto` took linear_probe. {table['because']}" in card
    assert "| fine_tune last_blocks |" in card and "earlier measurements" in card


def test_auto_tunes_on_the_activations_that_it_looked_at(mails: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.probe, "PROBE_ROWS_MIN", 10)
    monkeypatch.setattr(engine.evidence, "tuned_tail", lambda *_: trial_of(0.05))
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(engine.auto, "send", lambda **line: sent.append(line))
    job = Job({"exclude_rows": [], **spec_of("text", *mails, tmp_path, method={"type": "auto", "epochs": 3})}, [])
    assert job.recipe.method == "fine_tune" and job.recipe.epochs == 3
    assert [line["method"] for line in sent] == ["fine_tune"]
    ran: list[int] = []
    real = job.backbone.features_of
    monkeypatch.setattr(job.backbone, "features_of", lambda value: (ran.append(1), real(value))[1])
    job.embed_all()
    # Held-out rows and the background, but no training row again.
    background = len(job.base_background)
    assert len(ran) == len(job.held) + background and not job.looked
    np.testing.assert_array_equal(job.views[3][0], real(job.backbone.served(job.train.inputs[3])))


def test_auto_goes_by_finished_advice_and_by_what_was_begun(mails: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("looked at rows although there was advice")

    monkeypatch.setattr(engine.auto, "look", never)
    option = {"method": "fine_tune", "options": {}, "expected_accuracy": 0.9, "interval": {"low": 0.8, "high": 1.0}, "seconds": 1.0, "because": "x"}
    advice = {
        "when": {"verdict": "now", "because": "It paid on 80 rows."},
        "how": {"method": "fine_tune"},
        "backbones": [{"backbone": "all-minilm-l6-v2", "accuracy": 0.8, "interval": None, "log_me": 0.1}],
        "distance": None,
        "label_noise": 0.0,
        "options": [option],
    }
    spec = spec_of("text", *mails, tmp_path, method={"type": "auto"}, advice={"job": "job_9", "advice": advice})
    job = Job(spec, [])
    table = job.evidence["auto"]
    assert job.recipe.method == "fine_tune"
    assert (table["chose"], table["source"], table["advice_job"], table["because"]) == ("fine_tune", "advice", "job_9", "It paid on 80 rows.")
    assert table["frozen"] == {"accuracy": 0.8, "interval": None, "log_me": 0.1}
    # A checkpoint says that tuning had begun: the same job goes on with it.
    spec["advice"]["advice"]["how"]["method"] = "linear_probe"
    assert Job(spec, []).recipe.method == "linear_probe"
    assert Job({**spec, "checkpoint": "there"}, []).recipe.method == "fine_tune"
    # Adapting needs a target; a depth that the caller names is no question.
    spec["advice"]["advice"]["how"]["method"] = "domain_adaptation"
    assert Job(spec, []).recipe.method == "fine_tune"
    asked = Job({**spec, "method": {"type": "auto", "last_blocks": 1}}, [])
    assert asked.recipe.last_blocks == 1 and asked.evidence["auto"]["source"] == "asked"


def test_two_processes_choose_as_one_does(mails: Data, tmp_path: Path) -> None:
    arrays = load_file(mails[0])
    again = np.concatenate([np.arange(len(arrays["split"])), np.flatnonzero(arrays["split"] == 0)])
    save_file({k: v[again] for k, v in arrays.items()}, tmp_path / "twice.safetensors")
    spec = spec_of("text", tmp_path / "twice.safetensors", mails[1], tmp_path / "one", method={"type": "auto", "epochs": 1})
    both = {**spec, "out_dir": str(tmp_path / "two"), "limits": {**spec["limits"], "processes": 2}}
    one, two = (run_engine(s).result for s in (spec, both))

    def told(result: dict[str, Any]) -> dict[str, Any]:
        table = result["evidence"]["auto"]
        [trial] = table["trials"]
        return {"chose": table["chose"], "because": table["because"], **{k: v for k, v in trial.items() if k != "seconds"}}

    assert told(one)["rows"] == 64
    assert told(two) == told(one)
    assert two["method"] == one["method"] and two["train_rows"] == 64


def test_label_noise_is_that_of_the_quality_report() -> None:
    random = np.random.default_rng(4)
    y = np.arange(120) % 2
    x = random.normal(size=(120, 12)) + np.where(y, 1.2, -1.2)[:, None]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    assert (noise_of(x, y, 2) or 0) < 0.03
    wrong = np.where(np.arange(120) % 8 == 0, 1 - y, y)
    assert noise_of(x, wrong, 2) == pytest.approx(15 / 120, abs=0.05)
    assert noise_of(x[:2], y[:2], 2) is None
