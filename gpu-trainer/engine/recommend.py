"""From figures to advice: what each method would bring and cost, and which one to take, in plain words.

The gains are shares of the errors that the frozen head leaves, measured on picture and text sets of this project (docs/decisions): tail tuning took
away 0 to 15 % of the errors of pictures from about 10 examples a class on; of texts 5 to 12 % at 120 a class, nothing at 32, and cost 15 % at 8.
"""

from dataclasses import dataclass
from typing import Any

from .distances import Distance

TUNE_FROM = {"image": 10, "text": 32}
TUNE_GAIN = {"image": (0.0, 0.06, 0.15), "text": (0.0, 0.08, 0.12)}
ADAPT_GAIN = (0.0, 0.11, 0.20)
ENOUGH = 0.97
NOISY = 0.1
FULL_FROM = 500
DEFAULT_EPOCHS = {"image": 20, "text": 6}
VIEWS = {"image": 4, "text": 1}
BACKWARD = 3.0  # a training step costs about three forward passes


@dataclass(frozen=True)
class Evidence:
    """What the rules look at. `accuracy`: of the frozen head, on the target where there is one; `at_home`: cross-validated, with its interval.
    `typical`: median labelled rows a class; `chance`: share of the largest class."""

    modality: str
    rows: int
    classes: int
    typical: int
    missing: int  # rows short of TUNE_FROM, summed over the classes
    accuracy: float
    interval: dict[str, float]
    at_home: tuple[float, dict[str, float]]
    chance: float
    trunk_seconds: float
    tail_seconds: float
    head_seconds: float
    distance: Distance | None
    label_noise: float | None
    target_rows: int
    tunable: bool  # an added backbone is a finished graph: only heads are trained on it


def option(e: Evidence, method: str, options: dict[str, Any], gains: tuple[float, float, float], seconds: float, because: str) -> dict[str, Any]:
    """Expected accuracy and interval: the frozen head's, with the given shares of its errors taken away (low, usual, high)."""
    low, usual, high = gains
    return {
        "method": method,
        "options": options,
        "expected_accuracy": e.accuracy + (1 - e.accuracy) * usual,
        "interval": {
            "low": e.interval["low"] + (1 - e.interval["low"]) * low,
            "high": e.interval["high"] + (1 - e.interval["high"]) * high,
        },
        "seconds": seconds,
        "because": because,
    }


def options_of(e: Evidence) -> list[dict[str, Any]]:
    once = e.trunk_seconds + e.tail_seconds
    epochs, views = DEFAULT_EPOCHS[e.modality], VIEWS[e.modality]
    # Two folds of half the rows and one fit on all of them.
    trained = 2.0 * epochs * e.rows * BACKWARD
    tail = e.rows * views * e.trunk_seconds + trained * e.tail_seconds
    whole = trained * once
    ready = e.typical >= TUNE_FROM[e.modality]
    gain = TUNE_GAIN[e.modality] if ready else (0.0, 0.0, 0.05)
    out = [
        option(
            e, "linear_probe", {}, (0.0, 0.0, 0.0), e.rows * once + e.head_seconds, "A closed-form head on the frozen embedding, as cross-validated."
        )
    ]
    if not e.tunable:
        return out
    because = (
        f"{e.typical} examples a class are enough for the last blocks to learn from."
        if ready
        else f"With {e.typical} examples a class (about {TUNE_FROM[e.modality]} are needed) the tuned part is mostly refused by cross-fitting."
    )
    out.append(option(e, "fine_tune", {"depth": "last_blocks", "epochs": epochs}, gain, tail, because))
    deep = f"All layers, on {e.typical} examples a class: it pays from several hundred on, and ships a network of its own."
    full = gain if e.typical >= FULL_FROM else (gain[0], min(gain[1], 0.02), gain[2])
    out.append(option(e, "fine_tune", {"depth": "full", "epochs": epochs}, full, whole, deep))
    if e.distance is not None:
        shifted = e.distance.kind != "near"
        words = (
            f"Source and target lie apart ({e.distance.kind}); aligning their statistics took about a tenth of the errors away on drawings."
            if shifted
            else "Source and target hardly differ, so there is little to align."
        )
        adapt = ADAPT_GAIN if shifted else (0.0, 0.0, 0.05)
        seconds = tail + e.target_rows * views * e.trunk_seconds + trained * e.tail_seconds
        out.append(option(e, "domain_adaptation", {"alignment": "coral"}, adapt, seconds, words))
    return out


def decide(e: Evidence, options: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The option to take, and `when`. First rule that holds wins."""
    probe = options[0]
    if e.interval["high"] <= e.chance or (e.typical >= TUNE_FROM[e.modality] and e.interval["low"] <= e.chance):
        text = (
            f"The frozen embedding tells the labels apart no better ({e.accuracy:.0%}) than always answering the most frequent one ({e.chance:.0%})."
        )
        return probe, {"verdict": "do_not", "because": text, "examples_needed": None}
    if not e.tunable:
        text = "This backbone is a finished graph, so what can be transferred is its embedding; the head on it is ready at once."
        return probe, {"verdict": "now", "because": text, "examples_needed": None}
    if e.distance is not None and e.distance.kind != "near":
        adapt = next(o for o in options if o["method"] == "domain_adaptation")
        return adapt, {
            "verdict": "now",
            "because": f"The target lies {e.distance.kind} from the source: {distance_words(e.distance)}.",
            "examples_needed": None,
        }
    if e.interval["low"] >= ENOUGH:
        text = f"The frozen head is right in {e.accuracy:.1%} of left-out rows; tuning has nothing left to win that could be proven."
        return probe, {"verdict": "now", "because": text, "examples_needed": None}
    if e.typical < TUNE_FROM[e.modality]:
        text = (
            f"A class has {e.typical} training examples; below about {TUNE_FROM[e.modality]} tuning does not beat the frozen head. "
            "Serve the closed-form head meanwhile: it is ready at once."
        )
        return probe, {"verdict": "not_yet", "because": text, "examples_needed": max(e.missing, 1)}
    tune = next(o for o in options if o["options"].get("depth") == "last_blocks")
    return tune, {"verdict": "now", "because": tune["because"], "examples_needed": None}


def interval_words(value: float, interval: dict[str, float]) -> str:
    return f"{value:.0%} ({interval['low']:.0%} to {interval['high']:.0%})"


def duration_words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def summary_of(e: Evidence, backbone: str, chosen: dict[str, Any], when: dict[str, Any], device: str) -> str:
    method, expected = chosen["method"], interval_words(chosen["expected_accuracy"], chosen["interval"])
    cost = f"about {duration_words(chosen['seconds'])} on this {device}"
    if when["verdict"] == "do_not":
        return f"Do not transfer: {when['because']} Look at the labels, or try features made for this kind of data."
    if when["verdict"] == "not_yet":
        return (
            f"Transfer the embedding of {backbone} with a linear head, which is expected to be right in {expected} of cases; do not tune yet. "
            f"{when['because']} About {when['examples_needed']} more examples would change that."
        )
    layers = {"linear_probe": "the frozen network with a new head", "domain_adaptation": "its last blocks, aligned with the target"}
    what = layers.get(method, "its last blocks")
    return f"Transfer {backbone}: {what}, by {method}, now. Expected to be right in {expected} of cases, in {cost}. {when['because']}"


def distance_words(d: Distance) -> str:
    apart = f"a domain classifier tells them apart with a proxy A-distance of {d.proxy_a:.2f} (0: not at all, 2: always)"
    return f"{apart}; MMD {d.mmd:.3f}, p = {d.mmd_p_value:.3f}"


def gain_words(points: list[dict[str, Any]]) -> str | None:
    """What more data would bring, from the end of the measured curve to its first extrapolated point."""
    measured = [p for p in points if p["measured"]]
    beyond = [p for p in points if not p["measured"]]
    if not measured or not beyond:
        return None
    last, next_ = measured[-1], beyond[0]
    gain = next_["accuracy"] - last["accuracy"]
    return (
        f"Twice the examples ({next_['examples_per_class']:.0f} a class) would bring the frozen head from {last['accuracy']:.1%} to about "
        f"{next_['accuracy']:.1%} ({gain * 100:+.1f} points)."
    )
