"""Errors of the forecasts that would have been made since the fit, in scales of their laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..data.errors import DataError
from ..data.rows import Floats, Ints
from ..data.split import RowRange
from ..data.window_index import Listed
from ..data.windows import FlatSeries, WindowBatch, Windows
from ..intervals import array
from ..laws.law import MixtureLaw, StudentLaw
from ..laws.trajectory import AbstractTrajectory

SHORTEST = 8
"""Horizons back of each series; where they are so many that this is too much, of some of them."""

MOST_ORIGINS = 12
"""Forecasts within one horizon; nearer ones miss by the same."""

MOST_ERRORS = 5_000_000
"""Kept at once, 20 bytes each."""

BATCH = 1024

FARTHEST = 1e9
"""Scales; a larger error is taken for this one, whose square single precision still holds."""

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RecentErrors:
    r"""What forecasts missed by, :math:`r = (y - m) / \tau`, ordered by when it was known.

    Attributes:
        stamps: when targets came, ascending, [T] int64 as the panel's times.
        ends: errors up to each stamp, [T + 1]; those of stamp t are `ends[t]` to `ends[t + 1]`.
        series: of each error, position in the panel, ascending within a stamp, [errors].
        forecast: which forecast each is of, [errors].
        residual: r, [errors].
        df: ν of the laws; None is the Gaussian.
        made: when each forecast was made, [forecasts] int64 as the panel's times.
        owner: of which series, [forecasts].
        pace: rows of the longest series for each stamp: 1 where series share their stamps.
    """

    stamps: Ints
    ends: Ints
    series: npt.NDArray[np.int32]
    forecast: npt.NDArray[np.int32]
    residual: Floats32
    df: float | None
    made: Ints
    owner: Ints
    pace: float

    def moved(self, shift: Floats) -> RecentErrors:
        """The errors of forecasts that are moved by so many scales each, [forecasts]."""
        residual = self.residual - shift[self.forecast].astype(np.float32)
        return replace(self, residual=residual)


def recent_errors(
    forecast: Callable[[WindowBatch], AbstractTrajectory],
    flat: FlatSeries,
    rows: RowRange,
    input_size: int,
    horizon: int,
) -> RecentErrors:
    """Forecast from past rows and compare with what came, as far as it has come.

    Forecasts start at equal distances, from the row before the first of `rows` on, 12 within a
    horizon. Where that would be more errors than `MOST_ERRORS` they are fewer, down to one within a
    horizon; then older rows are left out, and last some of the series.

    Args:
        forecast: scaled windows in, scaled laws out.
        flat: the series, scaled, with their times.
        rows: of each series, whose values may be compared.
        input_size: context rows L.
        horizon: H.

    Raises:
        DataError: the series have no times.
        ValueError: laws of counts.
    """
    if flat.times is None:
        raise DataError("the series have no times: forecasts made since the fit cannot be ordered")
    windows = _origins(flat, rows, input_size, horizon)
    made = flat.times[windows.starts + (input_size - 1)].cpu().numpy()
    owner = windows.series.cpu().numpy()
    parts = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))]
    df: float | None = None
    done = 0
    for batch in windows.batches(BATCH):
        path = forecast(batch)
        own = torch.arange(done, done + len(path))
        cutoff = windows.starts[own] + (input_size - 1)
        done += len(path)
        rows_ahead, known = _rows_ahead(flat, batch.series, cutoff, horizon)
        target, times = flat.values[rows_ahead].cpu(), flat.times[rows_ahead].cpu()
        residual, df = standardised(path, target)
        which = own[:, None].expand_as(known)
        parts.append((times[known].numpy(), which[known].numpy(), residual[known.numpy()]))
    when, which_one, missed = (np.concatenate(each) for each in zip(*parts, strict=True))
    who = owner[which_one]
    order = np.lexsort((who, when))
    stamps, counts = np.unique(when, return_counts=True)
    longest = len(np.unique(when[who == np.bincount(who).argmax()])) if len(who) else 1
    return RecentErrors(
        stamps,
        np.concatenate([[0], np.cumsum(counts)]),
        who[order].astype(np.int32),
        which_one[order].astype(np.int32),
        np.clip(missed[order], -FARTHEST, FARTHEST).astype(np.float32),
        df,
        made,
        owner,
        longest / max(len(stamps), 1),
    )


def standardised(path: AbstractTrajectory, target: Tensor) -> tuple[Floats, float | None]:
    """Errors over the scale of a t of the path's standard deviation, [batch, H], and ν.

    Raises:
        ValueError: laws of counts, which have no spread beside their mean.

    Example:
        >>> from vneuron.forecasting.laws.predictive import TrajectoryDistribution
        >>> law = TrajectoryDistribution(torch.zeros(1, 2), torch.full((1, 2), 2.0), None)
        >>> standardised(law, torch.tensor([[1.0, -4.0]]))
        (array([[ 0.5, -2. ]]), None)
    """
    law = path.steps()
    if not isinstance(law, StudentLaw | MixtureLaw):
        raise ValueError(
            "forecasts of counts have no spread beside their mean, which recent errors could "
            "scale: fit with likelihood='student' or 'gaussian' to follow them"
        )
    df = None if law.df is None else float(np.asarray(law.df))
    deviation = 1.0 if df is None else np.sqrt(df / (df - 2.0))
    return (array(target) - law.mean()) * deviation / array(path.sd()), df


def _origins(flat: FlatSeries, rows: RowRange, input_size: int, horizon: int) -> Windows:
    """Contexts alone, from which at least one target has come."""
    lengths = np.diff(flat.offsets)
    stop = np.minimum(rows.stop, lengths)
    first = np.maximum(rows.first - 1, input_size - 1)
    span = np.maximum(stop - 1 - first, 0)
    chosen = np.flatnonzero(span)
    most = max(MOST_ERRORS // (SHORTEST * horizon), 1)
    if len(chosen) > most:
        chosen = chosen[np.linspace(0, len(chosen) - 1, most).round().astype(np.int64)]
    if int(span[chosen].sum()) > MOST_ERRORS:
        span = np.minimum(span, max(MOST_ERRORS // len(chosen), 1))
    within = MOST_ERRORS // max(int(span[chosen].sum()), 1)
    step = -(-horizon // min(max(within, 1), MOST_ORIGINS))
    begin, series = [], []
    for own in chosen:
        skipped = max(int(stop[own] - 1 - first[own] - span[own]), 0)
        origin = np.arange(first[own] + -(-skipped // step) * step, stop[own] - 1, step)
        begin.append(flat.offsets[own] + origin - (input_size - 1))
        series.append(np.full(len(origin), own))
    starts = np.concatenate([*begin, np.zeros(0, np.int64)]).astype(np.int64)
    owner = np.concatenate([*series, np.zeros(0, np.int64)]).astype(np.int64)
    if flat.observed is not None:
        seen = np.concatenate([[0], np.cumsum(flat.observed.cpu().numpy())])
        useful = seen[starts + input_size] > seen[starts]
        starts, owner = starts[useful], owner[useful]
    index = Listed(torch.from_numpy(starts), torch.from_numpy(owner)).to(flat.values.device)
    return Windows(flat, index, input_size, 0)


def _rows_ahead(
    flat: FlatSeries, series: Tensor, cutoff: Tensor, horizon: int
) -> tuple[Tensor, Tensor]:
    """The H flat rows after each cut-off, within its series, and on the host which are known."""
    ends = torch.from_numpy(flat.offsets[1:]).to(cutoff.device)[series][:, None]
    rows = cutoff[:, None] + 1 + torch.arange(horizon, device=cutoff.device)
    known = rows < ends
    rows = torch.minimum(rows, ends - 1)
    if flat.observed is not None:
        known = known & flat.observed[rows]
    return rows, known.cpu()
