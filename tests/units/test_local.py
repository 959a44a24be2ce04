"""Local learning: a stack learns useful features, and no gradient passes between its layers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

import vneuron as vn


def stack() -> nn.Sequential:
    return nn.Sequential(
        vn.LocalUnits(vn.GaussianUnits(40, 12)),
        nn.GELU(),
        vn.LocalUnits(vn.GaussianUnits(12, 4)),
    )


def classes(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Three clouds around one of three patterns each, in 40 dimensions with as much noise."""
    patterns = torch.randn(3, 40, generator=torch.Generator().manual_seed(7))
    label = torch.randint(0, 3, (n,), generator=generator)
    return patterns[label] + 1.5 * torch.randn(n, 40, generator=generator), label


def probe(model: nn.Module, data: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> float:
    """Accuracy of a least-squares readout of the features, on held-out examples."""

    def features(x: Tensor) -> Tensor:
        with torch.no_grad(), vn.deterministic(model):
            z = model(x)
        return torch.cat([z, torch.ones(len(z), 1)], dim=1)

    onehot = nn.functional.one_hot(data[1], 3).float()
    readout = torch.linalg.lstsq(features(data[0]), onehot).solution
    guess = (features(held_out[0]) @ readout).argmax(1)
    return (guess == held_out[1]).float().mean().item()


def test_a_stack_learns_useful_features_with_no_global_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    data, held_out = classes(600, generator), classes(2000, generator)
    model = stack()
    before = probe(model, data, held_out)
    collected = vn.Collect(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(400):
        batch = data[0][torch.randint(0, 600, (128,), generator=generator)]
        _, terms = collected(batch)
        loss = vn.free_energy(torch.zeros(128), terms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vn.control_step(collected, terms)
    after = probe(model, data, held_out)
    assert after > 0.9
    assert after > before + 0.1
    units = vn.health(collected).units
    assert (units.groupby("layer")["rate"].max() > 0.1).all()


def test_no_gradient_passes_between_layers_or_out() -> None:
    model = stack()
    features, terms = vn.Collect(model)(torch.randn(16, 40))
    assert not features.requires_grad
    last = terms[1]
    vn.free_energy(torch.zeros(16), [last]).backward()
    assert all(p.grad is None for p in model[0].parameters())
    assert all(p.grad is not None for p in model[2].parameters())


def test_open_layers_add_their_objective_to_the_global_one() -> None:
    layer = vn.LocalUnits(vn.GaussianUnits(5, 3), detach=False)
    first = nn.Linear(4, 5)
    y, _ = vn.Collect(nn.Sequential(first, layer))(torch.randn(8, 4))
    y.sum().backward()
    assert first.weight.grad is not None


@pytest.mark.parametrize("reading", ["together", "alone"])
@pytest.mark.parametrize("k", [1, 3])
def test_the_local_likelihood_is_that_of_the_decoder(reading: str, k: int) -> None:
    layer = vn.LocalUnits(vn.GaussianUnits(5, 3, latent_dim=k), reading, noise=0.7)
    h = torch.randn(8, 5)
    latent = layer.layer.infer(h)
    found = layer.local_nll(latent, h)
    if reading == "together":
        means = latent.sample.flatten(1) @ layer.decoder[0] + layer.bias[0]
        expected = -Normal(means, 0.7).log_prob(h).sum(-1, keepdim=True)
    else:
        columns = []
        for j in range(3):
            means = latent.sample[:, j] @ layer.decoder[j] + layer.bias[j]
            columns.append(-Normal(means, 0.7).log_prob(h).sum(-1))
        expected = torch.stack(columns, dim=-1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_free_energy_counts_it_once_per_unit() -> None:
    layer = vn.LocalUnits(vn.GaussianUnits(5, 3, beta=0.5), "alone")
    _, terms = vn.Collect(layer)(torch.randn(8, 5))
    term = terms[0]
    assert term.nll is not None
    expected = (term.nll.sum(-1) + 0.5 * term.kl.sum(-1)).mean()
    torch.testing.assert_close(vn.free_energy(torch.zeros(8), terms), expected)


def test_the_bound_holds_against_the_exact_evidence() -> None:
    """For one input: E_q[log p(h|z)] − KL never exceeds ln ∫ p(h|z) p(z) dz."""
    torch.manual_seed(0)
    layer = vn.LocalUnits(vn.GaussianUnits(4, 2))
    h = torch.randn(1, 4).expand(20_000, 4)
    with torch.no_grad():
        latent = layer.layer.infer(h)
        elbo = -(layer.local_nll(latent, h).sum(-1) + latent.kl.sum(-1))
        weight, noise = layer.decoder[0], torch.ones(4)
        covariance = weight.T @ weight + torch.diag(noise.square())
        exact = torch.distributions.MultivariateNormal(layer.bias[0], covariance).log_prob(h[0])
    assert elbo.mean() <= exact + 4 * elbo.std() / math.sqrt(20_000)


def test_an_unknown_reading_is_refused() -> None:
    with pytest.raises(ValueError, match="reading is 'apart'"):
        vn.LocalUnits(vn.GaussianUnits(5, 3), "apart")
