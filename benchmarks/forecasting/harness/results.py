"""Result files: one row and one table of windows per run, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import vneuron

ROWS, WINDOWS, SHOWN = "row.parquet", "windows.parquet", "shown.parquet"


@dataclass(frozen=True)
class RunKey:
    """What makes a run another run.

    Attributes:
        data: name of the data set.
        protocol: "A" or "B".
        horizon: H.
        model: its name.
        seed: of weights, batches and draws.
        options: everything else that was asked for.
    """

    data: str
    protocol: str
    horizon: int
    model: str
    seed: int
    options: Mapping[str, Any]

    @property
    def stem(self) -> str:
        """Unique among runs, and readable."""
        place = f"{self.data}-{self.protocol}-{self.horizon}"
        return f"{place}/{self.model}-{digest(self.options)}-{self.seed}"

    def row(self) -> dict[str, Any]:
        """As columns; options as JSON."""
        return {**asdict(self), "options": canonical(self.options)}


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def digest(value: object, length: int = 8) -> str:
    """Of anything that JSON takes.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def source_digest() -> str:
    """Of the library's sources: rows of different digests are by different programs."""
    root = Path(vneuron.__file__).parent
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


class Results:
    """The files below a folder.

    Args:
        folder: its `rows` hold what `row` and `windows` write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "rows"

    def has(self, key: RunKey) -> bool:
        return self.path(key, ROWS).exists()

    def path(self, key: RunKey, ending: str) -> Path:
        return self.folder / f"{key.stem}.{ending}"

    def write(
        self,
        key: RunKey,
        row: Mapping[str, Any],
        windows: pd.DataFrame,
        shown: pd.DataFrame | None = None,
    ) -> None:
        """The row last: where it is, the run is whole."""
        if shown is not None:
            write_parquet(self.path(key, SHOWN), shown)
        write_parquet(self.path(key, WINDOWS), windows)
        write_parquet(self.path(key, ROWS), pd.DataFrame([{**key.row(), **row}]))

    def read(self, key: RunKey) -> dict[str, Any]:
        return pd.read_parquet(self.path(key, ROWS)).iloc[0].to_dict()

    def all(self) -> pd.DataFrame:
        """Every row that is there, with `file` to find its windows by."""
        found = []
        for path in sorted(self.folder.glob(f"*/*.{ROWS}")):
            stem = str(path.relative_to(self.folder)).removesuffix(f".{ROWS}")
            found.append(pd.read_parquet(path).assign(file=stem))
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()

    def windows(self, stem: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{stem}.{WINDOWS}")

    def shown(self, stem: str) -> pd.DataFrame | None:
        path = self.folder / f"{stem}.{SHOWN}"
        return pd.read_parquet(path) if path.exists() else None


RUN = ["data", "protocol", "horizon", "model", "seed", "options"]


def keep_rows(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """One file of all runs' rows: these, and those that it held of other runs.

    Args:
        path: the file, which need not be there yet.
        rows: as `Results.all` gives them.

    Returns:
        What it now holds.
    """
    rows = rows.drop(columns="file", errors="ignore")
    both = pd.concat([pd.read_parquet(path), rows]) if path.exists() else rows
    found = both.drop_duplicates(RUN, keep="last").sort_values(RUN, ignore_index=True)
    write_parquet(path, found)
    return found


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """A temporary file, flushed to the disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    frame.to_parquet(unfinished, index=False, compression="zstd")
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
