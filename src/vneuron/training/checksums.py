"""The SHA-256 of each file of a run, kept such that a kill cannot make a good file look bad."""

import hashlib
import json
from pathlib import Path

from .atomic import write_atomic

__all__ = ["ChecksumError", "read_checksums", "write_checked"]

_FILE = "checksums.json"


class ChecksumError(ValueError):
    """The list of checksums itself is damaged."""


def read_checksums(folder: Path) -> dict[str, list[str]]:
    """By file name, the digests that are valid: of the newest content, and of the one before.

    Raises:
        ChecksumError: the list is damaged.
    """
    path = folder / _FILE
    if not path.exists():
        return {}
    try:
        files = json.loads(path.read_bytes())["sha256"]
        return {str(name): [str(digest) for digest in known] for name, known in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ChecksumError(
            f"{path}: not a list of checksums; delete it to read the run without checking"
        ) from None


def _there(path: Path, known: list[str]) -> list[str]:
    """Of a file's digests, the one that it has: a kill may have left the older content."""
    if len(known) < 2 or not path.exists():
        return known
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return [digest] if digest in known else known


def write_checked(folder: Path, name: str, data: bytes) -> None:
    """Replace a file as a whole and note its digest.

    The two writes cannot be one, so a known file's new digest is noted first, beside the old one;
    a new file is listed only once it is there. A kill in between leaves a valid folder.
    """
    sums = read_checksums(folder)
    known = _there(folder / name, sums.get(name, []))
    sums[name] = [hashlib.sha256(data).hexdigest(), *known[:1]]
    text = json.dumps({"sha256": dict(sorted(sums.items()))}, indent=1, ensure_ascii=False)
    writes = [(folder / name, data), (folder / _FILE, f"{text}\n".encode())]
    for path, content in reversed(writes) if known else writes:
        write_atomic(path, content)
