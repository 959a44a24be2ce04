"""The macro prior: a hierarchy of two levels, counted once each."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

import vneuron as vn


def test_given_a_macro_sample_it_is_a_shifted_normal() -> None:
    prior = vn.MacroNormal(3, 2, macro_dim=4)
    g = torch.randn(6, 4)
    loc, scale = torch.randn(6, 3, 2), torch.rand(6, 3, 2) + 0.2
    found = prior.kl(loc, scale, vn.PriorContext(macro=g))
    centre = prior.loc + (prior.weight @ g.T).permute(2, 0, 1)
    expected = kl_divergence(Normal(loc, scale), Normal(centre, torch.ones(()))).sum(-1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_without_one_it_is_the_marginal_over_macros() -> None:
    torch.manual_seed(0)
    prior = vn.MacroNormal(2, 1, macro_dim=3)
    with torch.no_grad():
        prior.weight.mul_(10)
        prior.loc.fill_(0.5)
    g = torch.randn(200_000, 3)
    z = prior.loc[..., 0] + g @ prior.weight[:, 0].T + torch.randn(200_000, 2)
    loc, scale = prior.moments()
    error = scale[:, 0] / 200_000**0.5
    assert ((z.mean(0) - loc[:, 0]).abs() < 4 * error).all()
    assert ((z.var(0) / scale[:, 0].square() - 1).abs() < 4 * (2 / 200_000) ** 0.5).all()


def test_the_two_levels_add_up_to_the_joint_divergence() -> None:
    """E_q(g) of both KLs is KL(q(g) q(z) ‖ p(g) p(z|g)), by Monte Carlo over draws of (g, z)."""
    torch.manual_seed(0)
    macro = vn.GaussianUnits(3, 2)
    micro = vn.GaussianUnits(3, 4, prior=vn.MacroNormal(4, macro_dim=2))
    with torch.no_grad():
        micro.prior.weight.mul_(8)
    h = torch.randn(1, 3).expand(100_000, 3)
    with torch.no_grad():
        top = macro.infer(h)
        g = top.sample.flatten(1)
        low = micro.infer(h, vn.PriorContext(macro=g))
        claimed = top.kl.sum(-1) + low.kl.sum(-1)
        centre = g @ micro.prior.weight[:, 0].T
        ratio = (
            Normal(top.loc, top.scale).log_prob(top.sample).sum((1, 2))
            - Normal(0.0, 1.0).log_prob(top.sample).sum((1, 2))
            + Normal(low.loc, low.scale).log_prob(low.sample).sum((1, 2))
            - Normal(centre, 1.0).log_prob(low.sample[..., 0]).sum(1)
        )
    difference = claimed - ratio
    assert abs(difference.mean()) < 3 * difference.std() / 100_000**0.5


def test_what_units_share_is_paid_for_once() -> None:
    """Units that all copy one number pay less under a macro prior trained on them."""
    torch.manual_seed(0)
    x = torch.randn(2000, 1)
    loc = x[:, :, None].expand(-1, 8, -1)
    scale = torch.full_like(loc, 0.5)
    prior = vn.MacroNormal(8, macro_dim=1)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        prior.kl(loc, scale, vn.PriorContext(macro=x)).sum(-1).mean().backward()
        optimizer.step()
    with torch.no_grad():
        alone = vn.StandardNormal().kl(loc, scale).sum(-1).mean()
        together = prior.kl(loc, scale, vn.PriorContext(macro=x)).sum(-1).mean()
    assert together < 0.05 * alone


def test_a_macro_sample_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(6, 3\), expected \[6, 2\]"):
        vn.MacroNormal(4).kl(
            torch.zeros(6, 4, 1), torch.ones(6, 4, 1), vn.PriorContext(macro=torch.zeros(6, 3))
        )
