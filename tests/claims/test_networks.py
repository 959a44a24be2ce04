"""Where an MLP keeps its uncertainty: what is drawn is what is claimed, and sizes are equal."""

from __future__ import annotations

import pytest
import torch
from study.networks import KINDS, BayesianLinear, build, parameters, weight_kl, width_for


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_widths_give_equal_parameters(kind: str, depth: int) -> None:
    budget = parameters(build("deterministic", 64, 10, 64, 2, 1.0))
    width = width_for(kind, 64, 10, depth, budget)
    assert parameters(build(kind, 64, 10, width, depth, 1.0)) == pytest.approx(budget, rel=0.03)


def test_bayesian_outputs_have_the_moments_of_drawn_weights() -> None:
    torch.manual_seed(0)
    layer = BayesianLinear(3, 2).double()
    layer.log_scale.data.uniform_(-2.0, -0.5)
    x, draws = torch.tensor([[0.7, -1.2, 0.4]], dtype=torch.float64), 40_000
    with torch.no_grad():
        local = layer(x.expand(draws, -1))
        weights = layer.loc + layer.log_scale.exp() * torch.randn(draws, 2, 3).double()
        direct = (weights @ x[0]) + layer.bias
    spread = direct.std(0)
    assert torch.all((local.mean(0) - direct.mean(0)).abs() < 4.0 * spread * (2 / draws) ** 0.5)
    assert torch.allclose(local.std(0), spread, rtol=0.02)


def test_weight_kl_agrees_with_torch_distributions() -> None:
    layer = BayesianLinear(5, 4)
    layer.log_scale.data.uniform_(-4.0, 0.0)
    posterior = torch.distributions.Normal(layer.loc, layer.log_scale.exp())
    prior = torch.distributions.Normal(torch.zeros(()), torch.tensor(layer.prior_scale))
    expected = torch.distributions.kl_divergence(posterior, prior).sum()
    assert torch.allclose(weight_kl(torch.nn.Sequential(layer)), expected, rtol=1e-5)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind is 'neuron', expected one of"):
        build("neuron", 3, 2, 4, 1, 1.0)
