"""Whole files or no files: a write that a crash cannot leave half done."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

__all__ = ["atomic_file", "is_temporary", "write_atomic"]

_INFIX = ".writing-"


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a reader sees the old file or the new one, never a part.

    A temporary file in the same folder is written, flushed to the disk and renamed; then the
    folder itself is flushed, so the rename too survives a loss of power.

    Args:
        path: the file. Its folder must exist.
        data: all of its bytes.

    Raises:
        OSError: the disk is full or the folder is not writable; the old file is then untouched.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> write_atomic(Path(folder.name) / "a.txt", b"whole")
        >>> (Path(folder.name) / "a.txt").read_bytes()
        b'whole'
        >>> folder.cleanup()
    """
    with atomic_file(path) as temporary, temporary.open("xb") as file:
        file.write(data)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A name to write a file under, which becomes `path` at the end if nothing was raised.

    For files that are written piece by piece; what was written of one that fails is removed.

    Args:
        path: the file. Its folder must exist.

    Raises:
        OSError: as `write_atomic`.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> whole = Path(folder.name) / "a.txt"
        >>> with atomic_file(whole) as temporary:
        ...     _ = temporary.write_text("whole")
        ...     whole.exists()
        False
        >>> whole.read_text()
        'whole'
        >>> folder.cleanup()
    """
    # Not tempfile: its files are private (mode 600) and a run is there to be shared.
    temporary = path.with_name(f".{path.name}{_INFIX}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _flush_folder(path.parent)


def is_temporary(path: Path) -> bool:
    """Whether `path` is what a killed write leaves behind."""
    return path.name.startswith(".") and _INFIX in path.name


def _flush_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open a folder, and does not need to
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
