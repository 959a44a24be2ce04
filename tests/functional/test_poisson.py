"""Poisson counts against Monte Carlo, enumeration, SciPy, and plain autograd."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vneuron.functional.poisson import (
    check_window,
    draw_points,
    kl_divergence,
    relaxed_sample,
    sample_counts,
    window_weight,
)
from vneuron.inference.reference_compat import poisson_kl

N = 400_000


def exact_excess(shift: float) -> float:
    with mpmath.workdps(50):
        return float(1 - mpmath.exp(shift) + shift * mpmath.exp(shift))


@given(st.floats(-8, 4), st.floats(-8, 4))
def test_kl_is_that_of_torch_and_never_negative(u: float, v: float) -> None:
    log_rate, prior = torch.tensor([u, v], dtype=torch.float64)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Poisson(log_rate.exp()), torch.distributions.Poisson(prior.exp())
    )
    found = kl_divergence(log_rate, prior)
    assert found >= 0
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_kl_agrees_with_monte_carlo() -> None:
    rate, prior = 1.7, 0.6
    z = torch.poisson(torch.full((1_000_000,), rate, dtype=torch.float64))
    ratio = z * math.log(rate / prior) - rate + prior
    error = ratio.std() / math.sqrt(len(z))
    found = kl_divergence(torch.tensor(rate).log().double(), torch.tensor(prior).log().double())
    assert abs(found - ratio.mean()) < 3 * error


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_kl_is_accurate_where_it_cancels(dtype: torch.dtype, tolerance: float) -> None:
    shift = torch.logspace(-5, 0.9, 200, dtype=dtype)
    shift = torch.cat([shift, -shift])
    expected = torch.tensor([exact_excess(d) for d in shift.tolist()], dtype=torch.float64)
    found = kl_divergence(shift, torch.zeros((), dtype=dtype)).double()
    assert ((found - expected) / expected).abs().max() < tolerance


def test_kl_gradients_and_their_gradients() -> None:
    u = torch.tensor([-3.0, 0.0, 1e-4, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
    v = torch.tensor([-1.0, 0.0, 0.0, 0.5, -1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(kl_divergence, (u, v), atol=1e-8)
    assert torch.autograd.gradgradcheck(kl_divergence, (u, v), atol=1e-7)


@pytest.mark.parametrize(("shift", "ratio"), [(1.0, 2.718282), (-0.5, 0.606531), (1.5, 4.481689)])
def test_the_reference_code_charges_e_to_the_shift_too_much(shift: float, ratio: float) -> None:
    prior = torch.tensor(-0.7, dtype=torch.float64)
    found = poisson_kl(prior + shift, prior) / kl_divergence(prior + shift, prior)
    assert found.item() == pytest.approx(ratio, rel=1e-6)


@pytest.mark.parametrize("rate", [0.02, 0.4, 3.0, 40.0])
def test_exact_counts_have_the_poisson_law(rate: float) -> None:
    # Many zeros beside them, so that the path for sparse counts is the one tested.
    rates = torch.full((5 * 60_000,), 0.0)
    rates[:60_000] = min(rate, 4.9)
    counts = sample_counts(rates)[:60_000] if rate < 4.9 else sample_counts(rates[:60_000] + rate)
    assert_poisson(counts, min(rate, 4.9) if rate < 4.9 else rate + 4.9)


def assert_poisson(counts: Tensor, rate: float) -> None:
    law = scipy.stats.poisson(rate)
    low, high = int(law.ppf(1e-3)), int(law.ppf(1 - 1e-3))
    edges = np.arange(low, high)
    expected = np.diff(np.r_[0.0, law.cdf(edges), 1.0]) * len(counts)
    found = np.histogram(counts.numpy(), np.r_[-np.inf, edges + 0.5, np.inf])[0]
    assert scipy.stats.chisquare(found, expected).pvalue > 1e-3
    assert torch.equal(counts, counts.round())


def test_huge_and_zero_rates() -> None:
    rates = torch.tensor([0.0, 1e-30, 2e4] + [0.0] * 100_000)
    counts = sample_counts(rates)
    assert counts[:2].tolist() == [0.0, 0.0]
    assert abs(counts[2] - 2e4) < 6 * math.sqrt(2e4)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.1, 0.05])
@pytest.mark.parametrize("rate", [0.1, 2.5])
def test_cubic_moments(temperature: float, rate: float) -> None:
    u = torch.full((N,), math.log(rate), dtype=torch.float64, requires_grad=True)
    z = relaxed_sample(u, temperature)
    z.sum().backward()
    assert u.grad is not None
    variance = rate * (1 - 0.257142857 * temperature)
    assert_mean(z.detach(), rate)
    assert_mean((z.detach() - rate).square(), variance)
    assert_mean(u.grad, rate)  # dE z/du = r


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.1, 0.05])
def test_sigmoid_moments(temperature: float) -> None:
    rate = 1.3
    z = relaxed_sample(
        torch.full((N,), math.log(rate), dtype=torch.float64), temperature, "sigmoid"
    )
    area = temperature * math.log1p(math.exp(1 / temperature))
    square = temperature * (
        math.log1p(math.exp(1 / temperature)) - 1 / (1 + math.exp(-1 / temperature))
    )
    assert_mean(z, rate * area)
    assert_mean((z - rate * area).square(), rate * square)


def assert_mean(values: Tensor, expected: float) -> None:
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean() - expected) < 4 * error


def arrival_times(log_rate: Tensor, temperature: float, window: str, events: int) -> Tensor:
    """The published scheme: sums of exponential gaps at the rate, counted through the window."""
    gaps = torch.empty(events, *log_rate.shape, dtype=log_rate.dtype).exponential_()
    times = gaps.cumsum(0) / log_rate.exp()
    if window == "sigmoid":
        return torch.sigmoid((1 - times) / temperature).sum(0)
    v = ((1 - times) / (2 * temperature) + 0.5).clamp(0, 1)
    return (3 * v**2 - 2 * v**3).sum(0)


@pytest.mark.parametrize("window", ["cubic", "sigmoid"])
@pytest.mark.parametrize(
    ("temperature", "rate"), [(0.5, 0.3), (0.05, 0.3), (0.5, 2.0), (0.05, 2.0)]
)
def test_draw_and_slope_are_distributed_as_those_of_arrival_times(
    window: str, temperature: float, rate: float
) -> None:
    n, both = 100_000, []
    for scheme in ("fused", "plain"):
        u = torch.full((n,), math.log(rate), dtype=torch.float64, requires_grad=True)
        if scheme == "fused":
            z = relaxed_sample(u, temperature, window)  # type: ignore[arg-type]
        else:
            z = arrival_times(u, temperature, window, events=40 if window == "sigmoid" else 20)
        z.sum().backward()
        assert u.grad is not None
        slope, z = u.grad, z.detach()
        both.append(torch.stack([z, z**2, slope, slope**2, z * slope]))
    fused, plain = both
    error = (fused.var(1) / n + plain.var(1) / n).sqrt()
    assert ((fused.mean(1) - plain.mean(1)).abs() < 4 * error).all()
    quantiles = torch.linspace(0.05, 0.95, 10, dtype=torch.float64)
    torch.testing.assert_close(
        fused[0].quantile(quantiles), plain[0].quantile(quantiles), atol=0.05, rtol=0.05
    )


@pytest.mark.parametrize("window", ["cubic", "sigmoid"])
@pytest.mark.parametrize(("temperature", "rate"), [(0.7, 0.1), (0.2, 4.0), (0.02, 4.0)])
def test_the_kept_slope_is_what_autograd_finds_on_the_same_events(
    window: str, temperature: float, rate: float
) -> None:
    u = torch.full((2000,), math.log(rate), dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2000, dtype=torch.float64)
    torch.manual_seed(3)
    fused = relaxed_sample(u, temperature, window)  # type: ignore[arg-type]
    (found,) = torch.autograd.grad(fused @ weights, u)

    torch.manual_seed(3)
    points = draw_points(u.detach().exp(), temperature, window)  # type: ignore[arg-type]
    times = points.time * (u.detach() - u).exp()[points.owner]  # a point moves as e⁻ᵘ
    if window == "sigmoid":
        weight = torch.sigmoid((1 - times) / temperature)
    else:
        v = ((1 - times) / (2 * temperature) + 0.5).clamp(0, 1)
        weight = 3 * v**2 - 2 * v**3
    plain = points.whole.index_add(0, points.owner, weight)
    (expected,) = torch.autograd.grad(plain @ weights, u)
    torch.testing.assert_close(fused, plain)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("temperature", [0.003, 0.0])
def test_cold_draws_are_counts(temperature: float) -> None:
    z = relaxed_sample(torch.full((60_000,), 0.5), temperature)
    near = z.round()
    assert ((z - near).abs() > 1e-3).float().mean() <= 4 * temperature * math.exp(0.5)
    assert_poisson(near, math.exp(0.5))


def test_a_draw_at_temperature_zero_carries_no_gradient() -> None:
    assert not relaxed_sample(torch.zeros(3, requires_grad=True), 0.0).requires_grad


def test_shapes_that_are_not_contiguous() -> None:
    u = torch.zeros(1, 3, requires_grad=True)
    z = relaxed_sample(u.expand(5, -1), 0.5)
    z.sum().backward()
    assert z.shape == (5, 3)
    assert sample_counts(torch.ones(4, 3).T).shape == (3, 4)
    assert sample_counts(torch.full((4, 3), 0.1).T).shape == (3, 4)


def test_a_generator_is_the_only_source_of_randomness() -> None:
    u = torch.linspace(-3, 3, 100)
    draws = [relaxed_sample(u, 0.3, generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*draws)
    before = torch.get_rng_state()
    sample_counts(u.exp(), torch.Generator().manual_seed(5))
    assert torch.equal(torch.get_rng_state(), before)


def test_windows_fall_from_one_to_zero() -> None:
    time = torch.linspace(0, 3, 301, dtype=torch.float64, requires_grad=True)
    for window in ("cubic", "sigmoid"):
        weight, slope = window_weight(time, 0.3, window)  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(weight.sum(), time, retain_graph=True)
        torch.testing.assert_close(slope, -gradient)
        assert (slope >= 0).all()
        assert weight[0] > 0.96
        assert weight[-1] < 0.01


@pytest.mark.parametrize(
    ("temperature", "window"),
    [(-0.1, "cubic"), (1.5, "cubic"), (math.inf, "sigmoid"), (0.5, "box")],
)
def test_refusals(temperature: float, window: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        check_window(temperature, window)
