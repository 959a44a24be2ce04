"""Where a run waits until the run that is to replace it has its first checkpoint."""

import shutil
from collections.abc import Iterable
from pathlib import Path

__all__ = ["drop", "finish_moving", "has_shelf", "put_away", "put_back"]

_WHOLE = ".previous-run"
# Entries are moved one by one, so a kill can come between; under this name the shelf is not yet,
# or no longer, all that there was, and what lies outside of it belongs to it too.
_MOVING = ".previous-run-moving"


def has_shelf(folder: Path) -> bool:
    """Whether `folder` holds a run that was put away as a whole."""
    return (folder / _WHOLE).is_dir()


def put_away(folder: Path, names: Iterable[str]) -> None:
    """Move the named entries of `folder` out of the way; a kill in between is undone later."""
    found = [name for name in names if (folder / name).exists()]
    if not found:
        return
    moving = folder / _MOVING
    moving.mkdir()
    for name in found:
        (folder / name).rename(moving / name)
    moving.rename(folder / _WHOLE)


def put_back(folder: Path) -> None:
    """Bring back what was put away, or finish doing so. What is in its place must be gone."""
    moving = folder / _MOVING
    if has_shelf(folder):
        (folder / _WHOLE).rename(moving)
    if moving.is_dir():
        for path in moving.iterdir():
            path.rename(folder / path.name)
        moving.rmdir()


def finish_moving(folder: Path) -> None:
    """Undo a move that a kill interrupted; a run put away as a whole stays where it is."""
    if (folder / _MOVING).is_dir():
        put_back(folder)


def drop(folder: Path) -> None:
    """Delete what was put away."""
    if has_shelf(folder):
        shutil.rmtree(folder / _WHOLE)
