"""The divergence from negative binomial counts, against SciPy's laws and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.functional import poisson
from vneuron.functional.gamma_poisson import kl_divergence, kl_table

SHAPES = st.floats(0.003, 30.0)
MEANS = st.floats(1e-3, 5.0)


@given(u=st.floats(-9.0, 4.0), shape=SHAPES, mean=MEANS)
def test_kl_is_the_sum_over_counts(u: float, shape: float, mean: float) -> None:
    z, rate = np.arange(400), math.exp(u)
    log_q = scipy.stats.poisson.logpmf(z, rate)
    log_p = scipy.stats.nbinom.logpmf(z, shape, shape / (shape + mean))
    expected = float((np.exp(log_q) * (log_q - log_p)).sum())
    kl, _ = kl_divergence(torch.tensor([u], dtype=torch.float64), shape, mean)
    assert kl.item() == pytest.approx(expected, rel=1e-7, abs=1e-8)


@given(u=st.floats(-6.0, 4.0), shape=SHAPES, mean=MEANS)
def test_the_slope_is_the_derivative_by_the_rate(u: float, shape: float, mean: float) -> None:
    rate, step = math.exp(u), 1e-4 * math.exp(u)
    sides = torch.tensor([rate - step, rate + step], dtype=torch.float64).log()
    kl, _ = kl_divergence(sides, shape, mean)
    _, slope = kl_divergence(torch.tensor([u], dtype=torch.float64), shape, mean)
    assert slope.item() == pytest.approx(
        float(kl[1] - kl[0]) / (2 * step), rel=1e-3, abs=1e-4 + 1e-10 / step
    )


def test_a_large_shape_is_the_poisson_prior() -> None:
    u = torch.linspace(-6.0, 3.0, 40, dtype=torch.float64)
    kl, slope = kl_divergence(u, shape=1e7, mean=0.3)
    torch.testing.assert_close(
        kl, poisson.kl_divergence(u, torch.tensor(math.log(0.3)).double()), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(slope, u - math.log(0.3), rtol=1e-4, atol=1e-5)


def test_the_first_spike_is_dear_and_the_next_are_cheap() -> None:
    u = torch.tensor([0.5, 20.0, 40.0]).log()
    kl, _ = kl_divergence(u, shape=0.01, mean=0.1)
    heavy = (kl[2] - kl[1]) / (kl[1] - kl[0])
    light = torch.diff(poisson.kl_divergence(u, torch.tensor(0.1).log()))
    assert heavy < 0.5 < float(light[1] / light[0])


def test_a_table_reads_what_was_tabulated_and_goes_on_beyond() -> None:
    table = kl_table(shape=0.01, mean=0.1, lowest=-12.0, highest=6.0)
    u = torch.linspace(-12.0, 6.0, 1234)
    kl, slope = kl_divergence(u, 0.01, 0.1)
    torch.testing.assert_close(table.read(u).double(), kl, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(table.read_slope(u).double(), slope, rtol=1e-4, atol=5e-4)
    beyond = table.read(torch.tensor([-13.0, 6.5]))
    assert torch.isfinite(beyond).all()
    assert beyond[1] > table.read(torch.tensor(6.0))


def test_a_gradient_passes_a_table() -> None:
    table = kl_table(shape=0.05, mean=0.2, lowest=-8.0, highest=4.0)
    u = torch.tensor([-3.0, 0.3, 2.0], requires_grad=True)
    table.read(u).sum().backward()
    expected = u.detach().exp() * table.read_slope(u.detach())
    torch.testing.assert_close(u.grad, expected, rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize(("shape", "mean"), [(0.0, 1.0), (1.0, -1.0), (math.inf, 1.0)])
def test_what_is_no_gamma_distribution_is_refused(shape: float, mean: float) -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        kl_table(shape, mean, -1.0, 1.0)
