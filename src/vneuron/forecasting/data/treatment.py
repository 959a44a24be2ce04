"""From raw rows to regular ones: the policies, and the order in which they act."""

from dataclasses import dataclass

from .frequency import Frequency, check_regular, parse_frequency
from .frequency_guess import guess_frequency
from .missing import refuse_infinities, treat_missing
from .ordering import resolve_duplicates
from .rows import FlatRows

__all__ = ["Treatment"]


@dataclass(frozen=True)
class Treatment:
    """What to do with data that is not as it should be.

    Attributes:
        freq: pandas offset alias, or an integer step; guessed where None.
        missing: absent values and rows: "error", "interpolate" or "mask".
        duplicates: a stamp that a series holds twice: "error", "first", "last" or "mean".
    """

    freq: str | int | None = None
    missing: str = "error"
    duplicates: str = "error"

    def apply(self, rows: FlatRows) -> tuple[FlatRows, Frequency, tuple[str, ...]]:
        """Rows in time order made regular, their frequency, and notes of what was done.

        Raises:
            DataError: infinities, and whatever the policies refuse.
        """
        refuse_infinities(rows)
        rows, resolved = resolve_duplicates(rows, self.duplicates)
        if self.freq is None:
            frequency = guess_frequency(rows)
        else:
            frequency = parse_frequency(self.freq, rows.integer_time, rows.zone)
        ordinals = check_regular(rows, frequency)
        rows, treated = treat_missing(rows, ordinals, frequency, self.missing)
        return rows, frequency, (*resolved, *treated)
