"""What a fitted forecaster remembers of its data: scaling, spans, and the last context."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..training.run_folder import RunFolder
from .config import ForecasterConfig
from .data.frame import Panel
from .data.place import Period, Surroundings
from .data.rows import Ints
from .data.scaling import Scaling
from .data.split import RowRange
from .familiarity import Familiarity
from .material import Material, rows_in_span
from .networks.normalisation import Location

FAMILIARITY = "familiarity.parquet"
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Memory:
    """Enough of the data to forecast on, and to score later rows as at the fit.

    Attributes:
        context: the last rows of each series.
        scaling: by training rows.
        test_from: first stamp of each series after its validation rows, int64 as the panel's.
        test_to: last stamp of its test rows; `NEVER` where the fit held none out.
        location: what windows are centred on.
        mask_inputs: whether the network is told which values are missing.
        notes: what was done to the data at the fit.
        familiarity: what training windows look like; None where they are too short.
        periods: of the calendar, that the training rows hold often enough.
    """

    context: Panel
    scaling: Scaling
    test_from: Ints
    test_to: Ints
    location: Location
    mask_inputs: bool
    notes: tuple[str, ...] = ()
    familiarity: Familiarity | None = None
    periods: tuple[Period, ...] = ()

    @property
    def surroundings(self) -> Surroundings:
        """The series and periods of the fit, as networks are told of them."""
        return Surroundings(len(self.scaling.ids), self.periods)

    def identity(self, panel: Panel) -> Ints:
        """Position of each of the panel's series at the fit, [series]; −1 for one new to it."""
        found = pd.Index(self.scaling.ids).get_indexer(pd.Index(panel.ids))
        return np.asarray(found, dtype=np.int64)

    @classmethod
    def of(cls, material: Material, config: ForecasterConfig) -> Memory:
        """Memory of a fit's data."""
        panel, split = material.panel, material.split
        stamps = panel.times.view(np.int64)
        held_out = split.test.lengths > 0
        after = panel.offsets[:-1] + split.val.stop
        last = panel.offsets[:-1] + np.maximum(split.test.stop, 1) - 1
        nearly = stamps[np.maximum(after - 2, panel.offsets[:-1])]
        following = panel.frequency.following(stamps[after - 1], 1, nearly)[:, 0]
        return cls(
            context=panel.tail(config.lookback),
            scaling=material.scaling,
            test_from=following,
            test_to=np.where(held_out, stamps[last], NEVER),
            location=material.location,
            mask_inputs=material.mask_inputs,
            notes=material.notes,
            familiarity=material.familiarity,
            periods=material.periods,
        )

    def rows_to_score(self, panel: Panel) -> RowRange:
        """Rows after the fit's, up to the end of its test rows; all rows of series new to it."""
        found = self.identity(panel)
        known = found >= 0
        first = np.where(known, self.test_from[found], np.iinfo(np.int64).min)
        last = np.where(known, self.test_to[found], NEVER)
        return rows_in_span(panel, first, last)

    def rows_after(self, panel: Panel) -> RowRange:
        """All rows after the fit's training and validation rows; all of series new to it."""
        found = self.identity(panel)
        first = np.where(found >= 0, self.test_from[found], np.iinfo(np.int64).min)
        return rows_in_span(panel, first, np.full(len(panel), NEVER))

    def write(self, run: RunFolder) -> None:
        """`series.parquet` (a row per series), `context.parquet` (the last rows), familiarity."""
        series = {
            "id": list(self.scaling.ids),
            "mean": self.scaling.mean,
            "sd": self.scaling.sd,
            "test_from": self.test_from,
            "test_to": self.test_to,
        }
        run.write_parquet("series.parquet", pd.DataFrame(series))
        if self.familiarity is not None:
            run.write_parquet(FAMILIARITY, self.familiarity.as_table())
        context = self.context.to_frame()
        run.write_parquet(
            "context.parquet", context.to_pandas() if self.context.backend == "polars" else context
        )

    def as_dict(self) -> dict[str, Any]:
        """The rest, for `config.json`."""
        return {
            "location": self.location,
            "mask_inputs": self.mask_inputs,
            "freq": self.context.freq,
            "backend": self.context.backend,
            "notes": list(self.notes),
            "periods": [list(period) for period in self.periods],
        }

    @classmethod
    def read(cls, run: RunFolder, known: dict[str, Any]) -> Memory:
        """The memory that `write` and `as_dict` left."""
        frame = run.read_parquet("context.parquet")
        values = frame["y"].to_numpy(dtype=np.float64)
        frame = frame.assign(y=0.0)
        if known["backend"] == "polars":
            import polars as pl

            native: Any = pl.from_pandas(frame)
        else:
            native = frame
        # A series may have ended long before the others: its context then holds no value at all.
        context = replace(
            Panel.from_frame(native, freq=known["freq"], missing="mask"), values=values
        )
        series = run.read_parquet("series.parquet")
        familiarity = None
        if run.exists(FAMILIARITY):
            familiarity = Familiarity.of_table(run.read_parquet(FAMILIARITY))
        return cls(
            context=context,
            scaling=Scaling(
                tuple(series["id"]), series["mean"].to_numpy(), series["sd"].to_numpy()
            ),
            test_from=series["test_from"].to_numpy(),
            test_to=series["test_to"].to_numpy(),
            location=known["location"],
            mask_inputs=known["mask_inputs"],
            notes=tuple(known["notes"]),
            familiarity=familiarity,
            periods=tuple(Period(*period) for period in known.get("periods", [])),
        )
