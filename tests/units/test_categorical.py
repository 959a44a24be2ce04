"""Categorical units: hard in evaluation, relaxed in training, priced by their divergence."""

from __future__ import annotations

import pytest
import torch

from vneuron import Collect, deterministic
from vneuron.units.categorical import CategoricalUnits


def test_draws_and_moments() -> None:
    layer, h = CategoricalUnits(3, units=4, latent_dim=5), torch.randn(6, 3)
    relaxed = layer.train().infer(h).sample
    assert ((relaxed > 0) & (relaxed < 1)).any()
    hard = layer.eval().infer(h).sample
    assert torch.equal(hard.sum(-1), torch.ones(6, 4))
    assert set(hard.unique().tolist()) <= {0.0, 1.0}
    with deterministic(layer):
        latent = layer.infer(h)
    assert torch.equal(latent.sample, latent.loc)
    torch.testing.assert_close(latent.loc.sum(-1), torch.ones(6, 4))
    torch.testing.assert_close(latent.scale.square(), latent.loc * (1 - latent.loc))


def test_the_term_is_the_divergence_of_torch() -> None:
    layer, h = CategoricalUnits(3, 4, 5), torch.randn(6, 3)
    with torch.no_grad():
        layer.prior_logits.normal_()
    _, (term,) = Collect(torch.nn.Sequential(layer))(h)
    q = torch.distributions.Categorical(logits=layer.logits(h).view(6, 4, 5))
    p = torch.distributions.Categorical(logits=layer.prior_logits.expand(6, -1, -1))
    torch.testing.assert_close(term.kl, torch.distributions.kl_divergence(q, p))


def test_every_parameter_gets_a_gradient() -> None:
    layer = CategoricalUnits(3, 4, 5)
    latent = layer.infer(torch.randn(6, 3))
    (latent.sample.square().sum() + latent.kl.sum()).backward()
    assert all(p.grad is not None and (p.grad != 0).any() for p in layer.parameters())


@pytest.mark.parametrize("arguments", [{"latent_dim": 1}, {"temperature": 0.0}, {"units": 0}])
def test_refusals(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CategoricalUnits(**{"in_features": 3, "units": 2, "latent_dim": 4} | arguments)  # type: ignore[arg-type]
