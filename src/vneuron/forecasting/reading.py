"""A user's frame or file as a panel, by the policies of a forecaster, at its fit's frequency."""

from __future__ import annotations

from pathlib import Path

from .config import ForecasterConfig
from .data.errors import DataError
from .data.frame import Panel
from .data.tables import read_table


def read_frame(df: object, config: ForecasterConfig, freq: str | int | None = None) -> Panel:
    """A long frame, pandas or polars, or a file, by the forecaster's policies.

    Args:
        df: unique_id, ds, y; or the path of a file, long or wide, CSV or Parquet.
        config: how missing values, duplicates and further columns are treated.
        freq: in place of the forecaster's; None keeps that, or guesses.

    Raises:
        DataError: the frame cannot be used.
    """
    if isinstance(df, str | Path):
        return read_table(
            df,
            freq=freq or config.freq,
            missing=config.missing,
            duplicates=config.duplicates,
            exogenous=config.exogenous,
        ).panel
    return Panel.from_frame(
        df,
        freq=freq or config.freq,
        missing=config.missing,
        duplicates=config.duplicates,
        exogenous=config.exogenous,
    )


def read_like_fit(df: object, config: ForecasterConfig, known: str | int) -> Panel:
    """A frame to forecast on, or to score, with a model that is fitted.

    Args:
        df: a long frame, a file, or a panel, which is taken as it is.
        config: of the forecaster.
        known: frequency of the fit.

    Raises:
        DataError: the frame cannot be used, or is of another frequency.
    """
    panel = df if isinstance(df, Panel) else _at_frequency(df, config, known)
    if panel.freq != known:
        raise DataError(
            f"the frame has frequency {panel.freq!r}, the model was fitted on {known!r}: give "
            "series of that frequency, or fit another model"
        )
    return panel


def _at_frequency(df: object, config: ForecasterConfig, known: str | int) -> Panel:
    """A frame at the fit's frequency, which a few rows alone need not show.

    One row shows none, five days may be daily or business days, and the first of two months 31
    days. Where the fit's frequency explains the stamps without more gaps, it is taken.
    """
    try:
        panel = read_frame(df, config)
    except DataError:
        panel = read_frame(df, config, known)
        if (panel.lengths > 1).any():
            raise
        return panel
    if panel.freq == known:
        return panel
    try:
        other = read_frame(df, config, known)
    except DataError:
        return panel
    return other if len(other.times) <= len(panel.times) else panel
