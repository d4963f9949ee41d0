"""A method is a value: one frozen recipe for the one loop in tune.py. Papers are named where a method or an option has its defaults or checks.

To add a method, put a function of (options, modality) into METHODS; what it returns is checked here like every other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from .losses.alignment import DEFAULT_WEIGHTS, adabn, coral, dann, mmd
from .losses.binary import binary_cross_entropy
from .losses.contrastive import pairs, supervised
from .losses.cross_entropy import cross_entropy
from .losses.tasks import tasks
from .network import ALL_BLOCKS, TAIL_BLOCKS
from .objective import Objective
from .wire import EngineError

Options = dict[str, Any]
UNTOLD = ("method", "modality", "objective", "random_start", "adapts_statistics", "aligns_heads")
# Half of a batch may be labelled rows of the target, and a covariance needs two rows of the source.
ALIGNED_BATCH_MIN = 4
# Told where the method has them; no option of another method.
ALIGNING = ("alignment", "alignment_weight")


@dataclass(frozen=True)
class Recipe:
    """`depth`: head (nothing but closed-form heads), tail (on cached trunk activations) or whole. `size`: side of pictures in training."""

    method: str
    modality: str
    depth: str = "tail"
    objective: Objective = cross_entropy
    random_start: bool = False
    adapts_statistics: bool = False
    aligns_heads: bool = False
    epochs: int = 20
    learning_rate: float = 5e-4
    batch_size: int = 32
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    augment_views: int = 1
    size: int = 160
    last_blocks: int | None = None
    layer_decay: float = 1.0
    gradual_unfreezing: bool = False
    probe_epochs: int = 0
    l2_sp: float = 0.0
    mixup: float = 0.0
    ema: float = 0.0
    warmup: float = 0.0
    early_stopping: int = 0
    class_weights: str = "balanced"
    alignment: str | None = None
    alignment_weight: float | None = None

    @property
    def image(self) -> bool:
        return self.modality == "image"

    @property
    def whole(self) -> bool:
        return self.depth == "whole"

    def described(self) -> dict[str, Any]:
        """The options that took part, as the result tells them; `depth` by the caller's names."""
        if self.depth == "head":
            return {"depth": "head"}
        # A tail reads the activations of a few views; a whole network has its pictures at their own side, and a view of its own in each epoch.
        idle = {"size" if self.depth == "tail" else "augment_views"} if self.image else {"size", "augment_views", "mixup"}
        idle |= {"label_smoothing", "class_weights", "mixup"} if self.method == "contrastive" else set()
        idle |= {"weight_decay"} if self.l2_sp > 0 else set()
        idle |= {k for k in ALIGNING if getattr(self, k) is None}
        named = {k: v for k, v in asdict(self).items() if k not in UNTOLD and k not in idle}
        return {**named, "depth": {"tail": "last_blocks", "whole": "full"}[self.depth]}


def linear_probe(options: Options, modality: str) -> Recipe:
    """Closed-form ridge on the frozen embedding (Kornblith et al. 2019)."""
    return Recipe("linear_probe", modality, depth="head")


def fine_tune(options: Options, modality: str) -> Recipe:
    """Yosinski et al. 2014; the tail alone, or with `depth` full (or more `last_blocks` than the tail has) everything below it too."""
    n = options.get("last_blocks")
    whole = options.get("depth") == "full" or (n is not None and n > TAIL_BLOCKS[modality])
    base = Recipe("fine_tune", modality, depth="head" if options.get("depth") == "head" else "whole" if whole else "tail")
    if whole:
        return replace(base, warmup=0.1, **({"epochs": 8, "learning_rate": 3e-4} if base.image else {"epochs": 3, "learning_rate": 5e-5}))
    return replace(base, **({"augment_views": 4} if base.image else {"epochs": 6, "learning_rate": 1e-4}))


def contrastive(options: Options, modality: str) -> Recipe:
    """SetFit's pairs for texts (Tunstall et al. 2022), the supervised contrastive loss for pictures (Khosla et al. 2020); then the ridge head."""
    if modality == "image":
        return Recipe("contrastive", modality, objective=supervised, epochs=10, augment_views=4)
    return Recipe("contrastive", modality, objective=pairs, epochs=4, learning_rate=5e-5, warmup=0.1)


def from_scratch(options: Options, modality: str) -> Recipe:
    """The same network from random weights: the baseline that shows what the transfer is worth (He et al. 2019, Rethinking ImageNet Pre-training)."""
    base = Recipe("from_scratch", modality, depth="whole", random_start=True, warmup=0.1, size=128)
    return replace(base, **({"epochs": 12, "learning_rate": 2e-3} if base.image else {"epochs": 8, "learning_rate": 5e-4}))


def multi_task(options: Options, modality: str) -> Recipe:
    """One tail for all tasks, weighed by their uncertainties (Kendall, Gal & Cipolla 2018)."""
    return replace(fine_tune({}, modality), method="multi_task", objective=tasks)


def zero_shot(options: Options, modality: str) -> Recipe:
    """A mapping of the frozen embedding into the space of label texts (Romera-Paredes & Torr 2015; Frome et al. 2013)."""
    return Recipe("zero_shot", modality, depth="head")


ALIGNMENTS: dict[str, Objective] = {"coral": coral, "mmd": mmd, "adabn": adabn}
# AdaBN is a point ahead of Deep CORAL on drawings (docs/decisions/0014); a text network has no batch statistics.
DEFAULT_ALIGNMENT = {"image": "adabn", "text": "coral"}


def alignment_of(options: Options, modality: str) -> str:
    return options.get("alignment") or DEFAULT_ALIGNMENT[modality]


def domain_adaptation(options: Options, modality: str) -> Recipe:
    """The target's batch statistics (Li et al. 2017), Deep CORAL (Sun & Saenko 2016) or multi-kernel MMD (Long et al. 2015) on the tail."""
    name = alignment_of(options, modality)
    weight = None if name == "adabn" else options.get("alignment_weight", DEFAULT_WEIGHTS[name])
    base = replace(fine_tune({}, modality), method="domain_adaptation", objective=ALIGNMENTS[name], aligns_heads=True)
    return replace(base, adapts_statistics=name == "adabn", alignment=name, alignment_weight=weight)


def domain_confusion(options: Options, modality: str) -> Recipe:
    """DANN (Ganin et al. 2016): the tail learns what a critic of the domains cannot tell apart."""
    weight = options.get("alignment_weight", DEFAULT_WEIGHTS["dann"])
    return replace(fine_tune({}, modality), method="domain_confusion", objective=dann, aligns_heads=True, alignment_weight=weight)


METHODS: dict[str, Callable[[Options, str], Recipe]] = {
    "linear_probe": linear_probe,
    "fine_tune": fine_tune,
    "contrastive": contrastive,
    "from_scratch": from_scratch,
    "domain_adaptation": domain_adaptation,
    "domain_confusion": domain_confusion,
    "multi_task": multi_task,
    "zero_shot": zero_shot,
}
# Methods of rows that may have several labels: the others compare classes with one another.
SEVERAL = ("fine_tune", "from_scratch", "linear_probe")
OPTIONS = {f.name for f in fields(Recipe)} - {*UNTOLD, *ALIGNING, "depth", "size"}


def recipe_of(method: str, options: Options, modality: str, *, several: bool = False) -> Recipe:
    """The recipe of a method with the caller's options, for rows of `several` labels or of one. Raises EngineError naming the field at fault."""
    if method not in METHODS:
        raise EngineError("method_unavailable", f"method.type: {method} is not available; use auto or one of {', '.join(sorted(METHODS))}.")
    given = {k: v for k, v in options.items() if v is not None}
    if several and method not in SEVERAL:
        raise EngineError("method_unavailable", f"method.type: {method} is for single labels; with several use auto or one of {', '.join(SEVERAL)}.")
    recipe = replace(METHODS[method](given, modality), **{k: v for k, v in given.items() if k in OPTIONS})
    recipe = replace(recipe, objective=binary_cross_entropy) if several else recipe
    check(recipe, given)
    return recipe


def check(r: Recipe, given: Options) -> None:
    """What the schema cannot say: fields that contradict each other, the modality or the network."""

    def refuse(field: str, why: str) -> None:
        raise EngineError("options_invalid", f"method.{field}: {why}")

    depth = given.get("depth")
    if r.method == "from_scratch" and (depth not in (None, "full") or r.last_blocks is not None):
        refuse("depth" if depth else "last_blocks", "from_scratch trains the whole network; leave it out.")
    if r.method == "contrastive" and depth not in (None, "last_blocks"):
        refuse("depth", "contrastive tunes the tail; use last_blocks or leave it out.")
    if r.method == "zero_shot" and (depth not in (None, "head") or r.last_blocks is not None):
        refuse("depth" if depth else "last_blocks", "zero_shot maps the frozen embedding; leave it out.")
    if r.method in ("domain_adaptation", "domain_confusion", "multi_task") and (depth not in (None, "last_blocks") or r.mixup > 0):
        refuse("mixup" if r.mixup > 0 else "depth", f"{r.method} trains the tail on losses of its own; leave it out.")
    if r.method == "linear_probe" and (depth not in (None, "head") or r.last_blocks is not None):
        refuse("depth" if depth else "last_blocks", "linear_probe trains no block of the network; use fine_tune.")
    if r.mixup > 0 and not r.image:
        refuse("mixup", "mixup is for pictures; leave it out for texts.")
    if r.mixup > 0 and r.method == "contrastive":
        refuse("mixup", "contrastive compares labels of pairs, which mixed pictures do not have.")
    most = TAIL_BLOCKS[r.modality] if not r.whole else ALL_BLOCKS[r.modality]
    if r.last_blocks is not None and r.last_blocks > most:
        place = f"the tail has {TAIL_BLOCKS[r.modality]} blocks, the whole {r.modality} network {ALL_BLOCKS[r.modality]}"
        refuse("last_blocks", f"{r.last_blocks} is too many: {place}.")
    if r.alignment_weight is not None and r.batch_size < ALIGNED_BATCH_MIN:
        refuse("batch_size", f"a batch of {r.batch_size} is too small to compare two domains by; use at least {ALIGNED_BATCH_MIN}.")
    if r.probe_epochs >= r.epochs and r.probe_epochs > 0:
        refuse("probe_epochs", f"{r.probe_epochs} of {r.epochs} epochs would leave none for the network; they count as part of epochs.")
    if r.probe_epochs > 0 and r.method == "contrastive":
        refuse("probe_epochs", "contrastive has no classifier to start with.")
    if r.probe_epochs > 0 and r.random_start:
        refuse("probe_epochs", "a head on random weights teaches nothing; from_scratch has none.")
    if r.l2_sp > 0 and r.random_start:
        refuse("l2_sp", "a pull towards random weights is no transfer; use weight_decay.")
    if r.gradual_unfreezing and r.random_start:
        refuse("gradual_unfreezing", "random weights below would never be good; from_scratch trains all blocks.")
