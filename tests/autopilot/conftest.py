"""A small series on which a trial takes a moment, and a real PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

_HERE = str(Path(__file__).parent)
if _HERE not in sys.path:
    sys.path.append(_HERE)

from small_search import Postgres  # noqa: E402  of this folder

pytest.importorskip("optuna", reason="AutoPilot's tests need Optuna: pip install '.[autopilot]'")


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Two noisy daily cycles, 300 hours each."""
    hours = pd.date_range("2026-01-01", periods=300, freq="h")
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": hours,
                "y": np.sin(2 * np.pi * np.arange(300) / 24 + shift) + 0.3 * rng.normal(size=300),
            }
        )
        for name, shift in (("a", 0.0), ("b", 1.0))
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running server; skips where PostgreSQL or its driver is not installed."""
    pytest.importorskip("psycopg", reason="no driver: pip install '.[postgres]'")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    if initdb is None:
        pytest.skip("no initdb found: install PostgreSQL to run this test")
    binaries = Path(initdb).resolve().parent
    if not (binaries / "postgres").exists():
        pytest.skip(f"no server beside {initdb}: install PostgreSQL to run this test")
    folder = Path(os.path.realpath("/tmp")) / f"vneuron-postgres-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    server = Postgres(binaries, folder)
    server.start()
    try:
        yield server
    finally:
        if server.server is not None and server.server.poll() is None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
