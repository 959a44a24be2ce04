"""Time that training takes, over resumptions."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """Counts from when it is made, on top of what was counted before.

    Args:
        seconds: wall-clock time before.
        cpu_seconds: processor time before.

    Example:
        >>> wall, cpu = Clock(seconds=60.0, cpu_seconds=50.0).read()
        >>> wall >= 60.0, cpu >= 50.0
        (True, True)
    """

    def __init__(self, seconds: float = 0.0, cpu_seconds: float = 0.0) -> None:
        self._began = time.monotonic() - seconds
        self._began_cpu = time.process_time() - cpu_seconds

    def read(self) -> tuple[float, float]:
        """Wall-clock seconds, and processor seconds of this process over all its threads."""
        return time.monotonic() - self._began, time.process_time() - self._began_cpu
