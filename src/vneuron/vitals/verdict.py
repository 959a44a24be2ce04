"""What a unit's vitals say about it: the taxonomy of collapse, as a list of rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ..core import ALIVE_KL


class Verdict(StrEnum):
    """A unit's state; the text is what reports show."""

    EXPLODING = "exploding"
    """Its energy is far above its band, and grows."""

    NOISELESS = "noiseless"
    """Its σ is at the floor and its KL is large: it is a deterministic unit at a high price."""

    SATURATED = "saturated"
    """Its σ is at the ceiling."""

    FROZEN = "frozen in time"
    """It says what it said of the window before, whatever happened since."""

    DEAD = "dead"
    """Its posterior is the prior whatever the input, and nothing is known to read it."""

    CONSTANT = "constant"
    """Its posterior is no prior, but the same for every input; nothing is known to read it."""

    IGNORED = "ignored"
    """It carries information that nothing reads."""

    STATIC = "static"
    """It is read, but does not depend on the input: healthy, and no more than a fixed factor."""

    LIVING = "living"
    """It carries information and is read."""

    UNKNOWN = "unknown"
    """It may carry information; its use has not been measured, or it has not been trained."""

    @property
    def fault(self) -> bool:
        """Whether the verdict counts against the layer."""
        return self in _CURES

    @property
    def cure(self) -> str:
        """What to try; empty where nothing is wrong."""
        return _CURES.get(self, "")


_CURES = {
    Verdict.EXPLODING: "EnergyBand with Projection (raw)",
    Verdict.NOISELESS: "ScaleGuard, or KLBudget for its upper bound",
    Verdict.SATURATED: "ScaleGuard",
    Verdict.FROZEN: "ShareBalance, or a prior that allows more innovation",
    Verdict.DEAD: "KLBudget for its lower bound, or Homeostasis (raw)",
    Verdict.CONSTANT: "EnergyBand(quantity='variance'), or prune",
    Verdict.IGNORED: "prune, or fewer units",
}


@dataclass(frozen=True)
class Thresholds:
    """Where a measure stops counting as zero, or as one.

    Attributes:
        kl: nats; below it a posterior counts as equal to its prior.
        rate: nats; below it a unit counts as telling nothing about its input.
        use: nats per window; a unit counts as used if its use or its dynamic use exceeds it.
        explosion: energy over the upper bound of its band.
        energy: upper bound of a unit without a band, in variances of its prior.
        growth: of the running energy over its slow mean, as a share.
        floor: σ over its lower bound, below which it counts as being there.
        noiseless_kl: nats that a unit at the floor costs at least.
        ceiling: σ over its upper bound, above which it counts as being there.
        persistence: correlation with the state before, above which a unit may be frozen.
        innovation: nats; below it a unit counts as telling nothing that is new.

    Persistence alone does not tell frozen units from those that follow a slow series: of units
    trained without fault on monthly CO2 three in four are above .98. They tell .003 to .8 nats
    that are new (median .2), frozen ones .00002 to .01. The energy of units trained without fault
    stays below 5 variances of their prior; exploding ones reach hundreds
    (`benchmarks/living/thresholds.py`, over seeds and three series).
    """

    kl: float = ALIVE_KL
    rate: float = 1e-2
    use: float = 1e-2
    explosion: float = 4.0
    energy: float = 4.0
    growth: float = 0.02
    floor: float = 20.0
    noiseless_kl: float = 1.0
    ceiling: float = 0.7
    persistence: float = 0.98
    innovation: float = 1e-2


class UnitVitals(NamedTuple):
    """One unit's numbers; NaN where not measured.

    Attributes:
        kl: nats.
        rate: nats.
        use: nats per window.
        dynamic_use: nats per window.
        energy_ratio: energy over the upper bound of its band.
        growth: running energy over its slow mean, less one.
        floor_ratio: σ over its lower bound.
        ceiling_ratio: σ over its upper bound.
        persistence: correlation of µ with its predecessor.
        innovation: nats that it tells beyond what it told of the window before.
    """

    kl: float
    rate: float
    use: float = math.nan
    dynamic_use: float = math.nan
    energy_ratio: float = math.nan
    growth: float = math.nan
    floor_ratio: float = math.nan
    ceiling_ratio: float = math.nan
    persistence: float = math.nan
    innovation: float = math.nan


class _Signs(NamedTuple):
    """Vitals held against their thresholds. `used` is None where no use was measured."""

    exploding: bool
    noiseless: bool
    saturated: bool
    frozen: bool
    differs: bool
    informed: bool
    used: bool | None


# The first rule that holds gives the verdict. Where use is not known, KL and rate alone decide
# about units that could not be of use whatever reads them.
_RULES: tuple[tuple[Verdict, Callable[[_Signs], bool]], ...] = (
    (Verdict.EXPLODING, lambda s: s.exploding),
    (Verdict.NOISELESS, lambda s: s.noiseless),
    (Verdict.SATURATED, lambda s: s.saturated),
    (Verdict.FROZEN, lambda s: s.frozen),
    (Verdict.DEAD, lambda s: not (s.differs or s.informed or s.used)),
    (Verdict.CONSTANT, lambda s: not (s.informed or s.used)),
    (Verdict.UNKNOWN, lambda s: s.used is None),
    (Verdict.IGNORED, lambda s: not s.used),
    (Verdict.STATIC, lambda s: not s.informed),
    (Verdict.LIVING, lambda s: True),
)


def judge(vitals: UnitVitals, thresholds: Thresholds | None = None) -> Verdict:
    """A unit's verdict: the first row that holds.

    | verdict        | sign                                                        |
    |----------------|-------------------------------------------------------------|
    | exploding      | energy above its band by a factor, and growing              |
    | noiseless      | σ at its floor, KL large                                    |
    | saturated      | σ at its ceiling                                            |
    | frozen in time | rate > 0, as the state before, nothing new                 |
    | dead           | KL ≈ 0, rate ≈ 0, use ≈ 0 or unknown                        |
    | constant       | KL > 0, rate ≈ 0, use ≈ 0 or unknown                        |
    | unknown        | rate > 0, use unknown                                       |
    | ignored        | rate > 0, use ≈ 0                                           |
    | static         | rate ≈ 0, use > 0                                           |
    | living         | rate > 0, use > 0                                           |

    Args:
        vitals: the unit's numbers.
        thresholds: where a measure counts as zero; None for the defaults.

    Example:
        >>> judge(UnitVitals(kl=0.4, rate=0.3, use=0.1)).value
        'living'
        >>> judge(UnitVitals(kl=0.4, rate=0.0)).value
        'constant'
    """
    limits = Thresholds() if thresholds is None else thresholds
    measured = [use for use in (vitals.use, vitals.dynamic_use) if not math.isnan(use)]
    informed = vitals.rate > limits.rate
    # What was not measured is NaN, and no comparison with it holds.
    signs = _Signs(
        exploding=vitals.energy_ratio > limits.explosion and vitals.growth > limits.growth,
        noiseless=vitals.floor_ratio < limits.floor and vitals.kl > limits.noiseless_kl,
        saturated=vitals.ceiling_ratio > limits.ceiling,
        frozen=informed
        and vitals.persistence > limits.persistence
        and vitals.innovation < limits.innovation,
        differs=vitals.kl > limits.kl,
        informed=informed,
        used=any(use > limits.use for use in measured) if measured else None,
    )
    return next(verdict for verdict, holds in _RULES if holds(signs))
