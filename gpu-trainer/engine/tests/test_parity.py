"""Which precision a model ships in, decided by what its graphs answer on real held-out rows; and that the figures are told everywhere."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import engine.parity
import engine.run
from engine import deploy as deploying
from engine.data import embed
from engine.export import open_session, run_session
from engine.fit import fit, scores_of
from engine.job import Job
from engine.parity import deploy_settled
from engine.stages import Stages

from .conftest import spec_of

Data = tuple[Path, list[str]]
MIX = 0.5


def trained(modality: str, data: Data, out: Path, **method: Any) -> tuple[Job, Stages, np.ndarray]:
    spec = spec_of(modality, *data, out, method={"type": "fine_tune", "epochs": 1, **method})
    job = Job({"exclude_rows": [], **spec}, [])
    job.embed_all()
    stages = Stages(job)
    stages.run()
    return job, stages, stages.cross_fit()[2]


def test_a_picture_tail_ships_in_float_and_answers_like_torch(pictures: Data, tmp_path: Path) -> None:
    job, stages, oof = trained("image", pictures, tmp_path, augment_views=1)
    assert stages.state is not None
    tuned = deploy_settled(job, stages.state, MIX, oof)
    parity = tuned.parity
    assert parity is not None
    assert (parity["precision"], parity["same_top1"], parity["holds"], parity["rejected"]) == ("float32", 9, True, [])
    assert 0 < parity["max_abs_logit_difference"] < 1e-2
    # The figure again, from the file that ships and the loaded weights, with the mixed head and its temperature.
    fitted = fit(job, MIX, oof, tuned)
    shipped = embed(open_session(tmp_path / "tail.onnx"), job.held_features)
    ours = scores_of(fitted, job.backbone.kind, job.base_held, shipped)
    theirs = scores_of(fitted, job.backbone.kind, job.base_held, tuned.exact)
    assert parity["max_abs_logit_difference"] == pytest.approx(np.abs(ours - theirs).max() / fitted.temperature, rel=1e-6)


def test_a_text_tail_is_int8_only_where_no_answer_changes(mails: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, stages, oof = trained("text", mails, tmp_path)
    assert stages.state is not None
    kept = deploy_settled(job, stages.state, MIX, oof)
    assert kept.parity is not None and kept.parity["holds"] and kept.precision == "int8"
    assert [p.name for p in kept.files] == ["tail.onnx", "tail.onnx.data", "weights.safetensors"]
    small = (tmp_path / "tail.onnx.data").stat().st_size
    assert kept.parity["max_abs_logit_difference"] > 1e-3  # int8 is not float
    # A held-out row whose int8 embedding points elsewhere: one answer changes, and int8 is not shipped.
    real = deploying.deploy

    def broken(*of: Any) -> deploying.Tuned:
        tuned = real(*of)
        if tuned.precision == "int8":
            said = fit(job, 1.0, oof, tuned).candidate.argmax(1)
            tuned.held[0] = tuned.held[int(np.flatnonzero(said != said[0])[0])]
        return tuned

    monkeypatch.setattr(engine.parity, "deploy", broken)
    again = deploy_settled(job, stages.state, 1.0, oof)
    parity = again.parity
    assert parity is not None
    assert (again.precision, parity["precision"], parity["same_top1"], parity["holds"]) == ("float32", "float32", 16, True)
    assert [(r["precision"], r["same_top1"]) for r in parity["rejected"]] == [("int8", 15)]
    assert (tmp_path / "tail.onnx.data").stat().st_size > 3 * small
    assert any("ship in float32" in note for note in job.notes)
    # What lies in the folder is the float graph.
    served = run_session(open_session(tmp_path / "tail.onnx"), job.held_features[1])
    np.testing.assert_allclose(served[0], again.exact[1], atol=1e-4)


def test_the_figures_reach_result_manifest_and_card(pictures: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stages, "cross_fit", lambda self: (MIX, [], np.eye(len(self.job.labels))[self.job.train.labels]))
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(engine.run, "send", lambda **line: sent.append(line))
    engine.run.run(spec_of("image", *pictures, tmp_path, method={"type": "fine_tune", "epochs": 1, "augment_views": 1}), [])
    parity = sent[-1]["result"]["parity"]
    assert parity["rows"] == 9 and parity["holds"]
    assert json.loads((tmp_path / "manifest.json").read_text())["parity"] == parity
    card = (tmp_path / "model-card.md").read_text()
    assert f"In float32 the same best label on 9 of 9 held-out rows, logits at most {parity['max_abs_logit_difference']:.2g} apart." in card
    assert load_file(tmp_path / "weights.safetensors")


def test_nothing_tuned_has_no_parity(pictures: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(engine.run, "send", lambda **line: sent.append(line))
    engine.run.run(spec_of("image", *pictures, tmp_path, method={"type": "linear_probe"}), [])
    assert sent[-1]["result"]["parity"] is None
    assert json.loads((tmp_path / "manifest.json").read_text())["parity"] is None
    assert "beside torch" not in (tmp_path / "model-card.md").read_text()
