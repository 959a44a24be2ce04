"""Poisson units keep the contract of units, and charge for spikes."""

from __future__ import annotations

import pytest
import torch

from vneuron import Collect
from vneuron.testing import check_unit
from vneuron.units.poisson import PoissonUnits


@pytest.mark.parametrize("prior_rate", [1.0, 4.0])
def test_contract(prior_rate: float) -> None:
    check_unit(lambda i, u, k: PoissonUnits(i, u, latent_dim=k, prior_rate=prior_rate))


def test_counts_are_whole_in_evaluation_and_relaxed_in_training() -> None:
    layer, h = PoissonUnits(3, 50, temperature=0.5, activity="raw"), torch.randn(20, 3)
    assert not torch.equal(layer.eval()(h), layer(h))
    counts = layer(h)
    assert torch.equal(counts, counts.round())
    relaxed = layer.train()(h)
    assert not torch.equal(relaxed, relaxed.round())
    assert relaxed.requires_grad


def test_kl_is_that_of_torch() -> None:
    layer, h = PoissonUnits(3, 4, latent_dim=2).double(), torch.randn(6, 3, dtype=torch.float64)
    latent = layer.infer(h)
    q = torch.distributions.Poisson(latent.loc)
    p = torch.distributions.Poisson(layer.log_prior.exp().expand_as(latent.loc))
    torch.testing.assert_close(latent.kl, torch.distributions.kl_divergence(q, p).sum(-1))


def test_the_same_change_costs_in_proportion_to_the_prior_rate() -> None:
    h = torch.ones(1, 3)
    quiet, busy = PoissonUnits(3, 4, prior_rate=0.1), PoissonUnits(3, 4, prior_rate=10.0)
    busy.log_change.load_state_dict(quiet.log_change.state_dict())
    torch.testing.assert_close(busy.infer(h).kl, 100 * quiet.infer(h).kl)


def test_training_moves_rates_to_the_data() -> None:
    model = Collect(torch.nn.Sequential(PoissonUnits(1, 1, beta=0.0)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    h, target = torch.tensor([[-1.0], [1.0]]).repeat(200, 1), torch.tensor([[1.0], [5.0]])
    for _ in range(200):
        optimizer.zero_grad()
        y, terms = model(h)
        loss = (y - target.repeat(200, 1)).square().mean() + 1e-3 * terms[0].kl.mean()
        loss.backward()
        optimizer.step()
    rate = terms[0].loc[:2, 0, 0]
    assert rate[1] > 3 * rate[0]
    assert 3.5 < rate[1] < 5.5


@pytest.mark.parametrize(
    "arguments", [{"prior_rate": 0.0}, {"temperature": 0.0}, {"temperature": 2.0}, {"units": 0}]
)
def test_refusals(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        PoissonUnits(**{"in_features": 3, "units": 2} | arguments)  # type: ignore[arg-type]
