"""The thermostat: its rule, its clamps, and a unit whose optimum is known."""

from __future__ import annotations

import math

import pytest
import torch

import vneuron as vn


def acted(kl: list[float], alive: list[float], beta: list[float], **options: float) -> torch.Tensor:
    layer = vn.GaussianUnits(3, len(kl), beta=torch.tensor(beta))
    layer.statistics.kl.copy_(torch.tensor(kl))
    layer.statistics.alive_share.copy_(torch.tensor(alive))
    control = vn.KLBudget(len(kl), **options)
    control.update(layer.statistics)
    control.project(layer)
    return layer.beta


def test_one_step_follows_the_rule() -> None:
    beta = acted([0.02, 0.10, 0.80], [1.0, 1.0, 1.0], [0.1, 0.1, 0.1])
    expected = [0.1 * math.exp(0.2 * -0.03), 0.1, 0.1 * math.exp(0.2 * 0.5)]
    torch.testing.assert_close(beta, torch.tensor(expected))


def test_a_silent_unit_is_an_emergency() -> None:
    beta = acted([0.02, 0.10], [0.01, 1.0], [0.1, 0.1])
    assert beta[0].item() == pytest.approx(0.1 * math.exp(0.2 * -0.03 - 0.03 - 0.5), rel=1e-5)
    assert beta[1].item() == pytest.approx(0.1)


def test_beta_stays_within_its_bounds_and_near_the_mean() -> None:
    beta = acted([50.0, 0.1], [1.0, 1.0], [0.9, 0.9], beta_max=1.0)
    assert beta[0].item() == pytest.approx(1.0)
    beta = acted([0.1, 0.1, 0.1], [1.0] * 3, [1e-4, 0.1, 1.0], beta_max=1.0)
    mean = (1e-4 + 0.1 + 1.0) / 3
    torch.testing.assert_close(beta, torch.tensor([mean / 4, 0.1, 1.0]), rtol=1e-4, atol=0)
    beta = acted([0.1, 0.1, 0.1, 0.1, 0.1, 0.1], [1.0] * 6, [1.0] + [1e-3] * 5)
    assert beta[0].item() == pytest.approx(4 * (1.0 + 5e-3) / 6, rel=1e-4)


def test_a_beta_of_zero_can_come_back() -> None:
    assert acted([5.0, 5.0], [1.0, 1.0], [0.0, 0.0])[0].item() == pytest.approx(1e-4)


@pytest.mark.parametrize(("beta", "noise"), [(1.0, 0.3), (1e-3, 0.3), (0.01, 1.0)])
def test_a_linear_gaussian_unit_with_known_optimum_is_brought_into_its_budget(
    beta: float, noise: float
) -> None:
    """y = x + noise, z = µ(x) + σε read by a fixed head of 1: at a weight β the best unit has

    σ² = β/(1/noise² + β) and KL ½(µ² + σ² − 1 − ln σ²), so only some β put the KL within the
    budget; the thermostat finds one from either side.
    """
    torch.manual_seed(0)
    layer = vn.GaussianUnits(1, 1, scale="per_unit", beta=beta)
    layer.controls.append(vn.KLBudget(1, low=0.5, high=0.8, beta_max=100.0))
    model = vn.Collect(layer)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(1500):
        x = torch.randn(256, 1)
        with vn.deterministic(layer):
            z, terms = model(x)
        # E over z of the squared error, in closed form: its bias, and the variance of the draw
        nll = 0.5 * ((z - x).square() + terms[0].scale[..., 0].square())[:, 0] / noise**2
        optimizer.zero_grad()
        vn.free_energy(nll, terms).backward()
        optimizer.step()
        vn.control_step(layer, terms)
    assert 0.45 <= layer.statistics.kl.item() <= 0.85
    weight = layer.beta.item()
    gain = (1 / noise**2) / (1 / noise**2 + weight)
    variance = weight / (1 / noise**2 + weight)
    optimum = 0.5 * (gain**2 + variance - 1 - math.log(variance))
    assert layer.statistics.kl.item() == pytest.approx(optimum, abs=0.1)


@pytest.mark.parametrize(
    "options", [{"low": 0.5, "high": 0.3}, {"low": -1.0}, {"beta_min": 0.0}, {"beta_max": 1e-9}]
)
def test_impossible_budgets_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected 0"):
        vn.KLBudget(3, **options)
