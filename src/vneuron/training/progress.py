"""How a person at the terminal sees training go on; all of it on standard error."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .record import EpochRecord

__all__ = ["AbstractProgress", "BarProgress", "LineProgress", "SilentProgress", "choose_progress"]


class AbstractProgress(ABC):
    """What the loop tells about itself while it runs."""

    @abstractmethod
    def start(self, model: str, epochs: int, steps: int, done: int) -> None:
        """Training begins: of `epochs` of `steps` steps each, `done` were done before."""

    @abstractmethod
    def advance(self, epoch: int, step: int, numbers: Mapping[str, float | None]) -> None:
        """So many steps are done, and what they show: loss, kl, alive."""

    @abstractmethod
    def epoch(self, record: EpochRecord, score: str) -> None:
        """An epoch is done; `score` is the name of the score that chooses the best."""

    @abstractmethod
    def close(self, message: str = "") -> None:
        """Training is over; `message` is for the person."""


def choose_progress(quiet: bool, stream: TextIO | None = None) -> AbstractProgress:
    """Nothing if quiet, a bar on a terminal, and otherwise a line for each epoch."""
    stream = sys.stderr if stream is None else stream
    if quiet:
        return SilentProgress()
    return BarProgress(Console(file=stream)) if stream.isatty() else LineProgress(stream)


class SilentProgress(AbstractProgress):
    """Says nothing."""

    def start(self, model: str, epochs: int, steps: int, done: int) -> None:
        """Nothing."""

    def advance(self, epoch: int, step: int, numbers: Mapping[str, float | None]) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord, score: str) -> None:
        """Nothing."""

    def close(self, message: str = "") -> None:
        """Nothing."""


class LineProgress(AbstractProgress):
    """A short line for each epoch, for log files and pipes.

    Example:
        >>> progress = LineProgress(sys.stdout)
        >>> progress.start("EVE", epochs=8, steps=50, done=0)
        >>> record = EpochRecord("EVE", 1, 50, 2.0, 1.5, 0.5, 1.0, {"val_nll": 1.2}, True, 3.0)
        >>> progress.epoch(record, "val_nll")
        EVE 1/8  loss 2.000  KL 0.500  alive 100%  val_nll 1.200 *  3s
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._epochs = 0

    def start(self, model: str, epochs: int, steps: int, done: int) -> None:
        """Remember the number of epochs."""
        self._epochs = epochs

    def advance(self, epoch: int, step: int, numbers: Mapping[str, float | None]) -> None:
        """Nothing: a line for each epoch is enough."""

    def epoch(self, record: EpochRecord, score: str) -> None:
        """One line; a star marks the best so far."""
        numbers = {"loss": record.loss, "kl": record.kl, "alive": record.alive}
        star = " *" if record.best else ""
        self._say(
            f"{record.model} {record.epoch}/{self._epochs}  {_text(numbers)}  "
            f"{score} {_number(record.scores[score])}{star}  {record.seconds:.0f}s"
        )

    def close(self, message: str = "") -> None:
        """The message."""
        if message:
            self._say(message)

    def _say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class BarProgress(AbstractProgress):
    """A bar over all steps of the run, with the time that is left.

    It is drawn when it is told something, by no thread of its own: a thread would take turns with
    the training loop on Python's lock.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}  {task.fields[score]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            transient=False,
            expand=True,
            # Both would replace sys.stdout and sys.stderr while the bar lives.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task: TaskID | None = None
        self._model = ""
        self._epochs = 0

    def start(self, model: str, epochs: int, steps: int, done: int) -> None:
        """Show the bar."""
        self._model, self._epochs = model, epochs
        self._task = self._bar.add_task(
            model, total=epochs * steps, completed=done, numbers="", score=""
        )
        self._bar.start()

    def advance(self, epoch: int, step: int, numbers: Mapping[str, float | None]) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.update(
                self._task,
                completed=step,
                description=f"{self._model} {epoch}/{self._epochs}",
                numbers=_text(numbers),
                refresh=True,
            )

    def epoch(self, record: EpochRecord, score: str) -> None:
        """Show the score beside the bar."""
        if self._task is not None:
            text = f"{score} {_number(record.scores[score])}{' *' if record.best else ''}"
            self._bar.update(self._task, completed=record.step, score=text, refresh=True)

    def close(self, message: str = "") -> None:
        """Leave the bar as it is and say the message below it."""
        self._bar.stop()
        if message:
            self._console.print(message, highlight=False, markup=False)


def _text(numbers: Mapping[str, float | None]) -> str:
    """Loss, KL and alive share, as far as there are."""
    parts = []
    for name, label in (("loss", "loss"), ("kl", "KL")):
        value = numbers.get(name)
        if value is not None:
            parts.append(f"{label} {_number(value)}")
    share = numbers.get("alive")
    if share is not None:
        parts.append(f"alive {share:.0%}")
    return "  ".join(parts)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1e4 else f"{value:.3g}"
