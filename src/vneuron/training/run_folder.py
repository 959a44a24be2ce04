"""The life of a run on disk: begun, replaced, resumed, and nothing left of one that never began."""

import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import shelf
from .atomic import is_temporary
from .checked_folder import CheckedFolder, RunFolderError
from .events import EventWriter, read_events

__all__ = ["RunFolder", "RunFolderError"]

_ARTEFACTS = (
    "config.json",
    "series.parquet",
    "context.parquet",
    "familiarity.parquet",
    "coupling.npz",
    "widening.npz",
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


class RunFolder(CheckedFolder):
    """The folder of one training run.

    ::

        config.json · series.parquet · context.parquet · events.jsonl · vitals.parquet
        metrics.json · forecasts.parquet · report.html · checksums.json
        familiarity.parquet, coupling.npz, widening.npz (of forecasters)
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
        super().__init__(path)
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

    # -- events ----------------------------------------------------------------------------

    def events(self, position: int | None = None) -> EventWriter:
        """The event log, open for appending; see :class:`.events.EventWriter`."""
        return EventWriter(self.path / "events.jsonl", position)

    def read_events(self) -> list[dict[str, Any]]:
        """All whole events so far. Raises RunFolderError where a line is damaged."""
        try:
            return read_events(self.path / "events.jsonl")
        except ValueError as error:
            raise RunFolderError(str(error)) from None

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


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
