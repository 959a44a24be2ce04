"""Each mode of collapse, induced in a small real run, is named by the verdict and cured."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("statsmodels")


def load() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "living" / "collapse_modes.py"
    spec = importlib.util.spec_from_file_location("collapse_modes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


modes = load()


def check(case: Any, seed: int, name: str) -> None:
    before, alone, cured = modes.run(case, seed, name)
    assert modes.named(before, case.mode), before.counts
    assert case.mode in before.reasons[0]
    assert modes.named(alone, case.mode), f"it goes away by itself: {alone.counts}"
    assert modes.cured(cured, case.mode), cured.counts


@pytest.mark.parametrize("case", modes.CASES, ids=lambda case: case.mode)
def test_induced_named_and_cured(case: Any) -> None:
    check(case, 0, "sunspots")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sunspots", "elnino"])
@pytest.mark.parametrize("case", modes.CASES, ids=lambda case: case.mode)
def test_in_most_seeds_and_on_another_series(case: Any, name: str) -> None:
    """By chance some units are of use even so; the layer is then not at fault by that name."""
    runs = [modes.run(case, seed, name) for seed in range(3)]
    assert sum(modes.named(before, case.mode) for before, _, _ in runs) >= 2
    assert sum(modes.named(alone, case.mode) for _, alone, _ in runs) >= 2
    assert sum(modes.cured(cured, case.mode) for _, _, cured in runs) >= 2


def test_every_fault_has_its_case() -> None:
    from vneuron import Verdict

    assert {case.mode for case in modes.CASES} == {v.value for v in Verdict if v.fault}


def test_following_a_slow_series_is_not_being_frozen() -> None:
    """Monthly CO2 rises slowly, and so do the units that tell of it."""
    import vneuron as vn

    modes.torch.manual_seed(0)
    past, held_out = modes.series("co2")
    units = vn.GaussianUnits(24, 8, beta=0.01, prior=vn.AutoregressiveNormal(8))
    likelihood = vn.Collect(modes.Likelihood(modes.Network(units)))
    modes.train(likelihood, past, 300, 0.01)
    found = modes.examine(likelihood, held_out)
    telling = vn.health(units).units.query("rate > 0.01")
    assert (telling["persistence"] > 0.98).mean() > 0.5
    assert found.share("frozen in time") == 0.0
    assert found.share("living") > 0.25
