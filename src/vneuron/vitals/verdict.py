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
        return self in _FAULTS


_FAULTS = frozenset({Verdict.DEAD, Verdict.CONSTANT, Verdict.IGNORED})


@dataclass(frozen=True)
class Thresholds:
    """Where a measure stops counting as zero.

    Attributes:
        kl: nats; below it a posterior counts as equal to its prior.
        rate: nats; below it a unit counts as telling nothing about its input.
        use: nats per window; a unit counts as used if its use or its dynamic use exceeds it.
    """

    kl: float = ALIVE_KL
    rate: float = 1e-2
    use: float = 1e-2


class UnitVitals(NamedTuple):
    """One unit's numbers, all in nats; NaN where not measured."""

    kl: float
    rate: float
    use: float = math.nan
    dynamic_use: float = math.nan


class _Signs(NamedTuple):
    """Vitals held against their thresholds. `used` is None where no use was measured."""

    differs: bool
    informed: bool
    used: bool | None


# The first rule that holds gives the verdict; a new mode of collapse is a new line. Where use is
# not known, KL and rate alone decide about units that could not be of use whatever reads them.
_RULES: tuple[tuple[Verdict, Callable[[_Signs], bool]], ...] = (
    (Verdict.DEAD, lambda s: not (s.differs or s.informed or s.used)),
    (Verdict.CONSTANT, lambda s: not (s.informed or s.used)),
    (Verdict.UNKNOWN, lambda s: s.used is None),
    (Verdict.IGNORED, lambda s: not s.used),
    (Verdict.STATIC, lambda s: not s.informed),
    (Verdict.LIVING, lambda s: True),
)


def judge(vitals: UnitVitals, thresholds: Thresholds | None = None) -> Verdict:
    """A unit's verdict.

    | verdict  | KL  | rate | use     |
    |----------|-----|------|---------|
    | dead     | ≈ 0 | ≈ 0  | ≈ 0, or unknown |
    | constant | > 0 | ≈ 0  | ≈ 0, or unknown |
    | ignored  |     | > 0  | ≈ 0     |
    | static   |     | ≈ 0  | > 0     |
    | living   |     | > 0  | > 0     |
    | unknown  |     | > 0  | unknown |

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
    signs = _Signs(
        differs=vitals.kl > limits.kl,
        informed=vitals.rate > limits.rate,
        used=any(use > limits.use for use in measured) if measured else None,
    )
    return next(verdict for verdict, holds in _RULES if holds(signs))
