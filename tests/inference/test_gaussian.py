"""Gaussian steps against autograd, the exact posterior, and the published equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vneuron.functional.rectified import rectified_moments, rectified_slopes
from vneuron.inference import (
    GaussianState,
    InferenceOptions,
    IterativeGaussian,
    LinearDecoder,
    descend,
    descent_step,
    init_descent,
)


def linear(activation: str = "identity", **options: object) -> IterativeGaussian:
    model = IterativeGaussian(
        LinearDecoder(4, 6, 0.5),
        InferenceOptions(**options),  # type: ignore[arg-type]
        activation,  # type: ignore[arg-type]
    ).double()
    with torch.no_grad():
        for parameter in (model.raw_log_sigma, model.prior_loc, model.prior_log_scale):
            parameter.uniform_(-0.5, 0.5)
        if model.log_output_gain is not None:
            model.log_output_gain.uniform_(-0.5, 0.5)
    return model


def images(batch: int = 3) -> Tensor:
    return torch.randn(batch, 6, dtype=torch.float64)


@given(st.floats(-6, 6), st.floats(0.05, 4))
def test_rectified_moments_are_integrals(loc: float, scale: float) -> None:
    law = scipy.stats.norm(loc, scale)
    top = loc + 12 * scale
    first, second = (
        scipy.integrate.quad(lambda z, p=p: z**p * law.pdf(z), 0, max(top, 0.0), limit=200)[0]
        for p in (1, 2)
    )
    mean, variance = rectified_moments(
        torch.tensor(loc, dtype=torch.float64), torch.tensor(scale, dtype=torch.float64)
    )
    assert mean.item() == pytest.approx(first, abs=1e-6)
    assert variance.item() == pytest.approx(second - first**2, abs=1e-6)


def test_rectified_slopes_are_those_of_autograd() -> None:
    loc = torch.randn(50, dtype=torch.float64, requires_grad=True)
    xi = torch.randn(50, dtype=torch.float64, requires_grad=True)
    mean, variance = rectified_moments(loc, xi.exp())
    slopes = rectified_slopes(loc, xi.exp())
    of_mean = torch.autograd.grad(mean.sum(), (loc, xi), retain_graph=True)
    of_variance = torch.autograd.grad(variance.sum(), (loc, xi))
    for found, expected in zip(slopes, (*of_mean, *of_variance), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("activation", ["identity", "rectified"])
def test_descent_follows_the_gradient(activation: str) -> None:
    model, x = linear(activation), images()
    loc, xi = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    constants = model.constants()
    start = init_descent(model, x, constants, 0.7, (loc, xi))
    gradients = torch.autograd.grad(start.energy.sum(), (loc, xi), retain_graph=True)
    drive = model.decoder.pull_back(start.activity, (x - start.prediction) * constants.precision)
    for found, gradient in zip(
        model.direction((loc, xi), drive, constants, 0.7), gradients, strict=True
    ):
        ratio = -found / gradient  # the stiffness: positive, else free
        assert (ratio > 0).all()
        stationary = (gradient.abs() < 1e-12) == (found.abs() < 1e-12)
        assert stationary.all()


def test_descent_finds_the_exact_posterior_mean_and_mean_field_scale() -> None:
    model, x = linear(), images()
    with torch.no_grad():
        model.log_leak.fill_(-50.0)
        model.prior_loc.zero_()
        model.prior_log_scale.zero_()
        state = descend(model, x, 3000)
        constants = model.constants()
        phi = model.decoder.dictionary
        precision = phi.T @ (phi * constants.precision[:, None]) + torch.eye(4)
        expected = torch.linalg.solve(precision, phi.T @ (x * constants.precision).T).T
    torch.testing.assert_close(state.belief[0], expected, atol=1e-6, rtol=1e-6)
    scale = precision.diagonal().rsqrt().expand(3, -1)
    torch.testing.assert_close(state.belief[1].exp(), scale, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("activation", ["identity", "rectified"])
def test_guarded_steps_never_raise_the_free_energy(activation: str) -> None:
    model, x = linear(activation).float(), 4 * images(8).float()
    with torch.no_grad():
        constants = model.constants()
        state = init_descent(model, x, constants)
        for _ in range(40):
            before, state = state, descent_step(model, state, x, constants)
            assert (state.energy <= before.energy).all()


def test_a_small_exact_step_is_the_natural_gradient() -> None:
    model = linear(draws="mean", anchor="fixed", kl_weight=0.7, max_step=1e7)
    x = images()
    loc, xi = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    with torch.no_grad():
        model.log_leak.fill_(-80.0)
        model.log_gain.fill_(math.log(0.01))
    start = init_descent(model, x, model.constants(), 0.7, (loc, xi))
    gradients = torch.autograd.grad(start.energy.sum(), (loc, xi))
    with torch.no_grad():
        state = GaussianState(loc, xi, torch.zeros_like(loc), start.prediction)
        after = model.step(state, x)
        fisher = (torch.exp(-2 * xi), 2.0)  # of (µ, ln σ)
        for found, old, gradient, f in zip(after[:2], (loc, xi), gradients, fisher, strict=True):
            torch.testing.assert_close(found, old - 0.01 * gradient / f, rtol=0, atol=1e-10)


def published_update(
    state: tuple[np.ndarray, np.ndarray],
    x: np.ndarray,
    z: np.ndarray,
    weights: dict[str, np.ndarray],
    opened: float,
) -> list[np.ndarray]:
    """One step as published code takes it, from the equations: numpy, nothing shared."""
    loc, xi = state
    gain = np.exp(weights["output_gain"]) if "output_gain" in weights else None
    active = z if gain is None else np.maximum(z, 0) * gain
    sigma = np.exp(3.45 * np.tanh(weights["log_sigma"] / 3.45))
    g = -((x - active @ weights["dictionary"].T) / sigma**2) @ weights["dictionary"]
    if gain is not None:
        g = g * (z > 0) * gain
    noise = (z - loc) / np.exp(xi)
    gradients = (
        g * np.exp(2 * xi) + np.exp(weights["bias"]),
        0.5 * g * noise * np.exp(xi),
    )
    result = []
    for value, gradient, eta, step, bound in zip(
        state, gradients, np.exp(weights["log_gain"]), (7.0, 3.0), (7.0, 2.0), strict=True
    ):
        c_step, c = (1.0 + opened * (end - 1.0) for end in (step, bound))
        change = c_step * np.tanh(-eta * gradient / c_step)
        result.append(c * np.tanh((value + change) / c))
    return result


@pytest.mark.parametrize("activation", ["identity", "rectified"])
@pytest.mark.parametrize("openness", [0.3, 1.0])
def test_compat_steps_are_the_published_ones(activation: str, openness: float) -> None:
    model, x = linear(activation, reference_compat=True), images()
    with torch.no_grad():
        model.log_gain.copy_(torch.tensor([-0.4, 0.3]))
    weights = {
        "dictionary": model.decoder.dictionary,
        "log_sigma": model.raw_log_sigma,
        "bias": model.log_leak,
        "log_gain": model.log_gain,
    }
    if model.log_output_gain is not None:
        weights["output_gain"] = model.log_output_gain
    arrays = {name: value.detach().numpy() for name, value in weights.items()}
    draws: list[GaussianState] = []
    draw = model._draw

    def watched(loc: Tensor, log_scale: Tensor) -> GaussianState:
        draws.append(draw(loc, log_scale))
        return draws[-1]

    model._draw = watched  # type: ignore[method-assign]
    with torch.no_grad():
        state = model.init_state(3)
        mine = [state.loc.numpy(), state.log_scale.numpy()]
        for _ in range(50):
            draws.clear()
            state = model.step(state, x, openness=openness)
            assert len(draws) == 2
            seen = draws[0]
            z = (seen.loc + seen.log_scale.exp() * seen.noise).numpy()
            mine = published_update((mine[0], mine[1]), x.numpy(), z, arrays, openness)
            np.testing.assert_allclose(state.loc.numpy(), mine[0], atol=1e-5)
            np.testing.assert_allclose(state.log_scale.numpy(), mine[1], atol=1e-5)


@pytest.mark.parametrize("activation", ["identity", "rectified"])
def test_gradients_through_time_are_finite_differences(activation: str) -> None:
    model, x = linear(activation), images()
    names = [name for name, _ in model.named_parameters()]

    def through_time(x: Tensor) -> Tensor:
        torch.manual_seed(7)
        constants, total = model.constants(), torch.zeros((), dtype=torch.float64)
        state = model.init_state(3)
        for _ in range(3):
            before, state = state, model.step(state, x, constants=constants)
            terms = model.terms(before, state, x, constants)
            total = total + (terms.nll + 2.0 * terms.kl.sum(-1)).mean()
        return total

    def loss(*parameters: Tensor) -> Tensor:
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(model, values, kwargs={"x": x})  # type: ignore[no-any-return]

    model.forward = through_time  # type: ignore[method-assign]
    values = tuple(p.detach().clone().requires_grad_() for p in model.parameters())
    assert torch.autograd.gradcheck(loss, values, atol=1e-6, rtol=1e-5)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="activation"):
        IterativeGaussian(LinearDecoder(2, 3), activation="swish")  # type: ignore[arg-type]
