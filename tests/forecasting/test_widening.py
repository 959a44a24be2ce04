"""Intervals of maxima, minima and ramps: measured where outcomes are rougher than their draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron import EVEForecaster
from vneuron.forecasting.aggregate import over_blocks
from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.widening import DRAWN, FEWEST_WINDOWS, LEVELS, Widening

H = 12


class Windows:
    """Targets as the library's windows give them."""

    def __init__(self, targets: torch.Tensor, observed: torch.Tensor | None = None) -> None:
        self.targets, self.observed, self.horizon = targets, observed, targets.shape[1]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: torch.Tensor) -> Windows:
        kept = None if self.observed is None else self.observed[rows]
        return Windows(self.targets[rows], kept)

    def batches(self, size: int):
        for at in range(0, len(self), size):
            y = self.targets[at : at + size]
            seen = None if self.observed is None else self.observed[at : at + size]
            yield WindowBatch(y[:, :0], y, torch.zeros(len(y), dtype=torch.int64), None, seen)


class Walks:
    """A law of random walks, with white noise on top."""

    def __init__(self, count: int, noise: float) -> None:
        self.count, self.noise = count, noise

    def rescale(self, mean: torch.Tensor, sd: torch.Tensor) -> Walks:
        return self

    def sample(self, draws: int, generator: torch.Generator) -> torch.Tensor:
        shape = (self.count, draws, H)
        smooth = torch.randn(shape, generator=generator, dtype=torch.float64).cumsum(-1)
        return smooth + self.noise * torch.randn(shape, generator=generator, dtype=torch.float64)


def outcomes(windows: int, noise: float, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return Walks(windows, noise).sample(1, generator)[:, 0]


def measured(outcome_noise: float, model_noise: float, windows: int = 500) -> Widening:
    found = Widening.measure(
        lambda batch: Walks(len(batch.target), model_noise),
        Windows(outcomes(windows, outcome_noise)),
    )
    assert found is not None
    return found


def held(
    widening: Widening | None, statistic: str, steps: int, noise: float, level: float
) -> float:
    """How often intervals of a smooth model hold what fresh, rough outcomes come to."""
    y = over_blocks(statistic, outcomes(2000, noise, seed=2).numpy()[:, None], steps)[:, 0]
    draws = Walks(2000, 0.0).sample(200, torch.Generator().manual_seed(3)).numpy()
    of_draws = over_blocks(statistic, draws, steps)
    taken = level if widening is None else widening.level(statistic, steps, level)
    low, high = np.quantile(of_draws, [0.5 - taken / 200, 0.5 + taken / 200], axis=1)
    return float(np.mean((low <= y) & (y <= high)))


def test_ramps_of_a_model_too_smooth_hold_once_they_are_measured() -> None:
    widening = measured(0.5, 0.0)
    for steps in (H, H // 2):
        assert held(None, "ramp", steps, 0.5, 80) < 0.72
        assert 0.75 < held(widening, "ramp", steps, 0.5, 80) < 0.86


def test_a_model_that_is_right_is_left_nearly_alone() -> None:
    widening = measured(0.0, 0.0, windows=512)
    for statistic in DRAWN:
        assert widening.level(statistic, H, 80) == pytest.approx(80, abs=6)
        assert 0.76 < held(widening, statistic, H, 0.0, 80) < 0.88


def test_intervals_are_never_narrowed() -> None:
    widening = measured(0.0, 3.0)  # draws far rougher than outcomes
    assert held(None, "ramp", H, 0.0, 50) < 1.0
    assert (widening.taken >= LEVELS - 1e-12).all()


@given(st.sampled_from(DRAWN), st.floats(1, 99.9), st.floats(1, 99.9), st.integers(2, H))
def test_a_higher_level_takes_more_of_the_draws(
    statistic: str, one: float, other: float, steps: int
) -> None:
    low, high = sorted((one, other))
    widening = _rough()
    assert widening.level(statistic, steps, low) <= widening.level(statistic, steps, high) <= 100


_kept: list[Widening] = []


def _rough() -> Widening:
    if not _kept:
        _kept.append(measured(1.0, 0.0))
    return _kept[0]


def test_a_block_of_one_step_is_that_step() -> None:
    assert _rough().level("max", 1, 80) == pytest.approx(80)


def test_ties_of_counts_are_broken_at_random() -> None:
    class Constant(Walks):
        def sample(self, draws: int, generator: torch.Generator) -> torch.Tensor:
            return torch.zeros(self.count, draws, H, dtype=torch.float64)

    found = Widening.measure(
        lambda batch: Constant(len(batch.target), 0.0), Windows(torch.zeros(500, H))
    )
    assert found is not None
    assert found.level("max", H, 80) == pytest.approx(80, abs=6)


def test_too_few_whole_windows_tell_nothing() -> None:
    def model(batch: WindowBatch) -> Walks:
        return Walks(len(batch.target), 0.0)

    assert Widening.measure(model, Windows(outcomes(FEWEST_WINDOWS - 1, 0.0))) is None
    seen = torch.ones(100, H, dtype=torch.bool)
    seen[FEWEST_WINDOWS - 1 :, 3] = False
    assert Widening.measure(model, Windows(outcomes(100, 0.0), seen)) is None


def test_arrays_give_it_back() -> None:
    again = Widening.of_arrays(_rough().as_arrays())
    assert again.level("ramp", 7, 93) == _rough().level("ramp", 7, 93)


def test_a_run_keeps_it_and_forecasts_by_it(frame: pd.DataFrame, tiny, tmp_path) -> None:
    fitted = EVEForecaster(**tiny).fit(frame, run_dir=tmp_path / "run")
    widening = fitted.model.widening
    assert widening is not None
    wide = fitted.aggregate("ramp", level=80)
    assert EVEForecaster.load(tmp_path / "run").aggregate("ramp", level=80).equals(wide)
    fitted.save(tmp_path / "saved")
    assert EVEForecaster.load(tmp_path / "saved").aggregate("ramp", level=80).equals(wide)

    taken = np.full_like(widening.taken, 1.0)
    taken[..., 0] = 0.0
    fitted._model = replace(fitted.model, widening=Widening(widening.blocks, taken))
    wider = fitted.aggregate("ramp", level=80)
    assert (wider["EVE-hi-80"] > wide["EVE-hi-80"]).all()
    assert (wider["EVE-lo-80"] < wide["EVE-lo-80"]).all()
    assert wider["EVE-median"].equals(wide["EVE-median"])
    fitted._model = replace(fitted.model, widening=None)
    raw = fitted.aggregate("ramp", level=80)
    assert (raw["EVE-hi-80"] <= wide["EVE-hi-80"]).all()
    exact = fitted.aggregate("sum", level=80)
    fitted._model = replace(fitted.model, widening=Widening(widening.blocks, taken))
    assert fitted.aggregate("sum", level=80).equals(exact)
