"""The health table: one row per unit, from the last vitals."""

from typing import Any

import pandas as pd

from .scores import display

__all__ = ["VERDICTS", "health_rows", "verdict_counts"]

VERDICTS = {
    "living": "carries information about the input that the forecast uses",
    "static": "used, but says the same for every input: a static factor",
    "ignored": "carries information that the forecast does not use",
    "constant": "away from its prior, the same for every input, not used",
    "dead": "posterior equals prior and nothing is used",
    "frozen in time": "repeats its previous state",
    "saturated": "its scale is at the ceiling",
    "noiseless": "its scale is at the floor",
    "exploding": "its energy is far above its band and grows",
    "unknown": "use was not measured: judged by KL and rate alone",
}

_NUMBERS = ("kl", "rate", "use", "dynamic_use", "outcome_information", "scale_mean")


def health_rows(vitals: pd.DataFrame) -> list[dict[str, Any]]:
    """The last state of each unit, the most used first.

    Use is measured at some epochs only, so each number is the last one known. The static part of
    use is what remains when the unit's posterior is frozen at its mean: use − dynamic use.

    Args:
        vitals: rows of `vitals.parquet` of one model.

    Returns:
        Per unit: `unit`, `layer`, `verdict`, for each number `value` (None if unknown) and
        `text`, and `parts`, the widths in percent of the static and the dynamic part of use.
    """
    ordered = vitals.sort_values("epoch", kind="stable")
    last = ordered.groupby(["layer", "unit"], sort=False).last().reset_index()
    largest = float(last["use"].max()) if last["use"].notna().any() else 0.0
    last = last.sort_values(["use", "kl"], ascending=False, na_position="last")
    return [_row(row, largest) for row in last.to_dict("records")]


def _row(row: dict[Any, Any], largest: float) -> dict[str, Any]:
    numbers = {
        name: {"value": None if pd.isna(row[name]) else float(row[name])} for name in _NUMBERS
    }
    for cell in numbers.values():
        cell["text"] = display(cell["value"])  # type: ignore[assignment]
    return {
        "unit": row["unit"],
        "layer": row["layer"],
        "verdict": row["verdict"],
        "parts": _parts(numbers["use"]["value"], numbers["dynamic_use"]["value"], largest),
        **numbers,
    }


def _parts(use: float | None, dynamic: float | None, largest: float) -> dict[str, float] | None:
    if use is None or dynamic is None or largest <= 0:
        return None
    whole = max(use, 0.0)
    moving = min(max(dynamic, 0.0), whole)
    return {
        "static": round(100 * (whole - moving) / largest, 1),
        "dynamic": round(100 * moving / largest, 1),
    }


def verdict_counts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many units have each verdict, in the taxonomy's order, with its meaning."""
    found = [row["verdict"] for row in rows]
    names = [*VERDICTS, *sorted({v for v in found if v not in VERDICTS})]
    return [
        {"verdict": name, "count": found.count(name), "meaning": VERDICTS.get(name, "")}
        for name in names
        if name in found
    ]
