"""From figures to advice: what each method would bring and cost, and which one to take, in plain words. `auto` takes it too.

What a method would bring is a share of the errors that the frozen head leaves (gain.py): by a trial on these rows where there are enough of them, by
what was measured on this project's own sets where not. Every option says which. The expected share decides, not its lower end: a tuning in vain costs
time alone, because the mixing weight and the gate keep it from being served, and one that is left out costs what it would have brought.
"""

from dataclasses import dataclass
from typing import Any

from .distances import Distance
from .gain import Gain, nothing, of_aligning, of_tuning
from .probe import PROBE_ROWS_MIN, Trial
from .recipe import DEFAULT_ALIGNMENT

ENOUGH = 0.97
NOISY = 0.1
# A share of the errors that is worth a training run.
PAYS = 0.01
# What whole networks brought beyond the tail: nothing that could be told apart from it.
WHOLE_SPREAD = 0.05
DEFAULT_EPOCHS = {"image": 20, "text": 6}
VIEWS = {"image": 4, "text": 1}
BACKWARD = 3.0  # a training step costs about three forward passes


@dataclass(frozen=True)
class Evidence:
    """What the rules look at. `accuracy`: of the frozen head, on the target where there is one; `at_home`: cross-validated, with its interval.
    `typical`: median labelled rows a class; `chance`: share of the largest class; `tuning`, `aligning`: trials on these rows, None where there were
    too few; `missing`: rows until one of tuning can be made."""

    modality: str
    rows: int
    classes: int
    typical: int
    missing: int
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
    tuning: Trial | None
    aligning: Trial | None
    tunable: bool  # an added backbone is a finished graph: only heads are trained on it
    # Of the head at home, mean over labels, its lower limit; `least_chance` is what chance has, however unequal the labels are.
    least_recall: float | None = None
    judged_there: bool = False  # `accuracy` is of labelled rows of the target, and no guess
    several: bool = False  # labels a row: accuracy is of rows whose labels are all said and no other

    @property
    def least_chance(self) -> float:
        return 1 / 2 if self.several else 1 / self.classes

    @property
    def most_frequent(self) -> str:
        return "set of labels" if self.several else "label"


def option(e: Evidence, method: str, options: dict[str, Any], gain: Gain, seconds: float, because: str) -> dict[str, Any]:
    """Expected accuracy and interval: the frozen head's, with the shares of its errors taken away."""

    def after(accuracy: float, share: float) -> float:
        return min(1.0, max(0.0, accuracy + (1 - accuracy) * share))

    return {
        "method": method,
        "options": options,
        "expected_accuracy": after(e.accuracy, gain.usual),
        "interval": {"low": after(e.interval["low"], gain.low), "high": after(e.interval["high"], gain.high)},
        "seconds": seconds,
        "basis": gain.basis,
        "because": because,
    }


def points(seen: Trial) -> str:
    return f"{seen.difference * 100:+.1f} points ({seen.low * 100:+.1f} to {seen.high * 100:+.1f})"


def options_of(e: Evidence) -> list[dict[str, Any]]:
    once = e.trunk_seconds + e.tail_seconds
    epochs, views = DEFAULT_EPOCHS[e.modality], VIEWS[e.modality]
    # Two folds of half the rows and one fit on all of them.
    passes = 2.0 * epochs * e.rows
    step = e.tuning.seconds / e.tuning.passes if e.tuning and e.tuning.passes else BACKWARD * e.tail_seconds
    tail = e.rows * views * e.trunk_seconds + passes * step
    because = "A closed-form head on the frozen embedding, as cross-validated."
    out = [option(e, "linear_probe", {}, nothing(), e.rows * once + e.head_seconds, because)]
    if not e.tunable:
        return out
    gain = of_tuning(e.modality, e.tuning)
    if e.tuning:
        change = f"{gain.usual:.1%} of the errors are expected to go" if gain.usual >= 0 else f"{-gain.usual:.1%} more errors are expected"
        words = (
            f"On {e.tuning.rows} rows, tuned on one half and judged on the other, the last blocks changed the frozen head's {e.tuning.without:.1%} "
            f"by {points(e.tuning)}; for a trial as uncertain as that, {change}."
        )
    else:
        words = f"Too few rows to try it ({PROBE_ROWS_MIN} are needed, four of each class); what it brings is what it brought on other data."
    out.append(option(e, "fine_tune", {"depth": "last_blocks", "epochs": epochs}, gain, tail, words))
    deep = "All layers: nothing measured says that they bring more than the last blocks; they cost more and ship a network of their own."
    whole = Gain(gain.low - WHOLE_SPREAD, gain.usual, gain.high + WHOLE_SPREAD, "prior")
    out.append(option(e, "fine_tune", {"depth": "full", "epochs": epochs}, whole, passes * (step + BACKWARD * e.trunk_seconds), deep))
    if e.distance is not None:
        seconds = tail + e.target_rows * views * e.trunk_seconds + passes * step
        gain, words = adapting(e, e.distance)
        out.append(option(e, "domain_adaptation", {"alignment": DEFAULT_ALIGNMENT[e.modality]}, gain, seconds, words))
    return out


def adapting(e: Evidence, distance: Distance) -> tuple[Gain, str]:
    if distance.kind == "near":
        return nothing(), "Source and target hardly differ, so there is little to align."
    words = f"Source and target lie apart ({distance.kind})"
    if e.aligning:
        tried = f"on {e.aligning.rows} labelled target rows aligning their means brought {points(e.aligning)}"
    else:
        tried = "without labels there it cannot be tried, and on drawings aligning took about a tenth of the errors away"
    return of_aligning(e.aligning), f"{words}; {tried}."


def decide(e: Evidence, options: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The option to take, and `when`. First rule that holds wins."""
    probe = options[0]

    def now(because: str) -> dict[str, Any]:
        return {"verdict": "now", "because": because, "examples_needed": None}

    gain = of_tuning(e.modality, e.tuning)
    frequent = f"always answering the most frequent {e.most_frequent} ({e.chance:.0%})."

    def do_not(because: str) -> dict[str, Any]:
        return {"verdict": "do_not", "because": f"{because} than {frequent}", "examples_needed": None}

    def no_better(interval: dict[str, float]) -> bool:
        return interval["high"] <= e.chance or (e.tuning is not None and gain.usual <= PAYS and interval["low"] <= e.chance)

    # By rows at home: of a target without labels the accuracy is a guess that reaches down to chance whenever it is unsure, and what it does badly at
    # is what adapting is for. A head that finds the rare label is worth having, though the most frequent answer is right more often.
    if no_better(e.at_home[1]) and not finds_each(e):
        return probe, do_not(f"The frozen embedding tells the labels apart no better ({e.at_home[0]:.0%})")
    if e.tunable and e.distance is not None and e.distance.kind != "near" and adapting(e, e.distance)[0].usual > PAYS:
        adapt = next(o for o in options if o["method"] == "domain_adaptation")
        return adapt, now(f"The target lies {e.distance.kind} from the source: {distance_words(e.distance)}. {adapt['because']}")
    if e.judged_there and no_better(e.interval):
        return probe, do_not(f"On the target's labelled rows the head is right no more often ({e.accuracy:.0%})")
    if not e.tunable:
        return probe, now("This backbone is a finished graph, so what can be transferred is its embedding; the head on it is ready at once.")
    if e.interval["low"] >= ENOUGH:
        where = "left-out rows" if e.distance is None else "the target's rows"
        return probe, now(f"The frozen head is right in {e.accuracy:.1%} of {where}; tuning has nothing left to win that could be proven.")
    tune = next(o for o in options if o["options"].get("depth") == "last_blocks")
    if e.tuning is None:
        text = f"With {e.rows} rows it cannot be measured whether tuning pays. Serve the closed-form head meanwhile: it is ready at once."
        return probe, {"verdict": "not_yet", "because": text, "examples_needed": max(e.missing, 1)}
    if gain.usual <= PAYS:
        return probe, now(f"{tune['because']} That is not worth a training run; the closed-form head is ready at once.")
    return tune, now(tune["because"])


def finds_each(e: Evidence) -> bool:
    """Whether the head tells the labels apart at home, however unequal they are."""
    return e.least_recall is not None and e.least_recall > e.least_chance


def interval_words(value: float, interval: dict[str, float]) -> str:
    return f"{value:.0%} ({interval['low']:.0%} to {interval['high']:.0%})"


def duration_words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def summary_of(e: Evidence, backbone: str, chosen: dict[str, Any], when: dict[str, Any], device: str) -> str:
    method, expected = chosen["method"], interval_words(chosen["expected_accuracy"], chosen["interval"])
    right = f"right in {expected} of cases" if not e.several else f"right in all labels of an input, and to name no other, in {expected} of cases"
    cost = f"about {duration_words(chosen['seconds'])} on this {device}"
    if when["verdict"] == "do_not":
        return f"Do not transfer: {when['because']} Look at the labels, or try features made for this kind of data."
    if when["verdict"] == "not_yet":
        return (
            f"Transfer the embedding of {backbone} with a linear head, which is expected to be {right}; do not tune yet. "
            f"{when['because']} About {when['examples_needed']} more examples would change that."
        )
    layers = {"linear_probe": "the frozen network with a new head", "domain_adaptation": "its last blocks, aligned with the target"}
    what = layers.get(method, "its last blocks")
    return f"Transfer {backbone}: {what}, by {method}, now. Expected to be {right}, in {cost}. {when['because']}"


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
