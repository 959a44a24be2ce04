"""The rows of a study: one file a run, so that it can be stopped anywhere, and a table of all."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import torch

from vneuron.training.plain import plain

Row = dict[str, Any]
UNFINISHED = 3
"""Exit code of a study that stopped at --seconds with runs left."""


def parser(purpose: str | None, seeds: int = 3) -> argparse.ArgumentParser:
    """Options that every study has."""
    found = argparse.ArgumentParser(
        description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("data", type=Path, metavar="DATA_FOLDER", help="holds the files, anywhere")
    found.add_argument("--out", type=Path, default=Path("runs/claims"))
    found.add_argument("--seeds", type=int, nargs="+", default=list(range(seeds)))
    found.add_argument("--networks", nargs="+", default=["reference", "trajectory"])
    found.add_argument("--sets", nargs="+", help="data sets; all of the study's without it")
    found.add_argument(
        "--seconds", type=float, help="stop after so much processor time; run again to go on"
    )
    return found


class Study:
    """A study's rows under one folder.

    Args:
        name: of the study.
        out: the folder of all studies.
        seconds: processor time after which no further run is begun.
    """

    def __init__(self, name: str, out: Path, seconds: float | None = None) -> None:
        torch.set_num_threads(1)
        self.name = name
        self.folder = out / name
        self.table = out / f"{name}.parquet"
        self.seconds = seconds
        self.left = 0

    def run(self, key: str, compute: Callable[[], Row]) -> None:
        """Compute a row unless its file is there; count it as left over where time is up."""
        path = self.folder / f"{quote(key, safe=' ')}.json"
        if path.exists():
            return
        if self.seconds is not None and time.process_time() > self.seconds:
            self.left += 1
            return
        row = plain({"key": key, **compute()})
        self.folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(row))
        os.replace(part, path)
        shown = {k: row[k] for k in ("mse", "joint_nll", "accuracy", "cpu_seconds") if k in row}
        print(key, {k: round(v, 4) for k, v in shown.items() if v is not None}, flush=True)

    def finish(self) -> int:
        """Write the table of all rows there are; what the process should exit with."""
        rows = [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]
        if rows:
            frame = pd.DataFrame(rows)
            if "config" in frame:
                frame["config"] = frame["config"].map(lambda c: json.dumps(c, sort_keys=True))
            part = self.table.with_suffix(".part")
            frame.to_parquet(part, index=False)
            os.replace(part, self.table)
            seconds = frame["cpu_seconds"].sum()
            print(f"{self.name}: {len(frame)} rows, {seconds:.0f} CPU-seconds, {self.left} left")
        return UNFINISHED if self.left else 0
