"""The benchmarks of speed at the smallest sizes: that they still time what the library does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).resolve().parents[2] / "benchmarks" / "speed"


def printed(script: str, *arguments: str, folder: Path) -> str:
    """What a script prints, in a process of its own as `all.py` runs it."""
    ended = subprocess.run(
        [sys.executable, str(SPEED / script), *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_step_of_every_kind_runs(tmp_path) -> None:
    out = printed("step.py", "--batch", "8", "--units", "2", "--rounds", "1", folder=tmp_path)
    assert "steered / floor" in out
    assert "own / floor" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "told"),
    [
        ("by_hand.py", ["--batch", "8", "--units", "2", "--rounds", "1"], "by hand"),
        ("sections.py", ["--batch", "8", "--units", "2", "--steps", "3"], "AdamW"),
        ("gather.py", ["--rounds", "1"], "windows a CPU-second"),
        ("many_series.py", ["--series", "20", "40"], "bytes a row"),
        ("larger_than_memory.py", ["--rows", "20000"], "20,000 rows"),
        ("paths.py", ["--series", "20", "--paths", "5", "--rounds", "1"], "CPU"),
        ("startup.py", ["--rounds", "1"], "import vneuron"),
        ("ddp.py", ["--rounds", "1", "--batch", "4096"], "two that share nothing"),
        ("scaling.py", ["--rounds", "1", "--out", "growth.html"], "exponent"),
        ("neuralforecast.py", [], "skipped"),
        ("time_to_quality.py", ["none", "none"], "skipped"),
    ],
)
def test_the_others_run(script, arguments, told, tmp_path) -> None:
    assert told in printed(script, *arguments, folder=tmp_path)
