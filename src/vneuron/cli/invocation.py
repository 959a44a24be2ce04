"""What a run remembers of how it was started, and where it goes if nobody says."""

from __future__ import annotations

import sys
from pathlib import Path


def command() -> list[str]:
    """The command line, for the run folder."""
    return ["vneuron", *sys.argv[1:]]


def free_folder(data: Path, suffix: str = "") -> Path:
    """runs/NAME, or the first of runs/NAME-2, runs/NAME-3, ... that is not taken."""
    name = (data.name.split(".")[0] or "run") + suffix
    folder, count = Path("runs") / name, 1
    while folder.exists():
        count += 1
        folder = Path("runs") / f"{name}-{count}"
    return folder
