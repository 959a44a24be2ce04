"""Hybrids: a start from the encoder, steps that only improve on it, gradients through the steps."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vneuron.imaging.categorical import exclusive_spread
from vneuron.imaging.hybrid import IterativeAmortisedVAE, SemiAmortisedVAE
from vneuron.imaging.hybrid_network import HybridLoss, HybridNetwork
from vneuron.inference import (
    IterativeGaussian,
    IterativePoisson,
    LinearDecoder,
    NonlinearDecoder,
    descend,
    init_descent,
)


def network(posterior: str = "poisson", refinement: str = "guarded") -> HybridNetwork:
    decoder = LinearDecoder(5, 8, 0.4)
    model: Any = IterativePoisson(decoder, prior_log_rate=(-1.0, 0.0))
    if posterior != "poisson":
        activation: Any = "identity" if posterior == "gaussian" else "rectified"
        model = IterativeGaussian(decoder, activation=activation)
    return HybridNetwork(nn.Identity(), 8, model, refinement).double()  # type: ignore[arg-type]


def images(batch: int = 6) -> Tensor:
    return torch.randn(batch, 8, dtype=torch.float64)


@pytest.mark.parametrize("posterior", ["poisson", "gaussian", "rectified"])
def test_guarded_steps_only_improve_on_the_encoder(posterior: str) -> None:
    net, x = network(posterior), images()
    with torch.no_grad():
        energies = [state.energy for state in net.states(x, 30, 1.0)]
    assert all((b <= a).all() for a, b in itertools.pairwise(energies))
    assert (energies[-1] < energies[0]).all()


def test_they_end_where_steps_from_the_prior_end() -> None:
    net, x = network("gaussian"), images()  # the bound of linear Gaussian models has one minimum
    with torch.no_grad():
        *_, last = net.states(x, 2000, 1.0)
        alone = descend(net.model, x, 2000, 1.0)
    torch.testing.assert_close(last.belief[0], alone.belief[0], atol=1e-5, rtol=1e-5)


def test_without_an_encoder_the_start_is_the_prior() -> None:
    net, x = network(), images()
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.zero_()
    torch.testing.assert_close(net.start(x)[0], net.model.prior_belief(6)[0])


@pytest.mark.parametrize("posterior", ["poisson", "gaussian", "rectified"])
def test_the_loss_is_the_negative_evidence_bound(posterior: str) -> None:
    net, x = network(posterior), images()
    loss = HybridLoss(net, 0, 0.7, 10).eval()
    with torch.no_grad():
        found = loss(x).nll
        constants = net.model.constants()
        start = init_descent(net.model, x, constants, 0.7, net.start(x))
        # The leak is switched off, so that the energy is the bound up to its constants.
        torch.testing.assert_close(found, start.energy + constants.log_det)
        n = 20_000
        belief = tuple(part.repeat_interleave(n, 0) for part in net.start(x[:1]))
        z = net.model.draw(belief)
        sampled = net.model.nll(x[:1].expand(n, -1), net.model.decoder(z), constants)
        kl = net.model.belief_kl(net.start(x[:1])).sum()
    error = sampled.std() / n**0.5
    assert abs(found[0] - 0.7 * kl - sampled.mean()) < 4 * error


@pytest.mark.parametrize("posterior", ["poisson", "gaussian"])
def test_gradients_through_guarded_steps_are_finite_differences(posterior: str) -> None:
    net, x = network(posterior), images(3)
    loss = HybridLoss(net, 4, 1.0, 10).eval()
    names = [name for name, p in loss.named_parameters() if p.requires_grad]

    def value(*parameters: Tensor) -> Tensor:
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(loss, values, (x,)).nll.sum()  # type: ignore[no-any-return]

    values = tuple(
        p.detach().clone().requires_grad_() for p in loss.parameters() if p.requires_grad
    )
    assert any("head" in name for name in names)
    assert torch.autograd.gradcheck(value, values, atol=1e-5, rtol=1e-4)


def test_learned_steps_come_to_help() -> None:
    torch.manual_seed(0)
    net = network(refinement="learned").float()
    x = torch.rand(200, 3).square() @ torch.randn(3, 8)
    loss = HybridLoss(net, 4, 0.3, 150)
    optimizer = torch.optim.Adam([p for p in loss.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss(x).nll.mean().backward()
        optimizer.step()
    with torch.no_grad():
        energies = [state.energy.mean() for state in net.states(x, 4, 0.3)]
    assert energies[-1] < energies[0]


def test_a_nonlinear_decoder_is_descended_on_too() -> None:
    body = nn.Sequential(nn.Linear(5, 9), nn.SiLU(), nn.Linear(9, 8))
    model = IterativePoisson(NonlinearDecoder(body, 5, 8))
    net = HybridNetwork(nn.Identity(), 8, model)
    x = torch.randn(6, 8)
    with torch.no_grad():
        energies = torch.stack([state.energy for state in net.states(x, 40, 0.5)])
    assert (energies.diff(dim=0) <= 0).all()
    assert (energies[-1] < energies[0]).all()
    output = HybridLoss(net, 2, 0.5, 10)(x)
    output.nll.mean().backward()
    assert all(p.grad is not None and (p.grad != 0).any() for p in body.parameters())


def test_expected_error_of_one_hot_codes_is_the_mean_over_all_of_them() -> None:
    decoder, x = LinearDecoder(6, 8, 0.5).double(), images(4)
    precision = torch.rand(8, dtype=torch.float64) + 0.5
    p = torch.randn(4, 2, 3, dtype=torch.float64).softmax(-1)
    exact = 0.5 * ((x - decoder(p.flatten(1))).square() @ precision)
    exact = exact + exclusive_spread(decoder, p.flatten(1), p.flatten(1), precision, groups=2)
    total = torch.zeros(4, dtype=torch.float64)
    for i, j in itertools.product(range(3), repeat=2):
        z = torch.zeros(4, 2, 3, dtype=torch.float64)
        z[:, 0, i] = z[:, 1, j] = 1.0
        error = 0.5 * ((x - decoder(z.flatten(1))).square() @ precision)
        total += p[:, 0, i] * p[:, 1, j] * error
    torch.testing.assert_close(exact, total)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (IterativeAmortisedVAE(refinement="none"), "refinement"),  # type: ignore[arg-type]
        (SemiAmortisedVAE(posterior="cauchy"), "posterior"),  # type: ignore[arg-type]
        (SemiAmortisedVAE(beta=-1.0), "beta"),
        (IterativeAmortisedVAE(steps=0), "steps"),
    ],
)
def test_arguments_out_of_range_are_refused_at_fit(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.fit(torch.rand(20, 4, 4))
