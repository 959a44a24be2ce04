"""A folder of whole files, each checked against its SHA-256 as it is read."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .atomic import write_atomic
from .checksums import ChecksumError, read_checksums, write_checked
from .plain import plain

__all__ = ["CheckedFolder", "RunFolderError"]


class RunFolderError(ValueError):
    """A run folder is missing, damaged, or in the way. One line: the file, and the cure."""


class CheckedFolder:
    """Files that are replaced as wholes, and checked as they are read.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    # -- writing ---------------------------------------------------------------------------

    def write_bytes(self, name: str, data: bytes, *, checksum: bool = True) -> None:
        """Replace the file `name` as a whole.

        Args:
            name: a path inside the folder, such as "metrics.json".
            data: all of its bytes.
            checksum: note its SHA-256, for files that cannot be made again.

        Raises:
            RunFolderError: `name` leads out of the folder.
            OSError: the disk is full or the folder is not writable.
        """
        path = self._inside(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if checksum:
            write_checked(self.path, name, data)
        else:
            write_atomic(path, data)

    def write_json(self, name: str, value: object, *, checksum: bool = True) -> None:
        """Replace a JSON file. NaN and infinities become null, arrays lists (:func:`.plain`)."""
        text = json.dumps(plain(value, name), indent=1, ensure_ascii=False, allow_nan=False)
        self.write_bytes(name, f"{text}\n".encode(), checksum=checksum)

    def write_parquet(self, name: str, frame: pd.DataFrame) -> None:
        """Replace a Parquet file by a frame, without its index."""
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        self.write_bytes(name, buffer.getvalue())

    def write_arrays(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace an .npz file by arrays of numbers."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        self.write_bytes(name, buffer.getvalue())

    # -- reading ---------------------------------------------------------------------------

    def read_bytes(self, name: str) -> bytes:
        """A file's bytes, checked against its checksum if it has one.

        Raises:
            RunFolderError: the file is missing, or is not what was written.
        """
        path = self._inside(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise RunFolderError(f"{path}: missing; {_cure(name)}") from None
        # After the data: a writer lists the new digest first, and keeps the one before it.
        accepted = self._checksums().get(name)
        if accepted is not None and hashlib.sha256(data).hexdigest() not in accepted:
            raise RunFolderError(
                f"{path}: changed since it was written (its SHA-256 is not the one in "
                f"checksums.json); {_cure(name)}"
            )
        return data

    def read_json(self, name: str) -> Any:
        """A JSON file's value. Raises RunFolderError as :meth:`read_bytes`, or if not JSON."""
        data = self.read_bytes(name)
        try:
            return json.loads(data)
        except ValueError as error:
            raise RunFolderError(f"{self.path / name}: not JSON ({error}); {_cure(name)}") from None

    def read_parquet(self, name: str) -> pd.DataFrame:
        """A Parquet file's frame. Raises as :meth:`read_bytes`, or if it is not Parquet."""
        data = self.read_bytes(name)
        try:
            return pd.read_parquet(io.BytesIO(data))
        except (ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise RunFolderError(
                f"{self.path / name}: not Parquet ({reason}); {_cure(name)}"
            ) from None

    def read_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """An .npz file's arrays. Raises as :meth:`read_bytes`, or if it holds anything else."""
        data = self.read_bytes(name)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise RunFolderError(
                f"{self.path / name}: not arrays ({error}); {_cure(name)}"
            ) from None

    def exists(self, name: str) -> bool:
        """Whether the run holds the file `name`."""
        return self._inside(name).is_file()

    def verify(self) -> None:
        """Check each file that has a checksum.

        Raises:
            RunFolderError: the first file that is missing or changed.
        """
        for name in sorted(self._checksums()):
            self.read_bytes(name)

    # -- private ---------------------------------------------------------------------------

    def _inside(self, name: str) -> Path:
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts:
            raise RunFolderError(
                f"{name!r} is not a path inside the run; expected one such as 'metrics.json': "
                "use a relative path"
            )
        return self.path / name

    def _checksums(self) -> dict[str, list[str]]:
        try:
            return read_checksums(self.path)
        except ChecksumError as error:
            raise RunFolderError(str(error)) from None


def _cure(name: str) -> str:
    if name.startswith("checkpoints/"):
        return "use another checkpoint of this run, or train again"
    if name in ("metrics.json", "forecasts.parquet"):
        return "run `vneuron evaluate` on the run again, or restore the file from a copy"
    return "restore the file from a copy, or train again"
