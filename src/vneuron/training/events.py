"""The event log of a run: one JSON object per line, appended, readable while the run goes on."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .plain import plain

__all__ = ["EventWriter", "read_events"]


class EventWriter:
    """Appends events to a file such that a kill loses at most the line being written.

    Each event is one line and one write to the operating system, so nothing waits in this process
    for a flush. A torn last line, left by a kill or a full disk, is cut when the file is opened.

    Args:
        path: the file; it is made if it does not exist. Its folder must exist.
        position: keep only the first so many bytes: what :meth:`position` said when a checkpoint
            was taken. None keeps everything. If the file is shorter (a loss of power), all whole
            lines are kept.

    Raises:
        ValueError: `position` is negative.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "events.jsonl"
        >>> with EventWriter(path) as events:
        ...     events.write("epoch", epoch=1, loss=0.5)
        ...     mark = events.position()
        ...     events.write("epoch", epoch=2, loss=0.4)
        >>> with EventWriter(path, position=mark) as events:  # resume after epoch 1
        ...     events.write("epoch", epoch=2, loss=0.3)
        >>> [(e["epoch"], e["loss"]) for e in read_events(path)]
        [(1, 0.5), (2, 0.3)]
        >>> folder.cleanup()
    """

    def __init__(self, path: Path | str, position: int | None = None) -> None:
        if position is not None and position < 0:
            raise ValueError(
                f"position {position} is negative; expected a byte count: pass what "
                "EventWriter.position() returned"
            )
        self.path = Path(path)
        self._file = self.path.open("ab", buffering=0)
        self._truncate(position)

    def _truncate(self, position: int | None) -> None:
        data = self.path.read_bytes()
        keep = data if position is None else data[:position]
        keep = keep[: keep.rfind(b"\n") + 1]
        if len(keep) < len(data):
            os.truncate(self.path, len(keep))

    def write(self, event: str, **fields: object) -> None:
        """Append one event.

        Args:
            event: what happened: "start", "resume", "epoch", "best", "stop", "interrupted", ...
            fields: the numbers and texts that belong to it. Numpy scalars and one-element tensors
                become numbers; NaN and infinities become null.

        Raises:
            ValueError: a field is not a plain value.
        """
        record = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        line = json.dumps(record | _plain_fields(fields), ensure_ascii=False, allow_nan=False)
        data = f"{line}\n".encode()
        # A raw file may take only a part (a signal, a nearly full disk).
        while data:
            data = data[self._file.write(data) or 0 :]

    def position(self) -> int:
        """Bytes written so far, after making sure that they are on the disk."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file; more writes raise ValueError."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _plain_fields(fields: Mapping[str, object]) -> dict[str, Any]:
    return {name: plain(value, name) for name, value in fields.items()}


def read_events(path: Path | str) -> list[dict[str, Any]]:
    """All events of a log, in order; a torn last line is left out.

    Args:
        path: the file; one that does not exist holds no events.

    Raises:
        ValueError: a line before the last is not a JSON object.
    """
    path = Path(path)
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    events = []
    # What follows the last line feed is empty, or torn.
    for number, line in enumerate(lines[:-1], start=1):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise ValueError(
                f"{path}, line {number}: not a JSON object; the log was edited or damaged: "
                "delete this line"
            )
        events.append(event)
    return events
