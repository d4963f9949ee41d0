"""The model card says what was measured, survives strange labels, and its plots are well-formed."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine import plots
from engine.card_figures import wilson
from engine.model_card import write_card

LABELS = ["cat", "a|b <script>", "Größe"]
HELD = {
    "split": "test",
    "labels": LABELS,
    "truth": [0, 0, 1, 1, 2, 2],
    "candidate": {"prediction": [0, 0, 1, 0, 2, -1], "confidence": [0.9, 0.8, 0.7, 0.6, 0.9, 0.2]},
    "incumbent": None,
    "frozen": {"prediction": [0, 1, 1, 0, 2, 0], "confidence": [0.5] * 6},
    "baseline": {"prediction": [0] * 6, "confidence": [0.4] * 6},
}
RESULT = {
    "method": {"asked": "auto", "used": "tail_tuning"},
    "hyperparameters": {"epochs": 2},
    "tuned_mix": 0.5,
    "train_rows": 12,
    "losses": [1.0, 0.5],
    "notes": ["One note."],
}


def card(tmp_path: Path) -> str:
    write_card(tmp_path, {"job": "job_1", "backbone": "b", "seed": 7}, RESULT, HELD)
    return (tmp_path / "model-card.md").read_text(encoding="utf-8")


def test_figures_are_those_of_the_rows(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert "| this model | 66.7% |" in text
    assert "| head on the frozen backbone | 50.0% |" in text
    assert "| majority class | 33.3% |" in text
    assert "served when it was trained" not in text  # there was no incumbent


def test_labels_cannot_break_the_table(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert "a\\|b &lt;script>" in text
    assert "<script>" not in text
    for row in [line for line in text.splitlines() if line.startswith("| a\\|b")]:
        assert row.replace("\\|", "").count("|") == 5


def test_plots_are_well_formed(tmp_path: Path) -> None:
    files = write_card(tmp_path, {"job": "job_1"}, RESULT, HELD)
    drawn = [f for f in files if f.suffix == ".svg"]
    assert len(drawn) == 4
    for file in drawn:
        assert ElementTree.parse(file).getroot().tag.endswith("svg")
    assert not list(tmp_path.glob("*.part"))


def test_confusion_counts_answers_outside_the_labels() -> None:
    counts = plots.confusion_counts(HELD["truth"], HELD["candidate"]["prediction"], 3)  # type: ignore[arg-type, index]
    assert counts.tolist() == [[2, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]


def test_calibration_error_of_known_bins() -> None:
    bins = plots.reliability_bins([0.95, 0.95, 0.95, 0.95], [True, True, True, False])
    assert plots.expected_calibration_error(bins) == pytest.approx(0.2)


def test_wilson_against_published_values() -> None:
    low, high = wilson(81, 263)  # Newcombe 1998, table I, method 3
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(("epochs", "across"), [(1, ["1", "2"]), (2, ["1", "2"]), (4, ["1", "2", "3", "4"]), (20, ["1", "6", "10", "15", "20"])])
def test_epochs_are_whole_numbers_each_told_once_and_one_alone_is_seen(epochs: int, across: list[str]) -> None:
    drawn = plots.learning_curve([1.0 / (i + 1) for i in range(epochs)])
    below = f'y="{plots.HEIGHT - plots.MARGIN + 16:.1f}"'
    assert [line.split(">")[1].split("<")[0] for line in drawn.splitlines() if below in line] == across
    assert drawn.count("<circle") == 1


def test_nothing_tuned_says_so() -> None:
    assert "closed form" in plots.learning_curve([])
