"""The band: its penalty, weights, schedule, and the calibration that moves it."""

from __future__ import annotations

import pytest
import torch

import vneuron as vn
from vneuron.controls.band_calibration import GAP


def term(energies: torch.Tensor, batch: int = 64) -> vn.LocalTerm:
    """µ with exactly the given µ² per unit, mean zero."""
    sign = torch.ones(batch).index_fill_(0, torch.arange(0, batch, 2), -1.0)
    loc = (sign[:, None] * energies.sqrt())[..., None]
    kl = torch.zeros(batch, len(energies))
    return vn.LocalTerm("u", kl, loc, loc, torch.ones_like(loc), torch.ones(len(energies)))


def updated(band: vn.EnergyBand, energies: torch.Tensor) -> vn.UnitStatistics:
    statistics = vn.UnitStatistics(len(energies), 1)
    statistics.update(term(energies))
    band.update(statistics)
    return statistics


ENERGIES = torch.tensor([0.01, 0.05, 0.06, 0.5])


@pytest.mark.parametrize("form", ["absolute", "relative"])
def test_the_penalty_and_its_gradient_are_those_of_the_hinge(form: str) -> None:
    band = vn.EnergyBand(4, weight=3.0, form=form, warmup=0, ramp=0)
    updated(band, ENERGIES)
    energies = ENERGIES.clone().requires_grad_()
    low, high = band.bounds()[:2]
    scales = (low, high) if form == "relative" else (1.0, 1.0)
    below = ((low - energies) / scales[0]).clamp_min(0).square()
    above = ((energies - high) / scales[1]).clamp_min(0).square()
    expected = 3.0 * (below + above).mean()
    (gradient,) = torch.autograd.grad(expected, energies)
    at = ENERGIES.clone().requires_grad_()
    found = band.penalty(term(at))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(torch.autograd.grad(found, at)[0], gradient, rtol=1e-4, atol=1e-6)


def test_the_upper_side_is_weakened_while_most_units_sit_below() -> None:
    few = torch.tensor([0.01, 0.05, 0.05, 0.5])
    many = torch.tensor([0.01, 0.01, 0.05, 0.5])
    slopes = []
    for energies in (few, many):
        band = vn.EnergyBand(4, weight=1.0, warmup=0, ramp=0)
        updated(band, energies)
        slopes.append(band.slope[3].item())
    assert slopes[1] == pytest.approx(0.3 * slopes[0], rel=1e-5)


def test_the_average_over_shards_is_the_penalty_of_the_batch() -> None:
    """Two processes with half of the batch each; statistics are common to both."""
    band = vn.EnergyBand(4, warmup=0, ramp=0)
    statistics = vn.UnitStatistics(4, 1)
    loc = torch.randn(32, 4, 1)
    whole = term(ENERGIES, 32)._replace(loc=loc)
    statistics.update(whole)
    band.update(statistics)
    halves = [band.penalty(whole._replace(loc=part)) for part in loc.chunk(2)]
    torch.testing.assert_close(torch.stack(halves).mean(), band.penalty(whole))


def test_warmup_and_ramp_in_steps_and_in_fractions() -> None:
    for warmup, ramp, total in ((2, 4, None), (0.02, 0.04, 100), (vn.Span(50, 0.02), 4, 100)):
        band = vn.EnergyBand(4, warmup=warmup, ramp=ramp)
        if total is not None:
            vn.prepare_controls(band, total)
        strengths = []
        for _ in range(8):
            updated(band, ENERGIES)
            strengths.append(band.strength.item())
        assert strengths == [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_a_fraction_of_an_unknown_run_is_refused_with_the_cure() -> None:
    band = vn.EnergyBand(4, warmup=0.1)
    with pytest.raises(ValueError, match=r"warmup is the fraction 0\.1 .*prepare_controls"):
        updated(band, ENERGIES)


def test_a_variance_band_sees_what_the_input_moves() -> None:
    band = vn.EnergyBand(2, target=1.0, quantity="variance", weight=1.0, warmup=0, ramp=0)
    statistics = vn.UnitStatistics(2, 1)
    loc = torch.randn(64, 2, 1, requires_grad=True)
    batch = term(torch.ones(2))._replace(loc=loc + torch.tensor([5.0, 0.0])[:, None])
    statistics.update(batch)
    info = band.update(statistics)
    assert info.fetch()["band_above"] == 0.0  # µ² is 26 and 1, the variances both about 1
    layer = vn.GaussianUnits(3, 2)
    layer.controls.append(band)
    assert vn.health(layer).units["band_low"].isna().all()  # no band of µ²


def test_training_brings_units_into_the_band() -> None:
    torch.manual_seed(0)
    layer = vn.GaussianUnits(3, 16, beta=0.0)
    layer.controls.append(vn.EnergyBand(16, target=0.5, spread=4.0, warmup=0, ramp=0, weight=5.0))
    model = vn.Collect(layer)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(400):
        _, terms = model(torch.randn(128, 3))
        loss = vn.free_energy(torch.zeros(128), terms, vn.penalties(model, terms))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        info = vn.control_step(model, terms)
    health = vn.health(model)
    assert info.fetch()["GaussianUnits/band_inside"] >= 0.8
    assert health.layers[0].band["inside"] >= 0.8


@pytest.mark.parametrize(
    "options",
    [
        {"target": 0.0},
        {"spread": 0.5},
        {"low": 2.0},
        {"form": "soft"},
        {"quantity": "rate"},
        {"weight": -1.0},
        {"warmup": -1},
        {"ramp": 1.5},
    ],
)
def test_impossible_bands_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        vn.EnergyBand(3, **options)


def calibrated(energy: float, actions: int) -> vn.EnergyBand:
    layer = vn.GaussianUnits(3, 8)
    band, calibration = vn.EnergyBand(8), vn.BandCalibration(8, every=2)
    layer.controls.extend([band, calibration])
    layer.statistics.energy.fill_(energy)
    for _ in range(2 * actions):
        calibration.update(layer.statistics)
        calibration.project(layer)
    return band


def test_calibration_follows_the_units_slowly_up_and_faster_down() -> None:
    assert calibrated(100.0, 1).high_scale.item() == pytest.approx(1.02)
    assert calibrated(1e-6, 1).low_scale.item() == pytest.approx(1 / 1.1)
    band = calibrated(0.2, 400)  # all units at 4 targets of .05: both bounds go there, but the gap
    assert (band.low * band.low_scale).item() == pytest.approx(4.0, rel=0.03)
    assert (band.high * band.high_scale).item() == pytest.approx(4.0 * GAP, rel=0.03)


def test_the_original_band_is_remembered_and_reported() -> None:
    layer = vn.GaussianUnits(3, 8)
    layer.controls.extend([vn.EnergyBand(8), vn.BandCalibration(8, every=1)])
    layer.controls[0].low_scale.fill_(4.0)
    layer.controls[0].high_scale.fill_(4.0)
    vn.control_step(layer, vn.Collect(layer)(torch.randn(8, 3))[1])
    layer.statistics.energy.fill_(0.2)
    health = vn.health(layer)
    assert health.layers[0].band == {"below": 0.0, "inside": 1.0, "above": 0.0}
    assert health.layers[0].original_band == {"below": 0.0, "inside": 0.0, "above": 1.0}
    assert set(health.units["original_band"]) == {"above"}


def test_the_bounds_never_cross() -> None:
    layer = vn.GaussianUnits(3, 8)
    band, calibration = vn.EnergyBand(8), vn.BandCalibration(8, every=1)
    layer.controls.extend([band, calibration])
    layer.statistics.energy.copy_(torch.linspace(0.001, 1.0, 8))
    for _ in range(300):
        calibration.update(layer.statistics)
        calibration.project(layer)
    low, high = band.bounds()[:2]
    assert (high >= GAP * low * (1 - 1e-6)).all()


def test_calibration_moves_the_band_of_energy_and_no_other() -> None:
    layer = vn.GaussianUnits(3, 4)
    variance = vn.EnergyBand(4, quantity="variance")
    energy = vn.EnergyBand(4)
    calibration = vn.BandCalibration(4, every=1)
    layer.controls.extend([variance, energy, calibration])
    layer.statistics.update(term(torch.full((4,), 0.5)))
    for _ in range(3):
        calibration.update(layer.statistics)
        calibration.project(layer)
    assert (variance.low_scale == 1).all()
    assert (variance.high_scale == 1).all()
    assert (energy.high_scale != 1).all()


def test_calibration_without_a_band_is_refused() -> None:
    layer = vn.GaussianUnits(3, 8)
    with pytest.raises(ValueError, match="no EnergyBand of energy to calibrate"):
        vn.BandCalibration(8).project(layer)
