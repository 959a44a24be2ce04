"""Gaussian units: what σ depends on, the meaning of k, and the exact posterior they can reach."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

import vneuron as vn
from vneuron.functional.gaussian import unbounded_scale


@pytest.mark.parametrize(
    ("kind", "shape"), [("input", (4, 2)), ("per_unit", (4, 2)), ("scalar", (1, 1))]
)
def test_scale_depends_on_what_it_says(kind: Any, shape: tuple[int, int]) -> None:
    layer = vn.GaussianUnits(3, 4, latent_dim=2, scale=kind)
    assert layer.raw_scale.shape == shape
    nn.init.normal_(layer.raw_scale)
    if layer.scale_weight is not None:
        nn.init.normal_(layer.scale_weight)
    scale = layer.infer(torch.randn(16, 3)).scale
    assert bool((scale.std(0) > 0.01).all()) == (kind == "input")
    assert bool((scale[0].flatten().std() > 0.01).all()) == (kind != "scalar")


@pytest.mark.parametrize("kind", ["input", "per_unit", "scalar"])
def test_training_starts_at_the_initial_scale(kind: Any) -> None:
    layer = vn.GaussianUnits(3, 4, scale=kind, initial_scale=0.8)
    scale = layer.infer(torch.randn(16, 3)).scale
    torch.testing.assert_close(scale, torch.full((16, 4, 1), 0.8))


def test_one_latent_dimension_is_a_flat_layer() -> None:
    """k = 1 draws as µ + σ ε of a plain linear map, noise for noise."""
    layer, h = vn.GaussianUnits(3, 4, scale="per_unit"), torch.randn(5, 3)
    torch.manual_seed(1)
    found = layer(h)
    torch.manual_seed(1)
    expected = layer.loc(h) + 0.5 * torch.randn(5, 4)
    torch.testing.assert_close(found, expected)


def test_rows_of_the_location_map_run_unit_after_unit() -> None:
    layer, h = vn.GaussianUnits(3, 4, latent_dim=2), torch.randn(5, 3)
    own = layer.loc.weight[2 * 2 : 2 * 3], layer.loc.bias[2 * 2 : 2 * 3]
    torch.testing.assert_close(layer.infer(h).loc[:, 2], nn.functional.linear(h, *own))


def test_locations_may_read_the_first_features_alone() -> None:
    layer, h = vn.GaussianUnits(5, 4, latent_dim=2, loc_features=3), torch.randn(16, 5)
    nn.init.normal_(layer.scale_weight)
    other = torch.cat([h[:, :3], torch.randn(16, 2)], dim=-1)
    assert torch.equal(layer.infer(h).loc, layer.infer(other).loc)
    assert bool((layer.infer(h).scale != layer.infer(other).scale).all())
    whole = vn.GaussianUnits(5, 4, latent_dim=2, loc_features=5)
    assert whole.loc.weight.shape == vn.GaussianUnits(5, 4, latent_dim=2).loc.weight.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loc_features": 4}, r"loc_features is 4, expected 1 to 3 \(in_features\)"),
        ({"loc_features": 0}, r"loc_features is 0, expected 1 to 3"),
        ({"scale": "full"}, "scale is 'full', expected one of"),
        ({"activity": "max"}, "activity is 'max'"),
        ({"initial_scale": 0.0}, "scale is 0.0, expected a standard deviation"),
        ({"prior": vn.LearnedNormal(5)}, r"shape \(5, 1\), expected .* \[units, k\] = \[4, 2\]"),
        ({"prior": vn.LearnedNormal(4, 3)}, r"shape \(4, 3\), expected"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vn.GaussianUnits(3, 4, latent_dim=2, **options)


def test_the_exact_posterior_of_a_linear_gaussian_model_attains_the_evidence() -> None:
    """y = w z + s ε, z ~ N(0, 1): at the true posterior F = −log p(y), and its gradient is 0."""
    w, s = 1.7, 0.6
    y = math.sqrt(w * w + s * s) * torch.randn(64, 1, dtype=torch.float64)
    layer = vn.GaussianUnits(1, 1, scale="scalar").double()
    variance = 1 / (1 + w * w / (s * s))
    with torch.no_grad():
        layer.loc.weight.fill_(variance * w / (s * s))
        layer.loc.bias.zero_()
        layer.raw_scale.fill_(unbounded_scale(math.sqrt(variance)))
    draws = y.repeat(2000, 1)
    z, terms = vn.Collect(layer)(draws)
    nll = -torch.distributions.Normal(w * z, s).log_prob(draws).sum(-1)
    loss = vn.free_energy(nll, terms)
    evidence = torch.distributions.Normal(0.0, math.sqrt(w * w + s * s)).log_prob(y).mean()
    error = nll.std() / math.sqrt(len(draws))
    assert (loss + evidence).abs() < 4 * error
    loss.backward()
    for parameter in layer.parameters():
        if parameter.grad is not None:
            assert parameter.grad.abs().max() < 0.05
