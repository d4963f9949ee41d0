"""The one training loop. What is trained (network.py), on what (source.py) and what is made small (objective.py) come in as values.

Deterministic for a seed: every epoch and step draws from its own generator, so a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import ranks
from .accumulate import accumulate
from .export import Floats
from .heads import Ints
from .network import OWN_DIMENSION, Network, blocks
from .objective import Loss
from .recipe import Recipe
from .schedule import class_weight, rate, set_aside, unfrozen
from .source import PLAIN, Source
from .step import COSINE_SCALE, DRAWS, features, step_loss
from .wire import EngineError, nothing

EMBED_BATCH = 64


@dataclass
class State:
    """`average`: the moving average of the network's weights; `best`: its weights at the least loss on rows set aside (`best_loss`, `waited` epochs
    ago); `anchor`: the starting weights; `pieces`: parts that a batch is cut into since memory ran out; `step`, `total`: how far into epoch `epoch`,
    and its losses so far."""

    network: Network
    classifier: nn.Parameter
    criterion: Loss
    optimiser: torch.optim.AdamW
    anchor: dict[str, Tensor]
    average: dict[str, Tensor]
    best: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf
    waited: int = 0
    epoch: int = 0
    step: int = 0
    updates: int = 0
    pieces: int = 1
    total: float = 0.0
    losses: list[float] = field(default_factory=list)
    aside_losses: list[float] = field(default_factory=list)


def seeded(*parts: int | str) -> torch.Generator:
    number = int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(number)


def start(network: Network, criterion: Loss, labels: int, recipe: Recipe, seed: tuple[int, str], device: torch.device) -> State:
    network, criterion = network.to(device), criterion.to(device)
    if ranks.count() > 1 and recipe.random_start:
        ranks.share_norms(network)
    if recipe.whole and recipe.image:
        network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    dimension = OWN_DIMENSION[recipe.modality]
    draw = torch.randn(labels, dimension, generator=seeded(*seed, "classifier")) / math.sqrt(dimension)
    classifier = nn.Parameter(draw.to(device))
    groups: list[dict[str, object]] = []
    parts = blocks(network)
    for depth, part in enumerate(reversed(parts)):
        # L2-SP takes the place of the decay towards zero (Li et al. 2018).
        decay = {"weight_decay": 0.0} if recipe.l2_sp > 0 else {}
        groups.append({"params": part, "share": recipe.layer_decay**depth, **decay})
    groups.append({"params": [classifier, *criterion.parameters()], "share": 1.0, "weight_decay": 0.0})
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    anchor = {k: p.detach().clone() for k, p in network.named_parameters()} if recipe.l2_sp > 0 else {}
    average = copy.deepcopy(network.state_dict()) if recipe.ema > 0 else {}
    return State(network, classifier, criterion, optimiser, anchor, average)


def train(
    state: State,
    source: Source,
    y: Ints,
    rows: Ints,
    recipe: Recipe,
    seed: tuple[int, str],
    *,
    sqrt: bool,
    after_step: Callable[[State, int, int, int, float], None],
    after_epoch: Callable[[State], None],
    between: Callable[[], None] = nothing,
) -> None:
    """`source` and `y`: all training rows; `rows`: those that this stage learns from. Batch-norm statistics stay those of the published weights,
    except from a random start, which has none. `between`: called between batches that are only looked at; the state may be kept there too."""
    device = state.classifier.device
    parts = blocks(state.network)
    aside = set_aside(y[rows]) if recipe.early_stopping else np.zeros(len(rows), dtype=bool)
    watched, rows = rows[aside], rows[~aside]
    weight = class_weight(recipe, y[rows], len(state.classifier), device)
    while state.epoch < recipe.epochs and not (watched.size and state.waited >= recipe.early_stopping):
        generator = seeded(*seed, state.epoch)
        batches = state.criterion.batches(y[rows], recipe.batch_size, generator, rows)
        free = unfrozen(recipe, state.epoch, len(parts))
        for depth, part in enumerate(reversed(parts)):
            for p in part:
                p.requires_grad_(depth < free)
        for step in range(state.step, len(batches)):
            place = (state.epoch + step / len(batches)) / recipe.epochs
            for group in state.optimiser.param_groups:
                group["lr"] = recipe.learning_rate * group["share"] * rate(recipe, place, 1 / (recipe.epochs * len(batches)))
            state.network.train(recipe.random_start)
            chosen = np.array(batches[step])
            draws = torch.randint(0, DRAWS, (len(chosen),), generator=seeded(*seed, state.epoch, step)).numpy()

            def backward(part: Ints, portion: float, chosen: Ints = chosen, draws: Ints = draws, place: float = place, step: int = step) -> float:
                inner = seeded(*seed, state.epoch, step, int(part[0]))
                loss = step_loss(state, source, y, rows[chosen[part]], draws[part], recipe, weight, place, sqrt, inner)
                with ranks.memory_shared():
                    (loss * portion).backward()
                return float(loss.detach())

            loss = accumulate(state, y[rows[chosen]], weight, backward)
            if not math.isfinite(loss):
                raise diverged(state, recipe)
            ranks.add_gradients(state.network.parameters(), [state.classifier, *state.criterion.parameters()])
            state.optimiser.step()
            state.updates += 1
            average(state, recipe.ema)
            state.step = step + 1
            state.total += loss / len(batches)
            after_step(state, step, len(batches), len(chosen), loss)
        if watched.size:
            watch(state, source, y, watched, sqrt, between)
        state.losses.append(state.total)
        state.epoch, state.step, state.total = state.epoch + 1, 0, 0.0
        after_epoch(state)
    settle(state)


def diverged(state: State, recipe: Recipe) -> EngineError:
    """No attempt ends otherwise: it is the options that have to change."""
    why = f"the loss of epoch {state.epoch + 1} is not a number any more with {recipe.learning_rate:g}; use a smaller one."
    return EngineError("training_diverged", f"method.learning_rate: {why}")


def settle(state: State) -> None:
    """The weights at the least loss on the rows set aside are what is served."""
    if state.best:
        state.average = state.best


def end_early(state: State, steps: int) -> None:
    """Training ends inside an epoch of `steps`: its losses so far count as its loss, and what is best so far is served."""
    if state.step:
        state.losses.append(state.total * steps / state.step)
    settle(state)


def average(state: State, decay: float) -> None:
    """s ← d s + (1 − d) w with d = min(decay, (1 + t)/(10 + t)), so that the start is forgotten (Polyak & Juditsky 1992)."""
    if decay == 0:
        return
    d = min(decay, (1 + state.updates) / (10 + state.updates))
    for name, value in state.network.state_dict().items():
        kept = state.average[name]
        if value.is_floating_point():
            kept.mul_(d).add_(value, alpha=1 - d)
        else:
            kept.copy_(value)


def watch(state: State, source: Source, y: Ints, rows: Ints, sqrt: bool, between: Callable[[], None]) -> None:
    """Loss on the rows set aside; keeps the best weights."""
    embedding = torch.from_numpy(embed_torch(state, source, rows.tolist(), between)).to(state.classifier.device)
    with torch.no_grad():
        feature = features(embedding, sqrt)
        logits = COSINE_SCALE * feature @ F.normalize(state.classifier, dim=1).T
        target = torch.from_numpy(y[rows]).to(logits.device)
        # One rank's figure: they must stop in the same epoch.
        loss = ranks.from_first(lambda: float(state.criterion.aside(feature, logits, target)))
    state.aside_losses.append(loss)
    state.waited += 1
    if loss < state.best_loss:
        state.best_loss, state.waited = loss, 0
        state.best = copy.deepcopy(state.average or state.network.state_dict())


def served(state: State) -> Network:
    """The network to keep: averaged or best weights where the recipe asks for them."""
    network = copy.deepcopy(state.network)
    if state.average:
        network.load_state_dict(state.average)
    return network.eval()


def embed_torch(state: State, source: Source, rows: list[int] | None = None, between: Callable[[], None] = nothing) -> Floats:
    """Plain views through the network that would be served; every rank embeds its part and has all."""
    rows = list(range(len(source))) if rows is None else rows
    mine = [rows[i] for i in ranks.own(len(rows))]
    made = ranks.gathered(embed_network(served(state), source, state.classifier.device, mine, between) if mine else np.zeros((0, 0), np.float32))
    return np.concatenate([part for part in made if len(part)])


def embed_network(
    network: Network, source: Source, device: torch.device, rows: list[int] | None = None, between: Callable[[], None] = nothing
) -> Floats:
    """`between`: called before each batch."""
    rows = list(range(len(source))) if rows is None else rows
    made = []
    with torch.no_grad():
        for i in range(0, len(rows), EMBED_BATCH):
            between()
            part = rows[i : i + EMBED_BATCH]
            made.append(network(*source.batch(part, [PLAIN] * len(part), device)).float().cpu().numpy())
    return np.concatenate(made).astype(np.float32)
