"""The second reader of a trajectory network's windows, and how both readers learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..data.place import Place
from ..laws.predictive import TrajectoryDistribution
from .forecast_network import Reading
from .normalisation import WindowScale
from .pool import Margins, pool

if TYPE_CHECKING:
    from .network import TrajectoryNetwork


def shares(second: Tensor) -> Tensor:
    """Of the first reader and of the second, [2].

    Example:
        >>> shares(torch.tensor(0.25)).tolist()
        [0.75, 0.25]
    """
    return torch.stack([1.0 - second, second])


def margins_of(
    second: TrajectoryNetwork,
    input_size: int,
    window: WindowScale,
    context: Tensor,
    observed: Tensor | None,
    place: Place | None,
) -> Margins:
    """What the second reader says of single steps, in scales of the first reader's windows.

    Args:
        second: the reader.
        input_size: rows that the first reader reads; windows of another length have another
            location and scale.
        window: location and scale of the first reader's windows.
        context: at least as many rows as it reads, [batch, rows].
        observed: mask of the same shape, None where all is observed.
        place: where each window stands.
    """
    reading = second.read(context, observed, place)
    own, path, spread = reading.window, reading.mean_path, reading.spread
    if second.input_size != input_size:
        path = (own.location + own.scale * path - window.location) / window.scale
        spread = spread * (own.scale / window.scale)
    return Margins(path, spread, second.df())


def read_by_both(reading: Reading, first: Margins, second: Margins, share: Tensor) -> Reading:
    """A reading by the first reader alone, pooled with the second's.

    Args:
        reading: of the first.
        first: its margins.
        second: those of the other reader.
        share: what that one counts for, a scalar.
    """
    both, weight = pool((first, second), shares(share))
    return reading._replace(
        mean_path=both.mean_path,
        spread=both.spread,
        readers=(first, second),
        heard=weight[0],
    )


def laws_apart(
    readers: tuple[Margins, ...], window: WindowScale, shift: Tensor | None
) -> tuple[TrajectoryDistribution, ...]:
    """What each reader says of single steps by itself, which is what it learns from.

    Args:
        readers: in scales of the window, the one whose features the units read first.
        window: location and scale of each window.
        shift: Rµ, what the units add to the first reader's path, [batch, H]; None without units.
    """

    def law(reader: Margins) -> TrajectoryDistribution:
        loc = window.location + window.scale * reader.mean_path
        return TrajectoryDistribution(loc, window.scale * reader.spread, reader.df)

    if readers and shift is not None:
        first, *others = readers
        readers = (first._replace(mean_path=first.mean_path + shift), *others)
    return tuple(law(reader) for reader in readers)


def check_second(second: TrajectoryNetwork | None, horizon: int, *, heavy_tails: bool) -> None:
    """Refuse a second reader that does more than read, or forecasts something else.

    Raises:
        ValueError: saying what is wrong with it.

    Example:
        >>> check_second(None, 6, heavy_tails=True)
    """
    if second is None:
        return
    if second.units is not None or second.loading is not None or second.second is not None:
        raise ValueError(
            "second has units, columns or a second reader of its own, expected a network that "
            "reads windows alone: TrajectoryNetwork(input_size, horizon)."
        )
    found, expected = (second.horizon, second.raw_df is not None), (horizon, heavy_tails)
    if found != expected:
        raise ValueError(
            f"second has (horizon, heavy tails) {found}, expected {expected}: build both networks "
            "with the same."
        )
