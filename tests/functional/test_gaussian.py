"""Gaussian maths against Monte Carlo, torch.distributions, autograd and its own properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference_kl

from vneuron.functional.gaussian import (
    SCALE_CEILING,
    SCALE_FLOOR,
    bounded_scale,
    information_rate,
    kl_divergence,
    reparameterise,
    unbounded_scale,
)

locs = st.floats(-20, 20)
scales = st.floats(1e-3, 10)


def double(*values: float) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(value, dtype=torch.float64) for value in values)


@given(locs, scales, locs, scales)
def test_kl_is_that_of_torch_distributions(
    loc: float, scale: float, prior_loc: float, prior_scale: float
) -> None:
    m, s, pm, ps = double(loc, scale, prior_loc, prior_scale)
    expected = reference_kl(Normal(m, s), Normal(pm, ps))
    torch.testing.assert_close(kl_divergence(m, s, pm, ps), expected, rtol=1e-9, atol=1e-12)


@given(locs, scales)
def test_kl_is_zero_where_q_is_p(loc: float, scale: float) -> None:
    m, s = double(loc, scale)
    assert kl_divergence(m, s, m, s).item() == 0.0


@given(locs, scales, st.floats(1e-4, 3), st.sampled_from(["up", "down", "wider", "narrower"]))
def test_kl_is_positive_where_q_is_not_p(loc: float, scale: float, by: float, how: str) -> None:
    m, s, d = double(loc, scale, by)
    q = {
        "up": (m + d * s, s),
        "down": (m - d * s, s),
        "wider": (m, s * (1 + d)),
        "narrower": (m, s / (1 + d)),
    }[how]
    assert kl_divergence(*q, m, s).item() > 0


@given(st.floats(-1e-6, 1e-6))
def test_kl_in_single_precision_does_not_cancel_near_the_prior(shift: float) -> None:
    scale = torch.tensor(1.0 + shift)
    assert abs(kl_divergence(torch.tensor(0.0), scale).item()) < 1e-11


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 0.2), (1.5, 1.0), (-0.7, 3.0)])
def test_kl_is_the_mean_log_ratio_of_draws(loc: float, scale: float) -> None:
    m, s, pm, ps = double(loc, scale, 0.4, 1.3)
    z = reparameterise(m.expand(200_000), s)
    ratio = Normal(m, s).log_prob(z) - Normal(pm, ps).log_prob(z)
    error = ratio.std() / math.sqrt(len(z))
    assert (ratio.mean() - kl_divergence(m, s, pm, ps)).abs() < 3 * error


def test_draws_have_the_stated_moments() -> None:
    loc, scale = double(2.0, 0.3)
    z = reparameterise(loc.expand(100_000), scale)
    assert (z.mean() - loc).abs() < 4 * scale / math.sqrt(len(z))
    assert (z.var() - scale**2).abs() < 4 * math.sqrt(2 / len(z)) * scale**2


def test_the_reparameterised_objective_has_the_gradient_of_finite_differences() -> None:
    """E_q f(z) + KL with the noise frozen, in double precision."""
    prior = torch.randn(4, dtype=torch.float64), torch.rand(4, dtype=torch.float64) + 0.5

    def objective(loc: Tensor, raw: Tensor) -> Tensor:
        torch.manual_seed(3)
        scale = bounded_scale(raw)
        z = reparameterise(loc, scale)
        return (torch.sin(z) * z).sum() + kl_divergence(loc, scale, *prior).sum()

    loc = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    raw = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(objective, (loc, raw))


def test_kl_has_the_gradient_of_finite_differences() -> None:
    args = [torch.randn(6, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    widths = [torch.rand(6, dtype=torch.float64).add(0.3).requires_grad_() for _ in range(2)]
    assert torch.autograd.gradcheck(kl_divergence, (args[0], widths[0], args[1], widths[1]))
    assert torch.autograd.gradgradcheck(kl_divergence, (args[0], widths[0], args[1], widths[1]))


@given(st.floats(-1e6, 1e6))
def test_scale_stays_within_its_bounds_and_feels_a_gradient(value: float) -> None:
    raw = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    scale = bounded_scale(raw)
    assert SCALE_FLOOR <= scale.item() <= SCALE_CEILING
    scale.log().backward()
    if abs(value) < 1e4:
        assert raw.grad is not None
        assert raw.grad.item() > 0


@pytest.mark.parametrize("value", [-100.0, -30.0, 0.0, 30.0, 100.0])
def test_the_gradient_of_a_far_out_scale_is_right_in_single_precision(value: float) -> None:
    gradients = []
    for dtype in (torch.float32, torch.float64):
        raw = torch.tensor(value, dtype=dtype, requires_grad=True)
        bounded_scale(raw).log().backward()
        assert raw.grad is not None
        gradients.append(raw.grad.double())
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-2, atol=0)


def test_scale_grows_one_for_one_at_the_centre_of_its_range() -> None:
    raw = torch.zeros((), dtype=torch.float64, requires_grad=True)
    log_scale = bounded_scale(raw).log()
    log_scale.backward()
    assert log_scale.item() == pytest.approx(math.log(math.sqrt(SCALE_FLOOR * SCALE_CEILING)))
    assert raw.grad is not None
    assert raw.grad.item() == pytest.approx(1.0)


@given(st.floats(1.01e-3, 9.99))
def test_unbounded_scale_inverts(scale: float) -> None:
    raw = torch.tensor(unbounded_scale(scale), dtype=torch.float64)
    assert bounded_scale(raw).item() == pytest.approx(scale, rel=1e-9)


@pytest.mark.parametrize("scale", [0.0, -1.0, SCALE_FLOOR, SCALE_CEILING, 11.0, math.nan])
def test_a_scale_outside_its_bounds_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="strictly between"):
        unbounded_scale(scale)


def rate_of(loc: Tensor, scale: Tensor) -> Tensor:
    moments = (loc, loc.square(), scale.square(), scale.log())
    return information_rate(*(moment.mean(0) for moment in moments))


def test_rate_of_one_scale_is_the_capacity_of_a_gaussian_channel() -> None:
    """σ constant and Var µ = v: R = ½ ln(1 + v/σ²)."""
    loc = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)[:, None] + 5.0
    rate = rate_of(loc, torch.full_like(loc, 0.5))
    assert rate.item() == pytest.approx(0.5 * math.log(1 + 1 / 0.25))


@given(st.integers(0, 10_000))
def test_rate_is_the_least_kl_that_a_fixed_gaussian_prior_can_reach(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    loc = torch.randn(32, 3, generator=generator, dtype=torch.float64) * 2
    scale = torch.rand(32, 3, generator=generator, dtype=torch.float64) + 0.05
    rate = rate_of(loc, scale)
    best_loc = loc.mean(0)
    best_scale = (scale.square().mean(0) + loc.var(0, correction=0)).sqrt()
    best = kl_divergence(loc, scale, best_loc, best_scale).mean(0)
    torch.testing.assert_close(rate, best)
    assert (kl_divergence(loc, scale).mean(0) >= rate - 1e-12).all()


def test_rate_is_zero_without_variation_and_never_negative() -> None:
    constant = torch.full((8, 2), 1000.3)
    assert (rate_of(constant, torch.full((8, 2), 0.1)) >= 0).all()
    exact = torch.full((8, 2), 2.0, dtype=torch.float64)
    torch.testing.assert_close(rate_of(exact, exact), torch.zeros(2, dtype=torch.float64))
