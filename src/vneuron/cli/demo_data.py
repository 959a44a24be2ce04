"""The demonstration's data: two monthly series from statsmodels, gaps and all."""

from __future__ import annotations

import pandas as pd


def monthly_series() -> pd.DataFrame:
    """CO₂ at Mauna Loa (1958 to 2001, means of weekly values) and El Niño (1950 to 2010).

    Returns:
        Long frame unique_id, ds (month starts), y; months without a measurement are NaN.

    Raises:
        ModuleNotFoundError: statsmodels is not installed; it names the extra.
    """
    try:
        from statsmodels.datasets import co2, elnino
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the demonstration needs statsmodels, which is not installed: "
            "pip install 'vneuron[demo]'"
        ) from None
    weekly = co2.load_pandas().data["co2"]
    carbon = weekly.resample("MS").mean()
    wide = elnino.load_pandas().data.set_index("YEAR")
    warm = wide.to_numpy().reshape(-1)
    start = f"{int(wide.index[0])}-01-01"
    months = pd.date_range(start, periods=len(warm), freq="MS")
    frames = [
        pd.DataFrame({"unique_id": "CO2 (ppm)", "ds": carbon.index, "y": carbon.to_numpy()}),
        pd.DataFrame({"unique_id": "El Niño (°C)", "ds": months, "y": warm}),
    ]
    return pd.concat(frames, ignore_index=True)
