"""How a person sees a search go on: best so far, and time left; all on standard error."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["SearchProgress", "duration"]


class SearchProgress:
    """A bar on a terminal, a line per trial elsewhere, nothing if quiet.

    Args:
        quiet: say nothing.
        trials: planned; None if time alone is.
        seconds: planned; None if trials alone are.
        quality: name of the first objective.
        stream: where to; None is standard error.
    """

    def __init__(
        self,
        quiet: bool,
        trials: int | None,
        seconds: float | None,
        quality: str,
        stream: TextIO | None = None,
    ) -> None:
        self.trials = trials
        self.seconds = seconds
        self.quality = quality
        self._began = time.monotonic()
        self._first: int | None = None
        self._shown = -1
        self._quiet = quiet
        self._stream = sys.stderr if stream is None else stream
        self._bar: Progress | None = None
        if not quiet and self._stream.isatty():
            self._bar = Progress(
                TextColumn("search"),
                BarColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=Console(file=self._stream),
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0)

    def update(self, complete: int, pruned: int, best: float | None) -> None:
        """So many trials are complete and stopped early, and the best quality so far."""
        done = complete + pruned
        self._first = done if self._first is None else self._first
        text = self._text(done, pruned, best)
        if self._bar is not None:
            self._bar.update(self._task, description=text, completed=self._share(done))
        elif not self._quiet and done != self._shown:
            print(f"search  {text}", file=self._stream, flush=True)
        self._shown = done

    def close(self) -> None:
        """The search is over."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _text(self, done: int, pruned: int, best: float | None) -> str:
        of = "" if self.trials is None else f"/{self.trials}"
        found = "–" if best is None else f"{best:.4f}"
        left = self._left(done)
        rest = "" if left is None else f"  {duration(left)} left"
        return f"{done}{of} trials ({pruned} stopped early)  best {self.quality} {found}{rest}"

    def _left(self, done: int) -> float | None:
        gone = time.monotonic() - self._began
        by_time = None if self.seconds is None else max(self.seconds - gone, 0.0)
        own = done - (self._first or 0)
        if self.trials is None or own == 0:
            return by_time
        by_trials = gone / own * max(self.trials - done, 0)
        return by_trials if by_time is None else min(by_time, by_trials)

    def _share(self, done: int) -> float:
        gone = time.monotonic() - self._began
        shares = [done / self.trials] if self.trials else []
        shares += [gone / self.seconds] if self.seconds else []
        return min(max(shares, default=0.0), 1.0)


def duration(seconds: float) -> str:
    """A time for people.

    Example:
        >>> duration(75.2), duration(9.0), duration(7300)
        ('1 min 15 s', '9 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
