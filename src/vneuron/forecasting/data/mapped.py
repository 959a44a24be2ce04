"""A file without a name that holds one tensor, and that processes started from here map too."""

from __future__ import annotations

import os
import tempfile
import weakref
from multiprocessing import context, reduction
from typing import Any

import torch
from torch import Tensor

__all__ = ["MappedFile", "starting_process"]


class MappedFile:
    """Room for float32 in a file that has lost its name, in the folder for temporary files.

    Its handle is kept open, so that it can be handed to a process that is being started: that one
    maps the same pages. By torch's own way such a tensor cannot be sent at all, and any other is
    moved to shared memory, which is memory. The disk gets its room back with the last of them.

    Args:
        handle: of the open file, which this object closes.
        rows: how many float32 it holds.
    """

    def __init__(self, handle: int, rows: int) -> None:
        self.handle = handle
        self.rows = rows
        weakref.finalize(self, os.close, handle)

    @classmethod
    def create(cls, rows: int) -> tuple[MappedFile, Tensor]:
        """A new file, and the tensor in it.

        Raises:
            OSError: the disk has no room for it.
        """
        handle, name = tempfile.mkstemp(prefix="vneuron-", suffix=".f32")
        try:
            file = cls(handle, rows)
            if hasattr(os, "posix_fallocate"):  # else a full disk would show as a crash much later
                os.posix_fallocate(handle, 0, 4 * rows)
            return file, torch.from_file(name, shared=True, size=rows, dtype=torch.float32)
        finally:
            os.unlink(name)

    def tensor(self) -> Tensor:
        """The same pages mapped once more, by the handle, since there is no name to open."""
        path = f"/dev/fd/{self.handle}"
        return torch.from_file(path, shared=True, size=self.rows, dtype=torch.float32)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self.handle), self.rows)


def starting_process() -> bool:
    """Whether what is pickled now goes to a process that is being started (spawn, forkserver)."""
    return context.get_spawning_popen() is not None and os.path.isdir("/dev/fd")


def _received(duplicate: Any, rows: int) -> MappedFile:
    return MappedFile(duplicate.detach(), rows)
