"""Options that are numbers, checked in one way wherever they are taken."""

from __future__ import annotations

from numbers import Integral, Real

__all__ = ["LARGEST_SEED", "real_number", "whole_number"]

LARGEST_SEED = 2**63 - 1
"""What torch's generators take."""


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """An option as an int; NumPy's integers are whole numbers too.

    Raises:
        ValueError: it is no whole number, or out of range.

    Example:
        >>> whole_number("units", 4.0, 1)
        Traceback (most recent call last):
        ...
        ValueError: units is 4.0, expected a whole number, at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} is {value!r}, expected a whole number, at least {least}.")
    found = int(value)
    if found < least:
        raise ValueError(f"{name} is {found}, expected at least {least}.")
    if most is not None and found > most:
        raise ValueError(f"{name} is {found}, expected a whole number from {least} to {most}.")
    return found


def real_number(name: str, value: object) -> float:
    """An option as a float, finite or not.

    Raises:
        ValueError: it is no number.

    Example:
        >>> real_number("beta", 1)
        1.0
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} is {value!r}, expected a number.")
    return float(value)
