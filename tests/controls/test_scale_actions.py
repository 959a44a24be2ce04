"""Projection and homeostasis on a layer: exact, idempotent, monotone, in every form and for k."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import vneuron as vn

UNITS, IN = 6, 4
FORMS = ["raw", "mean", "gauge"]


def layer(k: int = 1, spread: float = 4.0) -> tuple[vn.GaussianUnits, vn.Collect]:
    torch.manual_seed(0)
    unit = vn.GaussianUnits(IN, UNITS, latent_dim=k)
    with torch.no_grad():
        gains = torch.logspace(-1.5, 1.5, UNITS).repeat_interleave(k)
        unit.loc.weight.mul_(gains[:, None])
        unit.loc.bias.mul_(gains)
    unit.readers.append(vn.Reader(nn.Linear(UNITS, 2)))
    unit.controls.append(vn.EnergyBand(UNITS, target=0.3, spread=spread))
    return unit, vn.Collect(unit)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [1, 2, 4, 8, 16])
def test_projection_puts_units_exactly_on_their_bound_and_does_nothing_twice(
    form: str, k: int
) -> None:
    unit, model = layer(k)
    unit.controls.append(vn.Projection(UNITS, every=1, form=form))
    x = torch.randn(512, IN)
    before = model(x)[1][0].loc.square().mean((0, 2))
    low, high = unit.controls[0].bounds()[:2]
    assert (before < low).any()
    assert (before > high).any()
    vn.control_step(unit, model(x)[1])
    after = model(x)[1][0].loc.square().mean((0, 2))
    torch.testing.assert_close(after, before.clamp(low, high), rtol=1e-4, atol=0)
    weight = unit.loc.weight.clone()
    vn.control_step(unit, model(x)[1])
    torch.testing.assert_close(unit.loc.weight, weight, rtol=1e-5, atol=1e-7)


def test_the_cap_bites_where_a_unit_is_far_away() -> None:
    unit, model = layer()
    with torch.no_grad():
        unit.loc.weight[0].mul_(1e-4)
        unit.loc.bias[0].zero_()
    unit.controls.append(vn.Projection(UNITS, every=1, cap=3.0))
    x = torch.randn(512, IN)
    before = model(x)[1][0].loc[:, 0].square().mean()
    vn.control_step(unit, model(x)[1])
    after = model(x)[1][0].loc[:, 0].square().mean()
    torch.testing.assert_close(after, 9 * before)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [1, 4])
def test_homeostasis_closes_in_on_the_band(form: str, k: int) -> None:
    unit, model = layer(k)
    unit.controls.append(vn.Homeostasis(UNITS, every=1, form=form))
    x = torch.randn(512, IN)
    low, high = unit.controls[0].bounds()[:2]
    centre = (low * high).sqrt()

    def distance() -> torch.Tensor:
        return (model(x)[1][0].loc.square().mean((0, 2)) / centre).log().abs()

    last = distance()
    for _ in range(60):
        vn.control_step(unit, model(x)[1])
        now = distance()
        assert (now <= last + 1e-4).all()
        last = now
    assert (last <= (high / centre).log() + 1e-3).all()


@pytest.mark.parametrize("control", [vn.Projection, vn.Homeostasis])
def test_actions_come_when_they_are_due(control: type) -> None:
    unit, model = layer()
    unit.controls.append(control(UNITS, every=vn.Span(100, 0.2)))
    vn.prepare_controls(unit, 20)  # every 4 steps then
    x, acted = torch.randn(64, IN), []
    for _ in range(9):
        weight = unit.loc.weight.clone()
        vn.control_step(unit, model(x)[1])
        acted.append(not torch.equal(weight, unit.loc.weight))
        with torch.no_grad():
            unit.loc.weight.mul_(3.0)
    assert acted == [False, False, False, True] * 2 + [False]


@pytest.mark.parametrize("control", [vn.Projection, vn.Homeostasis])
def test_without_a_band_they_are_refused(control: type) -> None:
    unit = vn.GaussianUnits(IN, UNITS)
    unit.controls.append(control(UNITS))
    model = vn.Collect(unit)
    with pytest.raises(ValueError, match="append an EnergyBand to its controls first"):
        vn.control_step(unit, model(torch.randn(8, IN))[1])


@pytest.mark.parametrize(
    ("control", "options"),
    [
        (vn.Projection, {"form": "soft"}),
        (vn.Projection, {"cap": 0.5}),
        (vn.Projection, {"every": -1}),
        (vn.Homeostasis, {"rate": 0.9}),
        (vn.Homeostasis, {"inside": 2.0}),
        (vn.Homeostasis, {"limit": 1.0}),
        (vn.Homeostasis, {"form": "hard"}),
    ],
)
def test_impossible_options_are_refused(control: type, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        control(UNITS, **options)


@pytest.mark.parametrize("scale", ["input", "per_unit", "scalar"])
@pytest.mark.parametrize(("start", "bound"), [(0.01, 0.15), (9.5, 5.0)])
def test_the_guard_moves_sigma_to_its_bound_at_once(scale: str, start: float, bound: float) -> None:
    unit = vn.GaussianUnits(IN, UNITS, latent_dim=2, scale=scale, initial_scale=start)
    unit.controls.append(vn.ScaleGuard(UNITS, 2))
    model, x = vn.Collect(unit), torch.randn(64, IN)
    vn.control_step(unit, model(x)[1])
    sigma = unit.infer(x).scale
    torch.testing.assert_close(sigma, torch.full_like(sigma, bound), rtol=1e-3, atol=0)


def test_the_guard_leaves_sigma_within_its_bounds_alone() -> None:
    unit = vn.GaussianUnits(IN, UNITS)
    unit.controls.append(vn.ScaleGuard(UNITS))
    raw = unit.raw_scale.clone()
    vn.control_step(unit, vn.Collect(unit)(torch.randn(64, IN))[1])
    assert torch.equal(unit.raw_scale, raw)


def test_a_silent_unit_is_widened_by_a_fiftieth() -> None:
    unit = vn.GaussianUnits(IN, UNITS, scale="per_unit", initial_scale=1.0)
    with torch.no_grad():
        unit.loc.weight[0].zero_()
        unit.loc.bias[0].zero_()
    unit.controls.append(vn.ScaleGuard(UNITS))
    x = torch.randn(64, IN)
    vn.control_step(unit, vn.Collect(unit)(x)[1])
    log_scale = unit.infer(x).scale[0, :, 0].log()
    torch.testing.assert_close(log_scale, torch.tensor([0.02] + [0.0] * 5), rtol=1e-4, atol=1e-5)


def test_the_guard_follows_input_dependent_scales_that_adam_pushes_down() -> None:
    torch.manual_seed(0)
    unit = vn.GaussianUnits(IN, UNITS)
    unit.controls.append(vn.ScaleGuard(UNITS))
    model = vn.Collect(unit)
    optimizer = torch.optim.Adam(unit.parameters(), lr=0.01)
    for _ in range(200):
        _, terms = model(torch.randn(64, IN))
        optimizer.zero_grad()
        terms[0].scale.log().sum(1).mean().backward()
        optimizer.step()
        vn.control_step(unit, terms)
    typical = unit.infer(torch.randn(512, IN)).scale.log().mean(0).exp()
    assert (typical > 0.13).all()


def test_a_unit_without_a_scale_has_nothing_to_guard() -> None:
    unit = vn.DeterministicUnits(IN, UNITS)
    unit.controls.append(vn.ScaleGuard(UNITS))
    with pytest.raises(ValueError, match="has no σ to guard"):
        vn.control_step(unit, vn.Collect(unit)(torch.randn(8, IN))[1])


class Pairs(nn.Module):
    def __init__(self, unit: vn.GaussianUnits) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, x: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        with vn.muted():
            past = self.unit.infer(before)
        return self.unit(x, vn.PriorContext(past.loc, past.scale))


def balanced(steps: int, weight: float = 1.0) -> tuple[vn.AutoregressiveNormal, vn.ShareBalance]:
    prior = vn.AutoregressiveNormal(UNITS, phi=0.9, form="quadratic")
    prior.weight.fill_(weight)
    unit = vn.GaussianUnits(IN, UNITS, prior=prior)
    unit.controls.append(vn.ShareBalance(UNITS))
    model = vn.Collect(Pairs(unit))
    x = torch.randn(256, IN)
    before = 0.95 * x + 0.3 * torch.randn(256, IN)
    for _ in range(steps):
        vn.control_step(unit, model(x, before)[1])
    return prior, unit.controls[0]


def test_the_share_comes_to_its_target() -> None:
    prior, control = balanced(400)
    inside = (prior.weight > 0.2501) & (prior.weight < 9.999)
    assert inside.any()
    torch.testing.assert_close(
        control.share[inside], torch.full_like(control.share, 0.2)[inside], rtol=0.1, atol=0
    )


def test_a_share_above_its_cap_is_cut_at_once() -> None:
    prior, control = balanced(1, weight=8.0)
    above = control.share > 0.3
    assert above.sum() > 2
    expected = 8.0 * torch.minimum(0.3 / control.share, torch.exp(-0.1 * (control.share - 0.2)))
    torch.testing.assert_close(prior.weight[above], expected[above], rtol=1e-3, atol=0)


def test_without_a_predecessor_the_weight_stays() -> None:
    """The papers' λ ran to its cap while there was nothing to balance."""
    prior = vn.AutoregressiveNormal(UNITS, form="quadratic")
    unit = vn.GaussianUnits(IN, UNITS, prior=prior)
    unit.controls.append(vn.ShareBalance(UNITS))
    model = vn.Collect(unit)
    for _ in range(50):
        vn.control_step(unit, model(torch.randn(32, IN))[1])
    assert prior.weight.tolist() == [1.0] * UNITS


def test_a_prior_without_a_weight_is_refused() -> None:
    unit = vn.GaussianUnits(IN, UNITS, prior=vn.AutoregressiveNormal(UNITS))
    unit.controls.append(vn.ShareBalance(UNITS))
    with pytest.raises(ValueError, match=r'expected AutoregressiveNormal\(form="quadratic"\)'):
        vn.control_step(unit, vn.Collect(unit)(torch.randn(8, IN))[1])
