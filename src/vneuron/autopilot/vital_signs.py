"""A layer's vitals in a few numbers, as a search reads them after each validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..vitals.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["REFERENCE_BAND", "vital_signs"]

REFERENCE_BAND = (0.04, 0.08)
"""µ² that counts as inside where a configuration has no band: [.8, 1.6] × the papers' .05."""


def vital_signs(units: pd.DataFrame, controls: Mapping[str, float]) -> dict[str, float]:
    """Shares of units, and their KL.

    Args:
        units: as `health(model).units`.
        controls: what the last control step reported.

    Returns:
        "below", "inside", "above": shares against the band before calibration, or, without one,
        against `REFERENCE_BAND`; "out_of_band": 1 − inside; "kl": nats per window, all units;
        "alive" (KL) and "active" (Var µ) shares; "faults": share of units at fault; "band_price":
        the band's unweighted penalty, 0 without one; "ar_share": mean share of an autoregressive
        penalty in the KL, 0 without one.
    """
    energy = units["energy"].to_numpy(dtype=float)
    low, high = (units[f"original_band_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
    low = np.where(np.isnan(low), REFERENCE_BAND[0], low)
    high = np.where(np.isnan(high), REFERENCE_BAND[1], high)
    below, above = float((energy < low).mean()), float((energy > high).mean())
    share = units["transition_share"].to_numpy(dtype=float)
    price = [value for name, value in controls.items() if name.endswith("band_price")]
    return {
        "below": below,
        "inside": 1.0 - below - above,
        "above": above,
        "out_of_band": below + above,
        "kl": float(units["kl"].sum()),
        "alive": float(units["alive"].mean()),
        "active": float(units["active"].mean()),
        "faults": float(np.mean([Verdict(verdict).fault for verdict in units["verdict"]])),
        "band_price": float(price[0]) if price else 0.0,
        "ar_share": 0.0 if np.isnan(share).all() else float(np.nanmean(share)),
    }
