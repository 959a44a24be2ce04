"""The prior with a memory: starts, context, transition, and what ShareBalance relies on."""

from __future__ import annotations

import math

import pytest
import torch

import vneuron as vn
from vneuron.functional.autoregressive import expected_kl


def posterior(batch: int = 6, units: int = 3, k: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(batch, units, k), torch.rand(batch, units, k) + 0.2


def test_it_starts_as_a_standard_normal() -> None:
    prior = vn.AutoregressiveNormal(3, 2, phi=0.8)
    loc, scale = posterior()
    torch.testing.assert_close(prior.kl(loc, scale), vn.StandardNormal().kl(loc, scale))
    torch.testing.assert_close(prior.moments()[1], torch.ones(3, 2))


def test_given_the_window_before_it_is_the_expected_kl() -> None:
    prior = vn.AutoregressiveNormal(3, 2, phi=0.8, tau=0.3)
    (loc, scale), (before, before_scale) = posterior(), posterior()
    found = prior.kl(loc, scale, vn.PriorContext(before, before_scale))
    phi, tau = torch.tensor(0.8), torch.tensor(0.3)
    expected = expected_kl(loc, scale, before, before_scale, phi, tau).sum(-1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [1, 3])
def test_over_a_whole_sequence_it_is_the_dense_gaussian_of_each_unit(k: int) -> None:
    """Every unit and dimension has φ and τ of its own; the first window has no predecessor."""
    torch.manual_seed(k)
    steps, units = 60, 4
    prior = vn.AutoregressiveNormal(units, k).double()
    with torch.no_grad():
        prior.raw_phi.normal_(0.0, 1.5)
        prior.raw_tau.normal_(0.0, 1.0)
    loc = torch.randn(steps, units, k, dtype=torch.float64)
    scale = torch.rand(steps, units, k, dtype=torch.float64) + 0.05
    before = [torch.cat([torch.full_like(x[:1], torch.nan), x[:-1]]) for x in (loc, scale)]
    first = torch.arange(steps) == 0
    # What stands in the place of a missing predecessor must not matter, not even NaN.
    found = prior.kl(loc, scale, vn.PriorContext(*before, first)).sum(0)
    lags = (torch.arange(steps)[:, None] - torch.arange(steps)).abs()
    for unit in range(units):
        expected = torch.zeros((), dtype=torch.float64)
        for i in range(k):
            phi, tau = prior.phi()[unit, i], prior.tau()[unit, i]
            covariance = tau.square() / (1 - phi.square()) * phi**lags
            expected = expected + torch.distributions.kl_divergence(
                torch.distributions.MultivariateNormal(
                    loc[:, unit, i], torch.diag(scale[:, unit, i].square())
                ),
                torch.distributions.MultivariateNormal(
                    torch.zeros(steps, dtype=torch.float64), covariance
                ),
            )
        torch.testing.assert_close(found[unit], expected, rtol=1e-8, atol=1e-8)


def test_examples_without_a_predecessor_use_the_start() -> None:
    prior = vn.AutoregressiveNormal(3, 2, phi=0.8)
    (loc, scale), (before, before_scale) = posterior(), posterior()
    first = torch.tensor([True, False, True, False, False, False])
    found = prior.kl(loc, scale, vn.PriorContext(before, before_scale, first))
    start = prior.kl(loc, scale)
    later = prior.kl(loc, scale, vn.PriorContext(before, before_scale))
    torch.testing.assert_close(found[first], start[first])
    torch.testing.assert_close(found[~first], later[~first])
    assert not torch.isclose(start[~first], later[~first]).any()


def test_half_a_predecessor_is_refused() -> None:
    prior = vn.AutoregressiveNormal(3, 2)
    with pytest.raises(ValueError, match="expected both"):
        prior.kl(*posterior(), vn.PriorContext(previous_loc=torch.zeros(6, 3, 2)))


@pytest.mark.parametrize("phi", [-1.0, 1.0, 1.5])
def test_a_process_without_a_start_is_refused(phi: float) -> None:
    with pytest.raises(ValueError, match="phi is"):
        vn.AutoregressiveNormal(3, phi=phi)


def test_persistence_is_learned() -> None:
    """Posteriors that follow z = .9 z′ + noise of .3 teach the prior both numbers."""
    torch.manual_seed(0)
    prior = vn.AutoregressiveNormal(1, phi=0.1)
    before = torch.randn(4000, 1, 1)
    now = 0.9 * before + 0.3 * torch.randn(4000, 1, 1)
    tiny = torch.full_like(now, 0.01)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        prior.kl(now, tiny, vn.PriorContext(before, tiny)).mean().backward()
        optimizer.step()
    assert prior.phi().item() == pytest.approx(0.9, abs=0.02)
    assert prior.tau().item() == pytest.approx(0.3, abs=0.02)


class Pairs(torch.nn.Module):
    def __init__(self, layer: vn.GaussianUnits) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, h: torch.Tensor, before: torch.Tensor, first: torch.Tensor | None = None):
        with vn.muted():
            past = self.layer.infer(before)
        return self.layer(h, vn.PriorContext(past.loc, past.scale, first))


@pytest.mark.parametrize("form", ["kl", "quadratic"])
def test_the_transition_is_the_part_that_the_predecessor_decides(form: str) -> None:
    prior = vn.AutoregressiveNormal(4, 2, phi=0.7, form=form)
    prior.weight.copy_(torch.tensor([0.5, 1.0, 2.0, 3.0]))
    layer = vn.GaussianUnits(3, 4, latent_dim=2, prior=prior, scale="per_unit")
    h, before = torch.randn(512, 3), torch.randn(512, 3)
    model = vn.Collect(Pairs(layer))
    _, terms = model(h, before)
    vn.control_step(layer, terms)
    term = terms[0]
    moved = (term.loc - 0.7 * term.previous_loc).square()
    if form == "kl":
        moved = moved + 0.49 * term.previous_scale.square()
    expected = (0.5 * moved / 0.51).mean(0).sum(-1)
    expected = expected * (prior.weight if form == "quadratic" else 1.0)
    torch.testing.assert_close(prior.transition(layer.statistics), expected, rtol=1e-4, atol=1e-5)
    share = vn.health(layer).units["transition_share"]
    torch.testing.assert_close(
        torch.tensor(share.to_numpy()).float(),
        (expected / term.kl.mean(0)).float(),
        rtol=1e-4,
        atol=1e-5,
    )


def test_persistence_is_the_correlation_over_pairs_that_exist() -> None:
    layer = vn.GaussianUnits(3, 4, prior=vn.AutoregressiveNormal(4))
    before = torch.randn(512, 3)
    h = 0.8 * before + 0.6 * torch.randn(512, 3)
    first = torch.rand(512) < 0.3
    model = vn.Collect(Pairs(layer))
    _, terms = model(h, before, first)
    assert terms[0].previous_loc[first].isnan().all()
    vn.control_step(layer, terms)
    now = layer.infer(h).loc[~first, :, 0].detach().T
    then = layer.infer(before).loc[~first, :, 0].detach().T
    found = layer.statistics.pairs.persistence()
    expected = torch.stack([torch.corrcoef(torch.stack(p))[0, 1] for p in zip(now, then)])  # noqa: B905
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    _, terms = model(h, before, torch.ones(512, dtype=torch.bool))
    vn.control_step(layer, terms)  # no pair at all: nothing moves, and nothing becomes NaN
    torch.testing.assert_close(layer.statistics.pairs.persistence(), found)


def test_without_predecessors_persistence_is_unknown() -> None:
    layer = vn.GaussianUnits(3, 4)
    vn.control_step(layer, vn.Collect(layer)(torch.randn(8, 3))[1])
    assert layer.statistics.pairs.persistence().isnan().all()
    assert all(math.isnan(x) for x in vn.health(layer).units["transition_share"])
