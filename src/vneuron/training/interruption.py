"""Ctrl-C as a request to stop at the next good moment, not as an exception in the middle."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from torch import Tensor

__all__ = ["Interruption"]


class Interruption:
    """Within the context, the first SIGINT sets `requested`; a second raises KeyboardInterrupt.

    Outside of the main thread, where Python delivers no signals, it changes nothing.

    Args:
        shared: an integer tensor in shared memory by which one process can ask others too.

    Example:
        >>> with Interruption() as interruption:
        ...     interruption.requested
        False
    """

    def __init__(self, shared: Tensor | None = None) -> None:
        self._shared = shared
        self._signalled = False
        self._before: Any = None

    @property
    def requested(self) -> bool:
        """Whether training should stop."""
        return self._signalled or (self._shared is not None and bool(self._shared))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True
        if self._shared is not None:
            self._shared.fill_(1)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
