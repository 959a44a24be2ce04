"""A run on disk: whole files only, with checksums, and nothing left of a run that never began."""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import shelf
from .atomic import is_temporary, write_atomic
from .checksums import ChecksumError, read_checksums, write_checked
from .events import EventWriter, read_events
from .plain import plain

__all__ = ["RunFolder", "RunFolderError"]

_ARTEFACTS = (
    "config.json",
    "series.parquet",
    "context.parquet",
    "familiarity.parquet",
    "coupling.npz",
    "events.jsonl",
    "vitals.parquet",
    "metrics.json",
    "forecasts.parquet",
    "codes.npz",
    "portrait.npz",
    "report.html",
    "checksums.json",
    "checkpoints",
)


class RunFolderError(ValueError):
    """A run folder is missing, damaged, or in the way. One line: the file, and the cure."""


class RunFolder:
    """The folder of one training run.

    ::

        config.json · series.parquet · context.parquet · events.jsonl · vitals.parquet
        metrics.json · forecasts.parquet · report.html · checksums.json
        familiarity.parquet, coupling.npz (of forecasters)
        codes.npz · portrait.npz (of image models)
        checkpoints/*.safetensors (+ a readable .json each)

    Each file but the event log is replaced as a whole (:func:`.atomic.write_atomic`).
    `checksums.json` holds the SHA-256 of each file except the event log, which grows, and the
    report, which can be made again at any time; each read through this class checks it. Reading
    never runs code from a file.

    Used as a context manager, a run that fails before its first checkpoint leaves nothing behind,
    and a run that it was to replace comes back.

    Example:
        >>> import tempfile
        >>> place = tempfile.TemporaryDirectory()
        >>> with RunFolder.create(Path(place.name) / "run") as run:
        ...     run.write_json("config.json", {"vneuron": "0.1.0", "seed": 0})
        ...     with run.events() as events:
        ...         events.write("start")
        >>> run = RunFolder.open(Path(place.name) / "run")
        >>> run.read_json("config.json")["seed"]
        0
        >>> run.verify()
        >>> place.cleanup()
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._made: list[Path] = []

    @classmethod
    def create(cls, path: Path | str, *, overwrite: bool = False) -> Self:
        """Make a folder for a new run.

        An empty folder, or a run that was stopped before its first checkpoint, is taken as it is.

        Args:
            path: the folder; its parents are made too.
            overwrite: take a folder that holds something else. An earlier run there is replaced
                once the new one has its first checkpoint; other files are left alone.

        Raises:
            RunFolderError: the folder holds an earlier run or other files and `overwrite` is
                False; it is not a run and holds files of a run's names; or the path is a file.
        """
        run = cls(path)
        if run.path.exists() and not run.path.is_dir():
            raise RunFolderError(f"{run.path} is a file; expected a folder: choose another path")
        if run.path.is_dir():
            run._recover()
            run._refuse_occupied(overwrite)
            shelf.put_away(run.path, _ARTEFACTS)
        missing = [p for p in (run.path, *run.path.parents) if not p.exists()]
        run.path.mkdir(parents=True, exist_ok=True)
        run._made = missing
        (run.path / "checkpoints").mkdir(exist_ok=True)
        return run

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a run to read it or to go on with it; nothing is changed.

        Raises:
            RunFolderError: there is no such folder, or it is not a run.
        """
        run = cls(path)
        if not run.path.is_dir():
            raise RunFolderError(f"{run.path}: no such folder; expected a run: check the path")
        if not run.is_run:
            raise RunFolderError(
                f"{run.path}: not a run, since it has no config.json of vneuron; pass the folder "
                "that `vneuron fit --out` or `fit(run_dir=...)` wrote"
            )
        return run

    @property
    def is_run(self) -> bool:
        """Whether the folder holds a run's configuration."""
        try:
            config = json.loads((self.path / "config.json").read_bytes())
        except (OSError, ValueError):  # damaged: say so when it is read, not that this is no run
            return "config.json" in self._checksums()
        return isinstance(config, dict) and "vneuron" in config

    @property
    def has_checkpoint(self) -> bool:
        """Whether a checkpoint has been written: from then on the run is worth keeping."""
        return any((self.path / "checkpoints").glob("*.safetensors"))

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

    def events(self, position: int | None = None) -> EventWriter:
        """The event log, open for appending; see :class:`.events.EventWriter`."""
        return EventWriter(self.path / "events.jsonl", position)

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

    def read_events(self) -> list[dict[str, Any]]:
        """All whole events so far. Raises RunFolderError where a line is damaged."""
        try:
            return read_events(self.path / "events.jsonl")
        except ValueError as error:
            raise RunFolderError(str(error)) from None

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

    # -- the life of a run -----------------------------------------------------------------

    def keep(self) -> None:
        """The run has its first checkpoint: whatever it replaces goes for good."""
        self._made = []
        shelf.drop(self.path)

    def sweep(self) -> None:
        """Remove temporary files that a killed process left; for when a run is resumed."""
        for path in [*self.path.glob(".*"), *(self.path / "checkpoints").glob(".*")]:
            if path.is_file() and is_temporary(path):
                path.unlink()

    def discard(self) -> None:
        """Remove what this run wrote and bring back what it was to replace."""
        for name in _ARTEFACTS:
            _remove(self.path / name)
        self.sweep()
        shelf.put_back(self.path)
        for folder in self._made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        self._made = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not self.has_checkpoint:
            self.discard()

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

    def _recover(self) -> None:
        """After a kill before the first checkpoint: as if that run had not been started."""
        shelf.finish_moving(self.path)
        if shelf.has_shelf(self.path):
            if self.has_checkpoint:
                self.keep()
            else:
                self.discard()
        elif self.is_run and not self._is_worth_keeping():
            self.discard()

    def _is_worth_keeping(self) -> bool:
        # Checkpoints may have been deleted since, to save space: results are worth as much.
        results = any(self.exists(name) for name in ("metrics.json", "forecasts.parquet"))
        listed = any(name.startswith("checkpoints/") for name in self._checksums())
        return self.has_checkpoint or results or listed

    def _refuse_occupied(self, overwrite: bool) -> None:
        others = sorted(p.name for p in self.path.iterdir())
        if self.is_run:
            if not overwrite:
                raise RunFolderError(
                    f"{self.path}: holds an earlier run; choose another folder, resume it, or "
                    "pass overwrite=True to replace it"
                )
        elif clash := [name for name in others if name in _ARTEFACTS]:
            raise RunFolderError(
                f"{self.path}: not a run, and its {clash[0]!r} has the name of a run's file; "
                "choose another folder"
            )
        elif others and not overwrite:
            raise RunFolderError(
                f"{self.path}: not empty (it holds {others[0]!r}) and not a run; choose an empty "
                "folder, or pass overwrite=True to write beside what is there"
            )


def _cure(name: str) -> str:
    if name.startswith("checkpoints/"):
        return "use another checkpoint of this run, or train again"
    if name in ("metrics.json", "forecasts.parquet"):
        return "run `vneuron evaluate` on the run again, or restore the file from a copy"
    return "restore the file from a copy, or train again"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
