"""What is recommended for given figures: rules that follow trials, earlier measurements and how far a target lies."""

from dataclasses import replace
from typing import Any

import pytest

from engine.distances import Distance
from engine.recipe import recipe_of
from engine.recommend import Evidence, decide, options_of

from .small import trial_of

EVIDENCE = Evidence(
    modality="image",
    rows=400,
    classes=4,
    typical=3,
    missing=0,
    accuracy=0.8,
    interval={"low": 0.75, "high": 0.85},
    at_home=(0.8, {"low": 0.75, "high": 0.85}),
    chance=0.25,
    trunk_seconds=0.04,
    tail_seconds=0.01,
    head_seconds=0.1,
    distance=None,
    label_noise=None,
    target_rows=0,
    tuning=None,
    aligning=None,
    tunable=True,
)


def taken(**more: Any) -> tuple[str, dict[str, Any]]:
    e = replace(EVIDENCE, **more)
    chosen, when = decide(e, options_of(e))
    return chosen["method"], when


def test_a_small_trial_without_a_gain_is_no_reason_to_tune() -> None:
    for modality in ("image", "text"):
        for half in (0.0, 0.02, 0.1, 0.3):
            method, when = taken(modality=modality, tuning=trial_of(0.0, rows=40, half=half))
            assert (method, when["verdict"]) == ("linear_probe", "now")
            assert "On 40 rows" in when["because"] and "+0.0 points" in when["because"] and "0.0% of the errors" in when["because"]
        # One more row right, and no answer lost: that is evidence, and a tuning in vain would cost time alone.
        assert taken(modality=modality, tuning=trial_of(0.025, rows=40, half=0.04))[0] == "fine_tune"
        # One more right where a dozen went either way is not.
        assert taken(modality=modality, tuning=trial_of(0.025, rows=40, half=0.18))[0] == "linear_probe"


def test_the_trial_decides_not_the_number_of_rows() -> None:
    assert taken(tuning=trial_of(0.04))[0] == "fine_tune"
    assert taken(tuning=trial_of(0.04), typical=1_000, rows=4_000)[0] == "fine_tune"
    for typical in (3, 1_000):
        method, when = taken(tuning=trial_of(-0.04), typical=typical)
        assert (method, when["verdict"]) == ("linear_probe", "now")
        assert "-4.0 points" in when["because"] and "% more errors are expected" in when["because"] and "-" not in when["because"].split(";")[1]
    method, when = taken(missing=16, rows=24)
    assert (method, when["verdict"], when["examples_needed"]) == ("linear_probe", "not_yet", 16)
    assert taken(tuning=trial_of(0.04), interval={"low": 0.98, "high": 1.0}, accuracy=0.99)[0] == "linear_probe"
    assert taken(tuning=trial_of(0.04), at_home=(0.22, {"low": 0.2, "high": 0.24}))[1]["verdict"] == "do_not"
    assert taken(tunable=False)[0] == "linear_probe"


def test_a_head_that_finds_the_rare_label_is_not_given_up_for_the_frequent_one() -> None:
    around = {"low": 0.9, "high": 0.94}
    rare = {"classes": 2, "chance": 0.95, "accuracy": 0.92, "interval": around, "at_home": (0.92, around)}
    assert taken(tuning=trial_of(0.0), least_recall=0.84, **rare)[1]["verdict"] == "now"
    assert taken(tuning=trial_of(0.0), least_recall=0.44, **rare)[1]["verdict"] == "do_not"
    # Of several labels a row, what counts is balanced accuracy, whose chance is a half.
    assert taken(tuning=trial_of(0.0), least_recall=0.61, several=True, **{**rare, "classes": 9})[1]["verdict"] == "now"
    assert taken(tuning=trial_of(0.0), least_recall=0.44, several=True, **{**rare, "classes": 9})[1]["verdict"] == "do_not"
    # What is right at home says nothing of a target whose labelled rows say otherwise.
    near = Distance(0.1, 0.01, 0.4, 0.1)
    assert taken(tuning=trial_of(0.0), least_recall=0.84, distance=near, judged_there=True, **rare)[1]["verdict"] == "do_not"


def test_a_target_without_labels_is_not_given_up_because_a_guess_about_it_is_unsure() -> None:
    """A mean confidence of 52 % among ten labels: the guess reaches from chance to 76 %."""
    unsure = {"classes": 10, "chance": 0.1, "accuracy": 0.52, "interval": {"low": 0.1, "high": 0.76}, "tuning": trial_of(0.0)}
    far, near = Distance(1.9, 0.5, 0.005, 0.1), Distance(0.1, 0.01, 0.4, 0.1)
    assert taken(distance=far, **unsure)[0] == "domain_adaptation"
    assert taken(distance=near, **unsure) == ("linear_probe", {**taken(distance=near, **unsure)[1], "verdict": "now"})
    # With labels there that say the same: adapting is what may help, and where there is nothing to adapt to it is hopeless.
    assert taken(distance=far, judged_there=True, **unsure)[0] == "domain_adaptation"
    assert taken(distance=near, judged_there=True, **unsure)[1]["verdict"] == "do_not"
    # What cannot be told apart at home cannot be told apart elsewhere.
    hopeless = {**unsure, "at_home": (0.12, {"low": 0.06, "high": 0.2})}
    assert taken(distance=far, **hopeless)[1]["verdict"] == "do_not"


def test_a_target_apart_is_adapted_to_unless_the_trial_speaks_against_it() -> None:
    far = Distance(1.9, 0.5, 0.005, 0.1)
    assert taken(distance=far, tuning=trial_of(0.0))[0] == "domain_adaptation"
    assert taken(distance=far, tuning=trial_of(0.0), aligning=trial_of(0.05))[0] == "domain_adaptation"
    assert taken(distance=far, tuning=trial_of(-0.04), aligning=trial_of(-0.08))[0] == "linear_probe"
    for modality, alignment in (("image", "adabn"), ("text", "coral")):
        (found,) = (o for o in options_of(replace(EVIDENCE, distance=far, modality=modality)) if o["method"] == "domain_adaptation")
        assert found["options"] == {"alignment": alignment}
        # What is recommended is what a job does that names no alignment.
        assert recipe_of("domain_adaptation", {}, modality) == recipe_of("domain_adaptation", found["options"], modality)
    near = Distance(0.1, 0.01, 0.4, 0.1)
    assert taken(distance=near, tuning=trial_of(0.04))[0] == "fine_tune"
    basis = {o["method"]: o["basis"] for o in options_of(replace(EVIDENCE, distance=far, tuning=trial_of(0.04)))}
    assert basis == {"linear_probe": "measured", "fine_tune": "prior", "domain_adaptation": "prior"}  # the last fine_tune is that of all layers


def test_costs_follow_the_steps_of_the_trial() -> None:
    slow = replace(EVIDENCE, tuning=replace(trial_of(0.04), seconds=32.0))
    fast = replace(EVIDENCE, tuning=replace(trial_of(0.04), seconds=8.0))
    cost = [next(o["seconds"] for o in options_of(e) if o["options"].get("depth") == "last_blocks") for e in (slow, fast)]
    # 20 epochs of 400 rows twice, at 10 and at 2.5 ms a row, and 4 views through the trunk once.
    assert cost == pytest.approx([16_000 * 0.01 + 64, 16_000 * 0.0025 + 64])
    # All layers cost their own passes on top of the tail's, however slow that turned out to be.
    for e in (slow, fast, replace(EVIDENCE, tuning=replace(trial_of(0.04), seconds=3_200.0))):
        tail, full = (next(o["seconds"] for o in options_of(e) if o["options"].get("depth") == depth) for depth in ("last_blocks", "full"))
        assert full - (tail - 64) == pytest.approx(16_000 * 3 * 0.04)
