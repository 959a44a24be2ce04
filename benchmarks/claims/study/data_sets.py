"""The data sets of the studies: where their rows are, how they are split, and their windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.split import Size
from vneuron.forecasting.data.tables import read_table

METRO_DAY, METRO_STATIONS = 108, 10
SENSOR_STEP = 10
"""Every tenth sensor of the METR-LA week is taken: 21 series."""


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: as the tables call it.
        file: its file, which may be gzipped and lie anywhere below the data folder.
        read: from the file to the series.
        input_size: L, rows.
        horizon: H, rows.
        sizes: of training, validation and test rows, by target span.
    """

    name: str
    file: str
    read: Callable[[Path], Panel]
    input_size: int = 336
    horizon: int = 96
    sizes: tuple[Size, Size, Size] = (0.7, 0.1, 0.2)

    def panel(self, folder: Path) -> Panel:
        """Its series.

        Raises:
            FileNotFoundError: the file is not below the folder.
        """
        return self.read(find(folder, self.file))


def find(folder: Path, name: str) -> Path:
    """The file of that name below a folder, plain or gzipped.

    Raises:
        FileNotFoundError: there is none.
    """
    for wanted in (name, f"{name}.gz"):
        found = sorted(folder.rglob(wanted))
        if found:
            return found[0]
    raise FileNotFoundError(f"no {name} or {name}.gz below {folder}: put a copy there")


def wide(path: Path) -> Panel:
    """A date column and one column a series."""
    return read_table(path, missing="interpolate", duplicates="first").panel


def demand(path: Path) -> Panel:
    """Victoria's demand alone, without temperature and holidays."""
    return read_table(path, target="Demand", missing="interpolate", duplicates="first").panel


def speeds(path: Path) -> Panel:
    """Some sensors of the METR-LA week; a speed of 0 is a sensor that says nothing."""
    columns = pd.read_csv(path).iloc[:, ::SENSOR_STEP]
    return long_panel(columns.where(columns > 0.0).to_numpy().T, list(columns.columns))


def metro(path: Path) -> Panel:
    """Passengers at some stations, day after day; the night is not in the data."""
    import scipy.io

    tensor = scipy.io.loadmat(path)["tensor"].astype(np.float64)
    chosen = np.linspace(0, len(tensor) - 1, METRO_STATIONS).round().astype(int)
    return long_panel(tensor[chosen].reshape(len(chosen), -1), [f"station {i}" for i in chosen])


def long_panel(values: np.ndarray, names: list[str]) -> Panel:
    """Series [series, rows] with numbered rows, gaps filled between known values."""
    series, rows = values.shape
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(names, rows),
            "ds": np.tile(np.arange(rows), series),
            "y": values.reshape(-1),
        }
    )
    return Panel.from_frame(frame, missing="interpolate")


DATA_SETS = {
    found.name: found
    for found in (
        DataSet("ETTh1", "ETTh1.csv", wide, sizes=(8640, 2880, 2880)),
        DataSet("Exchange", "exchange_rate.csv", wide),
        DataSet("Weather", "weather.csv", wide),
        DataSet("ILI", "national_illness.csv", wide, input_size=104, horizon=24),
        DataSet("Victoria", "vic_electricity.csv", demand, horizon=48),
        DataSet(
            "Hangzhou",
            "hangzhou_metro_tensor.mat",
            metro,
            input_size=METRO_DAY,
            horizon=18,
            sizes=(17 * METRO_DAY, 3 * METRO_DAY, 5 * METRO_DAY),
        ),
        DataSet("ECL subset", "electricity_0_OT.csv", wide),
        DataSet("METR-LA", "los_speed.csv", speeds, input_size=72, horizon=12),
    )
}
FOUR = ("ETTh1", "Exchange", "Weather", "ILI")
