"""The data of a search, prepared once in each process and shared by all its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..forecasting.config import ForecasterConfig
from ..forecasting.data.errors import DataError
from ..forecasting.data.frame import Panel
from ..forecasting.data.split import Size
from ..forecasting.data.windows import Windows, evenly_spaced
from ..forecasting.material import Material, prepare
from ..forecasting.memory import Memory

__all__ = ["Workbench", "fold_sizes"]


class Workbench:
    """Windows for any configuration of one search.

    Configurations that read the same windows share them. Folds are rolling origins: fold i ends
    i validation parts earlier, so that its training rows are never later than what it is judged
    on.

    Args:
        panel: the series.
        sizes: train_size, val_size, test_size.
        folds: how many.
        windows: at most so many validation windows judge a trial, evenly spaced; 0 takes all.
    """

    def __init__(
        self, panel: Panel, sizes: Mapping[str, Size], folds: int = 1, windows: int = 0
    ) -> None:
        self.panel = panel
        self.sizes = dict(sizes)
        self.folds = folds
        self.windows = windows
        self._shelf: dict[tuple[Any, ...], tuple[Material, Memory]] = {}

    def material(self, config: ForecasterConfig, fold: int = 0) -> Material:
        """A fit's data, under this configuration, which must leave nothing open to the data."""
        kept = self._kept(config, fold)[0]
        if config.earlier_windows and config.known_lag is None:  # the season of the data
            config = replace(config, lag=kept.config.lag)
        return replace(kept, config=config)

    def memory(self, config: ForecasterConfig, fold: int = 0) -> Memory:
        """What a model remembers of the fit's data."""
        return self._kept(config, fold)[1]

    def judged(self, material: Material) -> Windows:
        """The validation windows that judge trials."""
        validation = material.validation
        if not self.windows or len(validation) <= self.windows:
            return validation
        return validation.take(evenly_spaced(len(validation), self.windows))

    def _kept(self, config: ForecasterConfig, fold: int) -> tuple[Material, Memory]:
        lag = config.known_lag if config.earlier_windows else None
        key = (
            fold,
            config.input_size,
            config.earlier_windows,
            lag,
            config.counts,
            config.location,
            config.features,
            config.second,
            config.second_size,
        )
        if key not in self._shelf:
            sizes = fold_sizes(self.sizes, fold, config.horizon, int(self.panel.lengths.min()))
            material = prepare(self.panel, config, **sizes)
            self._shelf[key] = (material, Memory.of(material, material.config))
        return self._shelf[key]


def fold_sizes(sizes: Mapping[str, Size], fold: int, horizon: int, rows: int) -> dict[str, Any]:
    """The sizes of a fold; of fold 0 those given.

    Args:
        sizes: train_size, val_size, test_size.
        fold: how many validation parts earlier it ends.
        horizon: H.
        rows: of the shortest series.

    Raises:
        DataError: sizes in rows and in shares are mixed.

    Example:
        >>> fold_sizes({"train_size": 100, "val_size": 20, "test_size": 20}, 2, 5, 140)
        {'train_size': 60, 'val_size': 20, 'test_size': 60}
    """
    if fold == 0:
        return dict(sizes)
    train, val, test = (sizes.get(f"{part}_size") for part in ("train", "val", "test"))
    least = max(0.1, horizon / rows)
    val = least if val is None else val
    test = least if test is None else test
    given = [size for size in (train, val, test) if size is not None and size != 0]
    if len({isinstance(size, float) for size in given}) > 1:
        raise DataError(
            f"sizes are {train}, {val} and {test}: with folds, give all in rows or all as shares"
        )
    earlier = None if train is None else train - fold * val
    return {"train_size": earlier, "val_size": val, "test_size": test + fold * val}
