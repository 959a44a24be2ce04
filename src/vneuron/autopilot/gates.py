"""When a trial is valid, and the reference's penalty for how far it is from its targets."""

from __future__ import annotations

from collections.abc import Mapping

from ..vitals.health import SICK_SHARE

__all__ = ["BANDED", "constraints", "penalty"]

BANDED = ("free", "projection", "homeostasis")
"""Controls that hold units in a band, whose occupancy the reference's gates are about."""

MOST_ABOVE = 0.20
LEAST_INSIDE = 0.50
MOST_BELOW, INSIDE_IF_BELOW = 0.48, 0.58
MOST_BAND_PRICE = 6 * 1.5


def constraints(signs: Mapping[str, float], control: str) -> tuple[float, ...]:
    """How far each gate is exceeded; at most 0 where it is kept.

    Under a control with a band, those of the reference (above ≤ .20; inside ≥ .50; not below >
    .48 while inside < .58; band penalty ≤ 6 times its cap of 1.5); under any control, that no more
    than a tenth of the units is at fault. Other controls have no band to be in.

    Args:
        signs: as `vital_signs` gives them; none (a model without units) keeps every gate.
        control: of the configuration.

    Example:
        >>> signs = {"above": 0.25, "inside": 0.6, "below": 0.15, "band_price": 0.0, "faults": 0.0}
        >>> [round(value, 2) for value in constraints(signs, "homeostasis")]
        [-0.1, 0.05, -0.1, -0.33, -9.0]
        >>> constraints(signs, "adaptive")
        (-0.1, 0.0, 0.0, 0.0, 0.0)
    """
    if not signs:
        return (0.0,) * 5
    sick = signs["faults"] - SICK_SHARE
    if control not in BANDED:
        return (sick, 0.0, 0.0, 0.0, 0.0)
    starved = min(signs["below"] - MOST_BELOW, INSIDE_IF_BELOW - signs["inside"])
    return (
        sick,
        signs["above"] - MOST_ABOVE,
        LEAST_INSIDE - signs["inside"],
        starved,
        signs["band_price"] - MOST_BAND_PRICE,
    )


def penalty(signs: Mapping[str, float], control: str) -> float:
    """The reference's penalty; 0 without a band.

    6 (below − .2)₊² + 12 (above − .1)₊² + 10 (.58 − inside)₊² + .25 (band − 1.5)₊²
    + (AR share − .3)₊²

    Example:
        >>> signs = {"above": 0.2, "inside": 0.58, "below": 0.22, "band_price": 0, "ar_share": 0}
        >>> round(penalty(signs, "free"), 4)
        0.1224
    """
    if not signs or control not in BANDED:
        return 0.0
    parts = (
        (6.0, signs["below"] - 0.2),
        (12.0, signs["above"] - 0.1),
        (10.0, 0.58 - signs["inside"]),
        (0.25, signs["band_price"] - 1.5),
        (1.0, signs["ar_share"] - 0.3),
    )
    return sum(weight * max(excess, 0.0) ** 2 for weight, excess in parts)
