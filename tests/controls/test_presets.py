"""Presets: what they attach, in which units, and that they train."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import vneuron as vn

NAMES = {
    "none": [],
    "free": ["KLBudget", "EnergyBand"],
    "projection": ["EnergyBand", "Projection"],
    "homeostasis": ["KLBudget", "EnergyBand", "Homeostasis", "ScaleGuard", "BandCalibration"],
}


@pytest.mark.parametrize("preset", NAMES)
def test_what_is_attached(preset: str) -> None:
    layer = vn.GaussianUnits(3, 4, beta=0.7)
    vn.attach_preset(layer, preset)
    assert [type(control).__name__ for control in layer.controls] == NAMES[preset]
    assert layer.beta[0].item() == pytest.approx(0.7 if preset == "none" else 1e-3)


def test_the_autoregressive_penalty_brings_its_balance() -> None:
    layer = vn.GaussianUnits(3, 4, prior=vn.AutoregressiveNormal(4, form="quadratic"))
    vn.attach_preset(layer, "homeostasis")
    assert type(layer.controls[-1]).__name__ == "ShareBalance"
    layer = vn.GaussianUnits(3, 4, prior=vn.AutoregressiveNormal(4))
    vn.attach_preset(layer, "homeostasis")
    assert type(layer.controls[-1]).__name__ == "BandCalibration"


def test_per_window_values_are_the_papers_times_the_steps() -> None:
    layer = vn.GaussianUnits(3, 4)
    vn.attach_preset(layer, "free", steps=96)
    budget, band = layer.controls
    assert (budget.beta_min, budget.beta_max) == pytest.approx((96e-6, 0.96))
    assert (budget.low, budget.high) == (0.05, 0.30)  # nats of KL are nats either way
    assert band.weight == 192.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("adaptive?", 1), "preset is 'adaptive"),
        (("free", 0), "steps is 0"),
    ],
)
def test_mistakes_are_refused(arguments: tuple[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vn.attach_preset(vn.GaussianUnits(3, 4), arguments[0], steps=arguments[1])


def test_a_second_preset_is_refused() -> None:
    layer = vn.GaussianUnits(3, 4)
    vn.attach_preset(layer, "free")
    with pytest.raises(ValueError, match="has controls already"):
        vn.attach_preset(layer, "free")


@pytest.mark.parametrize("preset", NAMES)
@pytest.mark.parametrize("k", [1, 4])
def test_a_short_run_is_controlled_too(preset: str, k: int) -> None:
    """80 steps, where the papers' warm-up and ramp alone take 224."""
    torch.manual_seed(0)
    layer = vn.GaussianUnits(4, 8, latent_dim=k)
    vn.attach_preset(layer, preset, steps=2)
    head = nn.Linear(8, 2)
    model = vn.Collect(nn.Sequential(layer, head))
    vn.prepare_controls(model, 80)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(80):
        x = torch.randn(64, 4)
        y, terms = model(x)
        nll = 2.0 * (y - x[:, :2]).square().sum(-1)
        loss = vn.free_energy(nll, terms, vn.penalties(model, terms))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vn.control_step(model, terms, optimizer)
    assert loss.isfinite()
    if preset != "none":
        assert layer.controls[0 if preset == "projection" else 1].strength.item() == 1.0
    if preset in ("projection", "homeostasis"):
        # Held at the band's edge against a gradient that wants more (.3 and above without).
        assert (
            layer.statistics.energy.max()
            < 1.5 * layer.controls[0 if preset == "projection" else 1].bounds().high.max()
        )


def test_settings_reach_their_controls() -> None:
    layer = vn.GaussianUnits(3, 4)
    settings = {
        "target": 0.03,
        "kl_high": 0.5,
        "beta_max": 4e-3,
        "limit": 1.5,
        "every": 10,
        "ramp": 0.2,
    }
    vn.attach_preset(layer, "homeostasis", steps=96, settings=settings)
    budget, band, homeostasis = layer.controls[0], layer.controls[1], layer.controls[2]
    assert budget.high == 0.5
    assert budget.beta_max == pytest.approx(4e-3 * 96)
    assert band.ramp == 0.2
    assert homeostasis.limit == 1.5
    assert homeostasis.every == 10
    adaptive = vn.GaussianUnits(3, 4)
    vn.attach_preset(adaptive, "adaptive", settings={"worth": 0.4})
    assert adaptive.controls[0].worth == 0.4


@pytest.mark.parametrize(
    ("preset", "settings", "message"),
    [
        ("adaptive", {"target": 0.03}, "'adaptive' has no setting 'target'"),
        ("free", {"rate": 0.1}, "'free' has no setting 'rate'"),
        ("free", {"target": "low"}, "target is 'low', expected a number"),
    ],
)
def test_settings_that_a_preset_does_not_have_are_refused(preset, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        vn.attach_preset(vn.GaussianUnits(3, 4), preset, settings=settings)
