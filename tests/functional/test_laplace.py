"""Laplace divergence and draws against torch, Monte Carlo and autograd."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.functional.laplace import kl_divergence, reparameterise

WIDTHS = st.floats(0.01, 20.0)


@given(st.floats(-50, 50), WIDTHS, st.floats(-50, 50), WIDTHS)
def test_kl_is_that_of_torch_and_never_negative(m: float, b: float, n: float, s: float) -> None:
    loc, width, prior_loc, prior_width = torch.tensor([m, b, n, s], dtype=torch.float64)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Laplace(loc, width), torch.distributions.Laplace(prior_loc, prior_width)
    )
    found = kl_divergence(loc, width, prior_loc, prior_width)
    assert found >= -1e-12
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_kl_agrees_with_monte_carlo() -> None:
    loc, width, prior = 0.7, 0.4, torch.distributions.Laplace(torch.tensor(0.1), torch.tensor(1.3))
    posterior = torch.distributions.Laplace(torch.tensor(loc), torch.tensor(width))
    z = reparameterise(torch.full((400_000,), loc), torch.tensor(width))
    ratio = posterior.log_prob(z) - prior.log_prob(z)
    error = ratio.std() / math.sqrt(len(z))
    found = kl_divergence(*torch.tensor([loc, width, 0.1, 1.3]).unbind())
    assert abs(found - ratio.mean()) < 3 * error


def test_small_distances_do_not_cancel() -> None:
    one = torch.ones(())
    for distance in (1e-4, 1e-3, 0.0299, 0.0301, 0.1):
        exact = kl_divergence(*torch.tensor([distance, 1, 0, 1], dtype=torch.float64).unbind())
        found = kl_divergence(torch.tensor(distance), one, 0 * one, one).double()
        torch.testing.assert_close(found, exact, rtol=2e-4, atol=0)
    tiny = kl_divergence(torch.tensor(1e-4), one, 0 * one, one)
    assert tiny.item() == pytest.approx(5e-9, rel=1e-3)


def test_gradients_pass_everywhere() -> None:
    values = [
        torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for v in ([0.3, -2.0, 0.01], [0.5, 1.0, 1.0], [0.1, 2.0, 0.0], [1.0, 0.3, 1.0])
    ]
    assert torch.autograd.gradcheck(kl_divergence, values)
    far = torch.tensor(1e30, requires_grad=True)
    kl_divergence(far, torch.ones(()), torch.zeros(()), torch.ones(())).backward()
    assert far.grad is not None
    assert far.grad.isfinite()


def test_draws_have_the_law_and_pass_gradients() -> None:
    loc = torch.tensor(0.5, requires_grad=True)
    width = torch.tensor(0.8, requires_grad=True)
    n = 300_000
    z = reparameterise(loc.expand(n), width)
    law = torch.distributions.Laplace(0.5, 0.8)
    grid = torch.linspace(-3, 4, 9)
    share = (z.detach()[:, None] <= grid).float().mean(0)
    spread = (law.cdf(grid) * (1 - law.cdf(grid)) / n).sqrt()
    assert ((share - law.cdf(grid)).abs() < 4.5 * spread).all()
    # d E z² / db = 4 b, as E z² = µ² + 2 b².
    (by_width,) = torch.autograd.grad(z.square().mean(), width)
    assert by_width.item() == pytest.approx(4 * 0.8, rel=0.03)
