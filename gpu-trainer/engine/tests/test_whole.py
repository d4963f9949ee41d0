"""Networks that are trained from the input up: what is shipped is what was trained, and it is judged like every other candidate."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from engine import deploy
from engine.data import held_out
from engine.export import open_session, run_session
from engine.job import Job
from engine.network import ALL_BLOCKS, TAIL_BLOCKS, blocks, load_network
from engine.source import Pixels, Tokens
from engine.stages import Stages
from engine.wire import EngineError

from .conftest import BACKBONES, run_engine, spec_of

Data = tuple[Path, list[str]]


def weights(image: bool) -> Path:
    return BACKBONES / ("efficientnet-lite0" if image else "all-minilm-l6-v2") / "weights.safetensors"


@pytest.mark.parametrize("image", [True, False])
def test_blocks_hold_every_parameter_once(image: bool) -> None:
    for whole, number in ((False, TAIL_BLOCKS), (True, ALL_BLOCKS)):
        network = load_network(weights(image), image, whole=whole, random=None)
        parts = blocks(network)
        assert len(parts) == number["image" if image else "text"]
        assert sorted(id(p) for part in parts for p in part) == sorted(id(p) for p in network.parameters())


def test_random_weights_follow_the_seed_and_nothing_else() -> None:
    one, same, other = (load_network(weights(True), True, whole=True, random=seed).state_dict() for seed in (1, 1, 2))
    known = load_network(weights(True), True, whole=True, random=None).state_dict()
    name = "trunk._conv_stem.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name]) and not torch.equal(one[name], known[name])
    assert float(one["tail._bn1.running_mean"].abs().max()) == 0


def test_a_padded_batch_of_texts_answers_like_single_rows() -> None:
    network = load_network(weights(False), False, whole=True, random=None)
    rows = [np.arange(1000, 1000 + n) for n in (4, 9, 6)]
    source, cpu = Tokens(rows), torch.device("cpu")
    with torch.no_grad():
        together = network(*source.batch([0, 1, 2], [0, 0, 0], cpu))
        for i, row in enumerate(rows):
            torch.testing.assert_close(together[i : i + 1], network(torch.from_numpy(row)[None]), atol=1e-4, rtol=0)


def test_pictures_in_training_are_those_that_are_served(pictures: Data) -> None:
    """The plain view at the served side is the centre crop; an augmented one depends on its number alone."""
    pixels = load_file(pictures[0])["pixels"][:2]
    cpu = torch.device("cpu")
    plain = Pixels(pixels, 224).batch([0, 1], [0, 0], cpu)[0]
    served = torch.from_numpy(np.concatenate([deploy.ready(p, True) for p in pixels]))
    torch.testing.assert_close(plain.contiguous(), served, atol=2e-2, rtol=0)
    source = Pixels(pixels, 96)
    first, second = source.batch([0, 1], [5, 6], cpu)[0], source.batch([1, 0], [6, 5], cpu)[0]
    assert first.shape == (2, 3, 96, 96)
    torch.testing.assert_close(first, second.flip(0))
    assert not torch.equal(first[0], source.batch([0], [7], cpu)[0][0])


@pytest.mark.parametrize("modality", ["image", "text"])
def test_from_scratch_is_a_candidate_and_a_baseline(modality: str, pictures: Data, mails: Data, tmp_path: Path) -> None:
    data = pictures if modality == "image" else mails
    method = {"type": "from_scratch", "epochs": 1}
    ended = run_engine(spec_of(modality, *data, tmp_path, method=method))
    result, held = ended.result, ended.result["held_out"]
    assert (result["network"], result["tuned_mix"], result["method"]) == ("whole", 1.0, {"asked": "from_scratch", "used": "from_scratch"})
    assert held["scratch"] == held["candidate"] and held["frozen"] != held["scratch"]
    assert len(held["scratch"]["prediction"]) == len(held["truth"])
    accuracy = {k: np.mean(np.array(held[k]["prediction"]) == held["truth"]) for k in ("scratch", "frozen")}
    assert accuracy["frozen"] > accuracy["scratch"]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    names = {f["name"] for f in manifest["files"]}
    assert manifest["network"] == "whole" and {"trunk.onnx", "tail.onnx", "weights.safetensors"} <= names
    # The two graphs give the embeddings that the edge is told of.
    stored = load_file(tmp_path / "embeddings.safetensors")
    assert len(stored["background.tuned"]) == len(load_file(weights(modality == "image").parent / "background.safetensors")["embeddings"])
    arrays = load_file(data[0])
    i = int(stored["rows"][0])
    value = arrays["pixels"][i] if modality == "image" else arrays["input_ids"][i, : arrays["lengths"][i]].astype(np.int64)
    through = run_session(open_session(tmp_path / "trunk.onnx"), deploy.ready(value, modality == "image"))
    np.testing.assert_allclose(run_session(open_session(tmp_path / "tail.onnx"), through)[0], stored["tuned"][0], atol=1e-4)
    # …and those are the embeddings of the network that was trained.
    saved = {k: torch.from_numpy(v) for k, v in load_file(tmp_path / "weights.safetensors").items()}
    network = load_network(weights(modality == "image"), modality == "image", whole=True, random=None)
    network.load_state_dict(saved)
    with torch.no_grad():
        ours = network(torch.from_numpy(deploy.ready(value, modality == "image")))[0].numpy()
    cosine = float(ours @ stored["tuned"][0] / np.linalg.norm(ours) / np.linalg.norm(stored["tuned"][0]))
    assert cosine > (0.9999 if modality == "image" else 0.9)


def test_full_depth_trains_the_lowest_block(pictures: Data, tmp_path: Path) -> None:
    """Cross-fitted like a tail, and the stem has moved."""
    method = {"type": "fine_tune", "depth": "full", "epochs": 1, "batch_size": 4, "warmup": 0.0}
    job = Job(spec_of("image", *pictures, tmp_path, method=method), [])
    job.embed_all()
    stages = Stages(job)
    stages.run()
    assert stages.state is not None
    before = load_network(weights(True), True, whole=True, random=None).state_dict()
    after = stages.state.network.state_dict()
    assert not torch.equal(before["trunk._conv_stem.weight"], after["trunk._conv_stem.weight"])
    # Statistics of the published weights stay.
    assert torch.equal(before["trunk._bn0.running_mean"], after["trunk._bn0.running_mean"])
    mix, curve, _ = stages.cross_fit()
    assert len(curve) == 11 and 0 <= mix <= 1


def without_rows(data: Data, tmp_path: Path, **more: Any) -> Job:
    return Job(spec_of("text", *data, tmp_path, method={"type": "linear_probe"}, **more), [])


def test_excluded_rows_take_no_part(mails: Data, tmp_path: Path) -> None:
    job = without_rows(mails, tmp_path, exclude_rows=[0, 2, 3])
    assert not {0, 2, 3} & {*job.train.row.tolist(), *job.held.row.tolist()}
    assert len(job.train) + len(job.held) == 45
    with pytest.raises(EngineError, match="exclude_rows") as raised:
        without_rows(mails, tmp_path, exclude_rows=[48])
    assert raised.value.code == "options_invalid"


def test_another_dataset_is_what_is_held_out(mails: Data, tmp_path: Path) -> None:
    """Its labels are matched by name, in another order, and one that the training lacks is left out and said so."""
    path, labels = mails
    turned = [*labels[::-1], "never seen"]
    arrays = load_file(path)
    y = np.array([turned.index(labels[c]) for c in arrays["labels"]], dtype=np.int32)
    y[:2] = len(labels)
    save_file({**arrays, "labels": y}, tmp_path / "other.safetensors")
    job = without_rows(mails, tmp_path, validation={"arrays": str(tmp_path / "other.safetensors"), "labels": turned})
    assert len(job.train) == 48 and len(job.held) == 46
    assert job.held.labels.tolist() == arrays["labels"][2:].tolist()
    assert any("never seen" in note for note in job.notes)


def test_a_target_is_judged_by_its_own_held_out_rows(mails: Data, tmp_path: Path) -> None:
    path, labels = mails
    arrays = load_file(path)
    y = arrays["labels"].copy()
    y[:6] = -1
    save_file({**arrays, "labels": y}, tmp_path / "target.safetensors")
    job = without_rows(mails, tmp_path, target={"arrays": str(tmp_path / "target.safetensors"), "labels": labels})
    assert job.target is not None
    judged, name = held_out(job.target)
    assert len(judged) == 0 and name == "validation"
    assert job.held_name == "test" and len(job.held) == 14
    assert len(job.train) == 48 and len(job.target) == 34
    assert (job.target.labels[:3] == -1).all()
