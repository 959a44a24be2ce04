"""The command in this process, and one run that most tests read."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vneuron.cli.app import main

SMALL = [
    "--horizon", "6", "--input-size", "24", "--units", "3", "--hidden", "12", "--epochs", "2",
    "--device", "cpu", "--encoder", "linear", "--features", "window",
]  # fmt: skip


@dataclass
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on standard output."""
        return json.loads(self.out)


def call(*arguments: object) -> Said:
    """Run `vneuron ARGUMENTS` in this process."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["vneuron", *map(str, arguments)]
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    finally:
        sys.argv = before
    code = ended.value.code
    return Said(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def vneuron() -> Callable[..., Said]:
    """The command."""
    return call


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Options of a fit that takes a second."""
    return list(SMALL)


def hours(rows: int = 300) -> pd.DataFrame:
    """A wide table of two series with a daily wave."""
    rng = np.random.default_rng(0)
    step = np.arange(rows)
    return pd.DataFrame(
        {
            "date": pd.date_range("2026-01-01", periods=rows, freq="h"),
            "load": 50 + 5 * np.sin(step * 2 * np.pi / 24) + rng.normal(size=rows),
            "wind": rng.normal(size=rows).cumsum(),
        }
    )


@pytest.fixture
def table() -> pd.DataFrame:
    """A wide table of 300 hours."""
    return hours()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command is run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass
class Fitted:
    """A run with baselines, its data, and what fit printed."""

    run: Path
    data: Path
    said: Said


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """`vneuron fit wide.csv --json`, once; do not change the run."""
    folder = tmp_path_factory.mktemp("cli")
    data, run = folder / "wide.csv", folder / "run"
    hours().to_csv(data, index=False)
    return Fitted(run, data, call("fit", data, *SMALL, "--out", run, "--json"))
