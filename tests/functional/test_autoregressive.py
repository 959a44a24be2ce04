"""The autoregressive prior against the dense Gaussian that it is."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from vneuron.functional.autoregressive import expected_kl, quadratic_penalty, stationary_scale
from vneuron.functional.gaussian import kl_divergence as gaussian_kl


def dense(phi: float, tau: float, steps: int) -> torch.Tensor:
    """Covariance of a stationary sequence, from its definition alone."""
    lags = torch.arange(steps, dtype=torch.float64)
    variance = tau**2 / (1 - phi**2)
    return variance * phi ** (lags[:, None] - lags[None, :]).abs()


@given(
    phi=st.floats(-0.95, 0.95),
    tau=st.floats(0.1, 3.0),
    steps=st.integers(1, 12),
    seed=st.integers(0, 100),
)
def test_a_sequence_costs_what_the_dense_gaussian_says(
    phi: float, tau: float, steps: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    loc = torch.randn(steps, generator=generator, dtype=torch.float64)
    scale = torch.rand(steps, generator=generator, dtype=torch.float64) + 0.1
    p, t = torch.tensor(phi, dtype=torch.float64), torch.tensor(tau, dtype=torch.float64)
    start = gaussian_kl(loc[0], scale[0], 0.0, stationary_scale(p, t))
    later = expected_kl(loc[1:], scale[1:], loc[:-1], scale[:-1], p, t)
    posterior = MultivariateNormal(loc, torch.diag(scale.square()))
    prior = MultivariateNormal(torch.zeros_like(loc), dense(phi, tau, steps))
    expected = kl_divergence(posterior, prior)
    torch.testing.assert_close(start + later.sum(), expected, rtol=1e-8, atol=1e-8)


@given(phi=st.floats(-0.95, 0.95), tau=st.floats(0.1, 3.0), seed=st.integers(0, 100))
def test_a_path_has_the_density_that_the_dense_gaussian_gives_it(
    phi: float, tau: float, seed: int
) -> None:
    """The other half of the KL: −E ln p is that of the chain for every path, so for points too."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(40, generator=generator, dtype=torch.float64)
    p, t = torch.tensor(phi, dtype=torch.float64), torch.tensor(tau, dtype=torch.float64)
    means = torch.cat([torch.zeros(1, dtype=torch.float64), p * z[:-1]])
    scales = torch.cat([stationary_scale(p, t)[None], t.expand(39)])
    chain = Normal(means, scales).log_prob(z).sum()
    whole = MultivariateNormal(torch.zeros_like(z), dense(phi, tau, 40)).log_prob(z)
    torch.testing.assert_close(chain, whole, rtol=1e-8, atol=1e-8)


def test_the_expectation_is_that_of_draws_of_the_state_before() -> None:
    torch.manual_seed(0)
    phi, tau = torch.tensor(0.8), torch.tensor(0.5)
    before = Normal(0.7, 0.6)
    draws = before.sample((200_000,))
    each = gaussian_kl(torch.tensor(0.3), torch.tensor(0.4), phi * draws, tau)
    error = each.std() / len(each) ** 0.5
    found = expected_kl(
        torch.tensor(0.3), torch.tensor(0.4), torch.tensor(0.7), torch.tensor(0.6), phi, tau
    )
    assert abs(found - each.mean()) < 3 * error


def test_the_quadratic_penalty_is_the_part_that_means_decide() -> None:
    loc, before = torch.randn(5, requires_grad=True), torch.randn(5)
    phi, tau = torch.tensor(0.9), torch.tensor(0.7)
    whole = expected_kl(loc, torch.full((5,), 0.3), before, torch.full((5,), 0.2), phi, tau)
    part = quadratic_penalty(loc, before, phi, tau)
    (left,) = torch.autograd.grad(whole.sum(), loc, retain_graph=True)
    (right,) = torch.autograd.grad(part.sum(), loc)
    torch.testing.assert_close(left, right)
    assert (whole - part).std() < 1e-6  # the rest does not depend on the means


@pytest.mark.parametrize("phi", [0.0, 0.5, -0.9])
def test_the_stationary_scale_is_a_fixed_point(phi: float) -> None:
    p, t = torch.tensor(phi), torch.tensor(0.4)
    s = stationary_scale(p, t)
    torch.testing.assert_close(s.square(), p.square() * s.square() + t.square())
