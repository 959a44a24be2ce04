"""The twin: the same shapes as Gaussian units, without noise or KL."""

from __future__ import annotations

import torch

import vneuron as vn


def test_it_is_gaussian_units_at_their_means() -> None:
    gaussian, twin = vn.GaussianUnits(3, 4, latent_dim=2), vn.DeterministicUnits(3, 4, latent_dim=2)
    twin.loc.load_state_dict(gaussian.loc.state_dict())
    h = torch.randn(5, 3)
    with vn.deterministic(gaussian):
        assert torch.equal(twin(h), gaussian(h))


def test_its_terms_cost_nothing() -> None:
    y, terms = vn.Collect(vn.DeterministicUnits(3, 4))(torch.randn(5, 3))
    nll = y.square().sum(-1)
    assert vn.free_energy(nll, terms).item() == nll.mean().item()
    assert terms[0].scale.abs().max().item() == 0
