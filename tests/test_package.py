"""The installed package answers for itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files

HEAVY = ("pandas", "plotly", "lightning_fabric", "scipy", "statsmodels", "polars", "typer")


def test_it_ships_its_types() -> None:
    assert files("vneuron").joinpath("py.typed").is_file()


def test_version_is_that_of_the_distribution() -> None:
    import vneuron

    assert vneuron.__version__ == version("vneuron")


def test_importing_it_loads_nothing_heavy_beyond_torch() -> None:
    code = f"import sys, vneuron; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == ""
