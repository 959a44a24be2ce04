"""Whether a second reader of the window is taken, what it is told, and how far it looks back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import ForecasterConfig, SecondKind

if TYPE_CHECKING:
    from .trial import Reader

REACH, ROWS_PER_REACH = 4, 24
"""See `second_size`."""

SHORTENED, FEWEST = 14, 8
"""See `short_size`."""

MOST_LOST = 0.3
"""Nats per step that a reader of the last rows may lose against the first in a trial, to be worth
training; what it counts for is the share's to say. From 3,000 rows of exchange rates on it loses .2
on validation rows, and half of it takes 4% off the squared error of those that come later, 2% off
the CRPS. Where there is a season that it does not see it loses .8 and more (ILI)."""


def other_kind(first: Reader, *, told_level: bool, longer: bool = False) -> SecondKind:
    """What a second reader beside this one is told.

    One that looks further back differs by that, and is told its window alone.

    A linear reader of the window alone carries over furthest, and takes 2 to 3% off the CRPS of a
    deep one; beside a linear one a deep one that is told the place does (`readers.py`, the
    benchmark). Where series drift out of their levels nothing is told the place, and one that is
    told no more adds nothing to a linear one on exchange rates, unless it reads fewer rows
    (`short_size`).

    Args:
        first: the first reader.
        told_level: whether a network may be told levels.
        longer: whether it looks further back.

    Example:
        >>> from vneuron.forecasting.trial import Reader
        >>> other_kind(Reader("mlp", "full"), told_level=True)
        'window'
        >>> other_kind(Reader("linear", "window"), told_level=True)
        'place'
        >>> other_kind(Reader("linear", "window"), told_level=False)
        'none'
    """
    if longer or first.encoder != "linear":
        return "window"
    if told_level:
        return "place"
    return "none" if first.features == "window" else "window"


def second_size(input_size: int, rows: int) -> int:
    """How far back a second reader looks: four times as far, where there are rows to learn it from.

    At most a 24th of the training rows, and no further than the first where that is not half as
    far again. Beside a first reader of 336 rows one of 1,440 takes 8% (96 steps) and 10% (336) off
    the squared error on later rows of Weather, 31,000 to train on, and .02 and .03 off the NLL,
    where one of 336 rows brings 2% and no NLL; on ETTm1, 23,040 rows, 1 to 2%. On ETTh1, 5,760
    rows, one of 720 rows is worth less than one of 336 at all horizons, and one of 1,080 costs.

    Args:
        input_size: of the first reader.
        rows: of training, of the shortest series.

    Example:
        >>> second_size(336, 36_887), second_size(336, 20_000), second_size(336, 8_640)
        (1344, 833, 336)
    """
    reach = min(REACH * input_size, rows // ROWS_PER_REACH)
    return reach if 2 * reach >= 3 * input_size else input_size


def short_size(input_size: int) -> int:
    """The rows of a second reader where levels drift: a fourteenth of the first's, at least 8.

    A series that wanders tells of its future by its last rows, and a linear map of many rows learns
    swings that do not come back. On later rows of exchange rates, from 3,800 rows on, half a reader
    of 24 rows beside one of 336 takes 12% off the squared error, 5% off the CRPS and .07 off the
    NLL, and as much with 12 rows; validation gives it a quarter (7%, 3%, .05).

    Args:
        input_size: of the first reader.

    Example:
        >>> short_size(336), short_size(96)
        (24, 8)
    """
    return max(input_size // SHORTENED, FEWEST)


def first_second(config: ForecasterConfig) -> SecondKind:
    """The second reader where no trial is held: none, if that is open."""
    return "none" if config.second == "auto" else config.second
