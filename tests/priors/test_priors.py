"""Priors against torch.distributions; the rest of their contract is in tests/contracts."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

import vneuron as vn
from vneuron.vitals.measures import rate


def posterior() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(6, 4, 3), torch.rand(6, 4, 3) + 0.1


def test_the_standard_prior_is_a_unit_normal() -> None:
    loc, scale = posterior()
    expected = kl_divergence(Normal(loc, scale), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(vn.StandardNormal().kl(loc, scale), expected)
    assert not vn.StandardNormal().state_dict()


def test_a_learned_prior_starts_as_the_standard_one_and_moves() -> None:
    loc, scale = posterior()
    prior = vn.LearnedNormal(4, 3)
    torch.testing.assert_close(prior.kl(loc, scale), vn.StandardNormal().kl(loc, scale))
    with torch.no_grad():
        prior.loc.normal_()
        prior.raw_scale.normal_()
    expected = kl_divergence(Normal(loc, scale), Normal(*prior.moments())).sum(-1)
    torch.testing.assert_close(prior.kl(loc, scale), expected)


def test_a_trained_prior_brings_the_kl_down_to_the_rate() -> None:
    loc, scale = posterior()
    loc = 3.0 + 0.5 * loc
    prior = vn.LearnedNormal(4, 3)
    optimiser = torch.optim.LBFGS(prior.parameters(), max_iter=100)

    def closure() -> float:
        optimiser.zero_grad()
        loss = prior.kl(loc, scale).mean(0).sum()
        loss.backward()
        return loss.item()

    for _ in range(5):
        optimiser.step(closure)
    term = vn.LocalTerm("u", prior.kl(loc, scale), loc, loc, scale, torch.ones(4))
    torch.testing.assert_close(prior.kl(loc, scale).mean(0), rate(term), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("units", "k"), [(0, 1), (3, 0)])
def test_a_size_below_one_is_refused(units: int, k: int) -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        vn.LearnedNormal(units, k)
