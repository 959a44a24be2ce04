"""Sample paths of many series in one Parquet file, written as they are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..training.atomic import atomic_file
from .data.frame import Panel
from .data.rows import Floats, Ints
from .frames import sampled
from .model import FittedModel


def write_samples(model: FittedModel, panel: Panel, draws: int, seed: int, to: Path) -> int:
    """The frame of `frames.samples` as a file, in memory that does not grow with the series.

    The file appears when it is whole. Stamps and numbers of paths are stored as differences, ids
    by reference, so that it holds little more than the values: 8 bytes each.

    Args:
        model: fitted.
        panel: contexts.
        draws: paths per series.
        seed: of the draws.
        to: a Parquet file; its folder must exist.

    Returns:
        Rows written.

    Raises:
        ValueError: the name does not end in .parquet, its folder is not there, or fewer than one
            draw.
    """
    import pyarrow.parquet as pq  # a tenth of a second, and only needed here

    if to.suffix != ".parquet":
        raise ValueError(f"to is {str(to)!r}, expected the name of a .parquet file")
    if not to.parent.is_dir():
        raise ValueError(f"to is {str(to)!r}, and there is no folder {str(to.parent)!r}: make it")
    times = panel.future_times(model.config.horizon)
    rows = 0
    with atomic_file(to) as temporary:
        writer = None
        try:
            for forecast, y in sampled(model, panel, draws, seed):
                table = _table(panel, forecast.series, times, y)
                if writer is None:
                    writer = pq.ParquetWriter(temporary, table.schema, **_LAYOUT)
                writer.write_table(table, row_group_size=len(table))
                rows += len(table)
        finally:
            if writer is not None:
                writer.close()
    return rows


_LAYOUT: dict[str, Any] = {
    "use_dictionary": ["unique_id"],
    "column_encoding": {"ds": "DELTA_BINARY_PACKED", "path": "DELTA_BINARY_PACKED"},
    # noise does not compress
    "compression": {"unique_id": "snappy", "ds": "snappy", "path": "snappy", "y": "none"},
    "write_statistics": ["unique_id"],
}


def _table(panel: Panel, series: Ints, times: Any, y: Floats) -> Any:
    """Rows in the order series, path, step, for y [batch, draws, H]."""
    import pyarrow as pa

    batch, draws, horizon = y.shape
    once = panel.to_native(np.repeat(series, horizon), times[series].reshape(-1), {})
    plain = once.to_arrow() if hasattr(once, "to_arrow") else pa.Table.from_pandas(once)
    step = np.arange(batch * horizon, dtype=np.int32).reshape(batch, 1, horizon)
    rows = pa.array(np.broadcast_to(step, y.shape).reshape(-1))
    path = np.arange(draws)[:, None]
    columns = {
        "unique_id": plain["unique_id"].combine_chunks().dictionary_encode().take(rows),
        "ds": plain["ds"].combine_chunks().take(rows),
        "path": pa.array(np.broadcast_to(path, y.shape).reshape(-1)),
        "y": pa.array(y.reshape(-1)),
    }
    return pa.table(columns)
