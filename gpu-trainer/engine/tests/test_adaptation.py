"""Adaptation from drawings on white to the same kinds of drawings in other colours: judged on the target beside the same method without it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter, ImageOps
from safetensors.numpy import load_file, save_file

from engine.adaptation import needs
from engine.data import centre, embed
from engine.efficientnet import normalise
from engine.export import open_session, run_session
from engine.head_file import ServedHead
from engine.job import Job
from engine.stages import SHARE, settled, witnesses
from engine.wire import EngineError

from .conftest import PACK, Ended, run_engine, spec_of

NAMES = ["bird", "building", "plant", "vehicle"]
WIDE = ["clothing", "mammal", "meal", "produce", "vehicle", "weather"]


def drawing(file: Path, target: bool) -> np.ndarray[Any, Any]:
    picture = Image.open(file).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB").resize((256, 256))
    if target:
        flat = ImageOps.invert(flat).filter(ImageFilter.GaussianBlur(3))
    return np.asarray(flat, dtype=np.uint8)


def write(path: Path, rows: list[tuple[Path, int, int]], target: bool) -> Path:
    """`rows`: file, label, split."""
    pixels = np.stack([drawing(f, target) for f, _, _ in rows])
    labels, split = (np.array([r[i] for r in rows], dtype=t) for i, t in ((1, np.int32), (2, np.uint8)))
    save_file({"pixels": pixels, "labels": labels, "split": split}, path)
    return path


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Source: 10 drawings a class. Target: 12 others, 6 without labels and 6 held out, or 3 of the 6 labelled."""
    folder = tmp_path_factory.mktemp("domains")
    files = {name: sorted((PACK / "classes" / name).glob("*.png")) for name in NAMES}
    source = [(f, k, 0 if i < 8 else 2) for k, name in enumerate(NAMES) for i, f in enumerate(files[name][:10])]
    far = [(f, k, i) for k, name in enumerate(NAMES) for i, f in enumerate(files[name][10:22])]
    return {
        "source": write(folder / "source.safetensors", source, False),
        "unlabelled": write(folder / "target.safetensors", [(f, k if i >= 6 else -1, 2 if i >= 6 else 0) for f, k, i in far], True),
        "partly": write(folder / "partly.safetensors", [(f, k if i >= 3 else -1, 2 if i >= 6 else 0) for f, k, i in far], True),
        "blind": write(folder / "blind.safetensors", [(f, -1, 0) for f, k, i in far], True),
    }


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Enough to see a gain: six classes, 10 drawings of each; of the target 72 without labels and 72 held out."""
    folder = tmp_path_factory.mktemp("wide")
    files = {name: sorted((PACK / "classes" / name).glob("*.png")) for name in WIDE}
    source = [(f, k, 0) for k, name in enumerate(WIDE) for f in files[name][:10]]
    far = [(f, k if i >= 12 else -1, 2 if i >= 12 else 0) for k, name in enumerate(WIDE) for i, f in enumerate(files[name][10:34])]
    return {"source": write(folder / "source.safetensors", source, False), "unlabelled": write(folder / "target.safetensors", far, True)}


def adapted(domains: dict[str, Path], out: Path, target: str, names: list[str] = NAMES, **method: Any) -> Ended:
    options = {"type": "domain_adaptation", "epochs": 4, "augment_views": 1, **method}
    more = {"method": options, "target": {"arrays": str(domains[target]), "labels": names}}
    return run_engine(spec_of("image", domains["source"], names, out, **more))


def compared(result: dict[str, Any]) -> dict[str, Any]:
    """The evidence of the adaptation, checked against the answers of each row."""
    held, evidence = result["held_out"], result["evidence"]["adaptation"]
    truth = np.array(held["truth"])
    assert abs(np.mean(np.array(held["candidate"]["prediction"]) == truth) - evidence["accuracy"]) < 1e-9
    assert abs(np.mean(np.array(held["source_only"]["prediction"]) == truth) - evidence["source_only_accuracy"]) < 1e-9
    assert evidence["interval"]["low"] <= evidence["difference"] <= evidence["interval"]["high"]
    return evidence


@pytest.mark.parametrize("alignment", ["coral", "mmd", "adabn"])
def test_each_alignment_beats_source_only_and_the_frozen_head_on_the_target(wide: dict[str, Path], tmp_path: Path, alignment: str) -> None:
    result = adapted(wide, tmp_path, "unlabelled", WIDE, alignment=alignment).result
    evidence = compared(result)
    assert evidence["judged_by"] == "target" and evidence["method"] == alignment
    held = result["held_out"]
    assert len(held["truth"]) == 72
    candidate, frozen = (np.mean(np.array(held[who]["prediction"]) == np.array(held["truth"])) for who in ("candidate", "frozen"))
    assert evidence["difference"] > 0.03
    assert candidate > frozen
    validators = result["evidence"]["validators"]
    assert validators.keys() == {"adapted", "source_only"}
    distance = result["evidence"]["domain_distance"]
    own = "coral" if alignment == "coral" else "mmd"
    assert distance["adapted"][own] < min(distance["frozen"][own], distance["source_only"][own])
    assert result["tuned_mix"] > 0 and result["network"] == "tail"


def test_the_served_head_with_its_tail_gives_the_candidates_answers(domains: dict[str, Path], tmp_path: Path) -> None:
    result = adapted(domains, tmp_path, "partly", alignment="adabn").result
    assert result["evidence"]["target_rows"] == {"training": 24, "labelled": 12, "held_out": 24}
    assert result["train_rows"] == 40 + 12
    head = ServedHead(tmp_path / "head.safetensors")
    spec = spec_of("image", domains["source"], NAMES, tmp_path)
    folder = Path(spec["backbone"]["dir"])
    arrays = load_file(domains["partly"])
    trunk = open_session(folder / "trunk.onnx")
    rows = arrays["pixels"][arrays["split"] == 2]
    features = [run_session(trunk, normalise(torch.from_numpy(np.ascontiguousarray(centre(p)))[None]).numpy()) for p in rows]
    scores = head.scores(embed(open_session(folder / "tail.onnx"), features), embed(open_session(tmp_path / "tail.onnx"), features))
    assert scores.argmax(1).tolist() == result["held_out"]["candidate"]["prediction"]
    stored = load_file(tmp_path / "embeddings.safetensors")
    assert len(stored["base"]) == 40 and len(stored["enrolled.base"]) == 0


def test_confusion_runs_every_seed_and_serves_the_median_by_no_label(domains: dict[str, Path], tmp_path: Path) -> None:
    result = adapted(domains, tmp_path, "unlabelled", type="domain_confusion", epochs=3).result
    seeds = result["evidence"]["seeds"]
    assert [s["seed"] for s in seeds] == [7, 8, 9]
    served = [s for s in seeds if s["served"]]
    assert len(served) == 1 and served[0]["accuracy"] == compared(result)["accuracy"]
    assert served[0]["information_maximisation"] == sorted(s["information_maximisation"] for s in seeds)[1]


def test_without_labels_of_the_target_it_says_what_the_figures_are_of(domains: dict[str, Path], tmp_path: Path) -> None:
    result = adapted(domains, tmp_path, "blind", alignment="coral", epochs=1).result
    assert result["evidence"]["adaptation"]["judged_by"] == "source"
    assert any("no labelled held-out rows" in n for n in result["notes"])


def test_a_target_is_needed_and_adabn_needs_batch_statistics() -> None:
    def refused(**spec: Any) -> EngineError:
        with pytest.raises(EngineError) as caught:
            needs({"modality": "image", "target": None, **spec})
        return caught.value

    for method in ("domain_adaptation", "domain_confusion"):
        error = refused(method={"type": method})
        assert (error.code, error.blame) == ("target_missing", "caller")
    error = refused(modality="text", target={"arrays": "x"}, method={"type": "domain_adaptation", "alignment": "adabn"})
    assert error.code == "method_unavailable" and "layer norm" in error.detail
    needs({"modality": "image", "target": {"arrays": "x"}, "method": {"type": "domain_adaptation", "alignment": "adabn"}})
    needs({"modality": "text", "target": None, "method": {"type": "fine_tune"}})


def test_the_weight_is_that_of_two_heads_together_unless_labels_speak_against_it() -> None:
    def curve(*accuracies: float) -> list[dict[str, float]]:
        return [{"mix": m / 10, "accuracy": a} for m, a in enumerate(accuracies)]

    assert settled(curve(*[0.8] * 11), 100) == SHARE
    falling = curve(*[0.9 - 0.06 * m for m in range(11)])
    assert settled(falling, 100) == 0.0
    assert 0.0 < settled(falling, 5) < SHARE
    rising = curve(*[0.6 + 0.03 * m for m in range(11)])
    assert settled(rising, 10_000) == 1.0
    assert SHARE < settled(rising, 30) < 1.0
    fair, near = np.arange(40), np.arange(60) >= 15
    np.testing.assert_array_equal(witnesses(fair, near), np.arange(15, 40))
    np.testing.assert_array_equal(witnesses(fair, np.arange(60) >= 30), fair)


def test_rows_of_a_target_that_judge_elsewhere_teach_nothing(domains: dict[str, Path], tmp_path: Path) -> None:
    target = {"arrays": str(domains["partly"]), "labels": NAMES}
    spec = spec_of("image", domains["source"], NAMES, tmp_path, method={"type": "domain_adaptation"}, target=target)
    labels = load_file(domains["partly"])["labels"]
    whole = Job(spec, [])
    assert whole.target is not None
    told = whole.target.row[whole.target.labels >= 0]
    assert len(told) == 12 and (labels[told] >= 0).all()
    job = Job({**spec, "exclude_target_rows": told[:5].tolist()}, [])
    assert job.target is not None
    assert sorted(job.target.row[job.target.labels >= 0].tolist()) == sorted(told[5:].tolist())
    assert len(job.target) == len(whole.target) - 5 and (job.held.row == whole.held.row).all()


def test_withdrawn_rows_of_a_validation_dataset_judge_nothing(domains: dict[str, Path], tmp_path: Path) -> None:
    judges = {"arrays": str(domains["partly"]), "labels": NAMES}
    spec = {**spec_of("image", domains["source"], NAMES, tmp_path, method={"type": "linear_probe"}), "validation": judges}
    whole = Job(spec, [])
    rows = whole.held.row
    job = Job({**spec, "exclude_validation_rows": [int(rows[0]), int(rows[3])]}, [])
    assert (job.held.row == np.delete(rows, [0, 3])).all()
    assert len(job.train) == len(whole.train)
