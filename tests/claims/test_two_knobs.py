"""The KL set-point contracts posteriors, step by step; a memory costs a floor of KL."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from study.more_tables import floor
from two_knobs import SET_POINTS, Thermostat

import vneuron as vn


def contraction_at(point: float, seed: int, steps: int = 400) -> tuple[float, float]:
    """σ / σ_prior and KL of a layer that was held at a set-point while it learned to regress."""
    torch.manual_seed(seed)
    layer = vn.GaussianUnits(6, 12, beta=0.3)
    layer.controls.append(Thermostat(12, point))
    model = vn.Collect(torch.nn.Sequential(layer, torch.nn.Linear(12, 3)))
    truth = torch.randn(6, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    vn.prepare_controls(model, steps)
    for _ in range(steps):
        x = torch.randn(64, 6)
        y, terms = model(x)
        nll = 2.0 * (y - x @ truth).square().sum(-1)
        loss = vn.free_energy(nll, terms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vn.control_step(model, terms)
    units = vn.health(layer).units
    return float(units["contraction"].mean()), float(units["kl"].mean())


@pytest.mark.parametrize("seed", [0, 1])
def test_contraction_falls_with_every_set_point(seed: int) -> None:
    found = [contraction_at(point, seed) for point in SET_POINTS]
    contractions = [c for c, _ in found]
    assert all(later < earlier for earlier, later in itertools.pairwise(contractions))
    for (_, kl), point in zip(found, SET_POINTS, strict=False):
        assert 1 / 1.5 < kl / point < 1.5


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.5, 0.9])
def test_floor_is_the_least_expected_kl_of_a_unit_that_says_nothing(phi: float) -> None:
    prior = vn.AutoregressiveNormal(1, phi=phi).double()
    raw = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([raw], max_iter=100, tolerance_grad=1e-12)
    zero = torch.zeros(1, 1, 1, dtype=torch.float64)

    def kl() -> torch.Tensor:
        scale = raw.exp().expand(1, 1, 1)
        return prior.kl(zero, scale, vn.PriorContext(zero, scale)).sum()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = kl()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert kl().item() == pytest.approx(floor(phi), abs=1e-6)
    stationary = math.sqrt((1.0 - phi**2) / (1.0 + phi**2))
    assert raw.exp().item() == pytest.approx(stationary, abs=1e-4)
