"""Each mode of collapse, induced in a small real run, is named by the verdict and cured."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

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


def share(counts: dict[str, int], mode: str) -> float:
    return counts.get(mode, 0) / sum(counts.values())


@pytest.mark.parametrize("case", modes.CASES, ids=lambda case: case.mode)
def test_induced_named_and_cured(case: object) -> None:
    before, alone, cured = modes.run(case)
    mode = case.mode  # type: ignore[attr-defined]
    assert share(before.counts, mode) >= 0.45, before.counts
    assert not before.ok
    assert mode in before.reasons[0]
    assert share(alone.counts, mode) >= 0.45, "it goes away by itself"
    assert share(cured.counts, mode) <= 0.25, cured.counts
    assert share(cured.counts, "living") >= 0.5, cured.counts


def test_every_fault_has_its_case() -> None:
    from vneuron import Verdict

    assert {case.mode for case in modes.CASES} == {v.value for v in Verdict if v.fault}
