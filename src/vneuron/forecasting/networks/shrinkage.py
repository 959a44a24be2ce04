r"""Forecasts drawn back towards the level of their window, where series leave their levels.

.. math:: m \leftarrow d\, m, \qquad d \in [0, 1]

with m in scales of the window, measured from its level. At d = 0 every forecast is centred on the
last value, a random walk's, with the spread and the dependence that were learned. What a network
learns of where drifting series turn is of the years that it saw; of exchange rates a random walk
foretells the next years better than models do (Meese and Rogoff 1983, "Empirical exchange rate
models of the seventies").
"""

from __future__ import annotations

from torch import Tensor

from .forecast_network import Reading
from .pool import Margins


def drawn_to_level(reading: Reading, first: Margins, departure: Tensor) -> Reading:
    """The same reading with a share of its path's departure from the window's level.

    What the units add to the path is drawn in with it. Readers learn from laws of their own, which
    stay as they are.

    Args:
        reading: of a window, whose path may be a pool's.
        first: margins of the first reader, for a reading without a pool to learn from.
        departure: d, a scalar.

    Example:
        >>> import torch
        >>> from vneuron.forecasting.networks.normalisation import WindowScale
        >>> path, one = torch.tensor([[2.0, -4.0]]), torch.ones(1, 2)
        >>> reading = Reading(WindowScale(one[:, :1], one[:, :1]), path, one, None)
        >>> drawn = drawn_to_level(reading, Margins(path, one, None), torch.tensor(0.25))
        >>> drawn.mean_path.tolist(), drawn.heard.item(), len(drawn.readers)
        ([[0.5, -1.0]], 0.25, 1)
    """
    return reading._replace(
        mean_path=departure * reading.mean_path,
        readers=reading.readers or (first,),
        heard=departure if reading.heard is None else departure * reading.heard,
    )
