"""The published page says what its result files say, and nothing else between its marks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    """page.py under a name of its own: other benchmarks have a page too."""
    path = ROOT / "benchmarks/claims/page.py"
    spec = importlib.util.spec_from_file_location("claims_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["claims_page"] = module
    spec.loader.exec_module(module)
    return module


def test_published_tables_are_those_of_the_results() -> None:
    page = load()
    text = (ROOT / "docs/results/claims.md").read_text(encoding="utf-8")
    frames = page.read(ROOT / "benchmarks/claims/results")
    assert page.written(text, frames) == text


def test_every_row_has_its_configuration_and_seed() -> None:
    for name, frame in load().read(ROOT / "benchmarks/claims/results").items():
        assert frame["key"].is_unique, name
        assert frame[["config", "seed", "cpu_seconds"]].notna().all().all(), name


@pytest.mark.slow
def test_plots_are_drawn_from_results_alone(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = load()
    frames = page.read(ROOT / "benchmarks/claims/results")
    for name, draw in page.PLOTS.values():
        made = draw(frames, tmp_path / name)
        assert made.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
