"""Files without a name that hold one array each; processes started from here can map them too."""

from __future__ import annotations

import os
import tempfile
import weakref
from multiprocessing import context, reduction
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["GrowingFile", "MappedFile", "mapped_room", "starting_process"]


class MappedFile:
    """Room for one tensor in a file that has lost its name, in the folder for temporary files.

    Its handle is kept open, so that it can be handed to a process that is being started: that one
    maps the same pages. By torch's own way such a tensor cannot be sent at all, and any other is
    moved to shared memory, which is memory. The disk gets its room back with the last of them.

    Args:
        handle: of the open file, which this object closes.
        rows: how many numbers it holds.
        dtype: of these.
    """

    def __init__(self, handle: int, rows: int, dtype: torch.dtype = torch.float32) -> None:
        self.handle = handle
        self.rows = rows
        self.dtype = dtype
        weakref.finalize(self, os.close, handle)

    @classmethod
    def create(cls, rows: int, dtype: torch.dtype = torch.float32) -> tuple[MappedFile, Tensor]:
        """A new file, and the tensor in it.

        Raises:
            OSError: the disk has no room for it.
        """
        handle, name = tempfile.mkstemp(prefix="vneuron-")
        try:
            file = cls(handle, rows, dtype)
            _make_room(handle, dtype.itemsize * rows)
            return file, torch.from_file(name, shared=True, size=rows, dtype=dtype)
        finally:
            os.unlink(name)

    def tensor(self) -> Tensor:
        """The same pages mapped once more, by the handle, since there is no name to open."""
        path = f"/dev/fd/{self.handle}"
        return torch.from_file(path, shared=True, size=self.rows, dtype=self.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self.handle), self.rows, self.dtype)


def starting_process() -> bool:
    """Whether what is pickled now goes to a process that is being started (spawn, forkserver)."""
    return context.get_spawning_popen() is not None and os.path.isdir("/dev/fd")


def _received(duplicate: Any, rows: int, dtype: torch.dtype) -> MappedFile:
    return MappedFile(duplicate.detach(), rows, dtype)


def _make_room(handle: int, size: int) -> None:
    # else a full disk would show as a crash much later
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(handle, 0, size)


def mapped_room(rows: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Zeros in a file without a name, for this process alone; on disk where memory is short.

    Raises:
        OSError: the disk has no room for them.

    Example:
        >>> mapped_room(3, "int64")
        array([0, 0, 0])
    """
    if not rows:
        return np.empty(0, dtype)
    with _unnamed() as file:
        _make_room(file.fileno(), np.dtype(dtype).itemsize * rows)
        return np.memmap(file, dtype, "r+", shape=(rows,)).view(np.ndarray)


class GrowingFile:
    """An array that is written piece after piece, in a file without a name, and then mapped.

    Args:
        dtype: of its numbers.

    Example:
        >>> file = GrowingFile("float64")
        >>> file.append(np.ones(2)), file.append(np.zeros(1))
        (None, None)
        >>> file.mapped()
        array([1., 1., 0.])
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.rows = 0
        self._file = _unnamed()
        weakref.finalize(self, self._file.close)

    def append(self, piece: npt.NDArray[Any]) -> None:
        """Write a piece behind the others."""
        self._file.write(np.ascontiguousarray(piece, self.dtype).data)
        self.rows += len(piece)

    def mapped(self) -> npt.NDArray[Any]:
        """All of it; nothing can be appended any more."""
        with self._file as file:
            file.flush()
            if not self.rows:
                return np.empty(0, self.dtype)
            return np.memmap(file, self.dtype, "r+", shape=(self.rows,)).view(np.ndarray)


def _unnamed() -> BinaryIO:
    handle, name = tempfile.mkstemp(prefix="vneuron-")
    os.unlink(name)
    return os.fdopen(handle, "w+b")
