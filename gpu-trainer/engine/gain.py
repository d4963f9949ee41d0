"""What a method is expected to take of the errors that the frozen head leaves: a trial on these data, weighed by its own uncertainty and by what was
measured before."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from .probe import Trial

Z95 = 1.96
# Mean and standard deviation of the share of errors taken away, over this project's own picture and text sets of all sizes (docs/decisions 0013,
# 0015). A few measurements, made before the frozen head was as good as it is now.
TUNING = {"image": (0.06, 0.05), "text": (0.02, 0.08)}
ALIGNING = (0.11, 0.06)


@dataclass(frozen=True)
class Gain:
    """`basis`: `measured` where a trial on these data took part, else `prior`."""

    low: float
    usual: float
    high: float
    basis: str


def nothing() -> Gain:
    return Gain(0.0, 0.0, 0.0, "measured")


def expected(prior: tuple[float, float], seen: Trial | None) -> Gain:
    """Normal prior and normal measurement: precisions add up (Gelman et al. 2013, 2.5). The trial's own spread is at least that of one row."""
    mean, deviation = prior
    if seen is None:
        return Gain(mean - Z95 * deviation, mean, mean + Z95 * deviation, "prior")
    errors = 1 - seen.without
    if errors * seen.rows < 1:
        return nothing()
    spread = max((seen.high - seen.low) / (2 * Z95), 1 / seen.rows) / errors
    trust = deviation**2 / (deviation**2 + spread**2)
    middle, half = mean + trust * (seen.difference / errors - mean), Z95 * (trust**0.5) * spread
    return Gain(middle - half, middle, middle + half, "measured")


def of_tuning(modality: str, seen: Trial | None) -> Gain:
    """Once tuning was tried on these rows, earlier data say how large a gain may be and no longer that there is one: the prior is as wide about zero
    as they were (a sceptical prior, Spiegelhalter et al. 1994). So a trial without a gain expects none, however small it was."""
    prior = TUNING[modality]
    return expected(prior if seen is None else (0.0, hypot(*prior)), seen)


def of_aligning(seen: Trial | None) -> Gain:
    """A trial aligns means alone, which is less than what an adaptation does: it is weighed with what adaptations brought, and does not refute them
    alone."""
    return expected(ALIGNING, seen)
