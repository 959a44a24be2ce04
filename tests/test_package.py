"""The installed package answers for itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files

HEAVY = ("torch", "pandas", "plotly", "lightning_fabric", "scipy", "statsmodels", "polars", "typer")


def test_it_ships_its_types() -> None:
    assert files("vneuron").joinpath("py.typed").is_file()


def test_version_is_that_of_the_distribution() -> None:
    import vneuron

    assert vneuron.__version__ == version("vneuron")


def test_every_public_name_is_there() -> None:
    import vneuron

    for name in vneuron.__all__:
        assert getattr(vneuron, name) is not None
    assert set(vneuron._HOMES) | {"__version__"} == set(vneuron.__all__)


def test_layers_load_nothing_heavy_beyond_torch() -> None:
    beyond = tuple(name for name in HEAVY if name != "torch")
    code = (
        "import sys, vneuron; vneuron.GaussianUnits; "
        f"print(*(m for m in {beyond!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == ""


def test_importing_it_loads_nothing_heavy() -> None:
    code = f"import sys, vneuron; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == ""
