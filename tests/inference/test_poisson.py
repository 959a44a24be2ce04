"""Poisson steps against autograd, enumeration, coordinate descent and the published equations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from vneuron.functional.poisson import kl_divergence
from vneuron.inference import (
    InferenceOptions,
    IterativePoisson,
    LinearDecoder,
    NonlinearDecoder,
    PoissonState,
    descend,
    descent_step,
    init_descent,
    unroll,
)


def linear(
    features: int = 6, latents: int = 4, scale: float = 0.3, **options: object
) -> IterativePoisson:
    """A model in double precision with noise that differs between pixels."""
    decoder = LinearDecoder(latents, features, scale)
    model = IterativePoisson(decoder, InferenceOptions(**options)).double()  # type: ignore[arg-type]
    with torch.no_grad():
        model.raw_log_sigma.uniform_(-0.5, 0.5)
        model.log_prior.uniform_(-1.0, 0.5)
        model.log_leak.uniform_(-4.0, -1.0)
    return model


def images(batch: int = 3, features: int = 6) -> Tensor:
    return torch.randn(batch, features, dtype=torch.float64)


@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_mean_field_velocity_is_the_natural_gradient(beta: float) -> None:
    model, x = linear(), images()
    u = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    constants = model.constants()
    start = init_descent(model, x, constants, beta, (u,))
    (gradient,) = torch.autograd.grad(start.energy.sum(), u)
    error = (x - start.prediction) * constants.precision
    drive = model.decoder.pull_back(start.activity, error)
    stiffness = 2 * constants.curvature * u.exp() + beta
    velocity = model.direction((u,), drive, constants, beta)[0] * stiffness
    torch.testing.assert_close(velocity, -gradient / u.exp(), rtol=1e-10, atol=1e-12)


def test_a_step_with_a_fixed_anchor_is_the_natural_gradient() -> None:
    model = linear(draws="mean", anchor="fixed", kl_weight=0.7, max_step=1e7)
    x, u = images(), torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    start = init_descent(model, x, model.constants(), 0.7, (u,))
    (gradient,) = torch.autograd.grad(start.energy.sum(), u)
    with torch.no_grad():
        model.log_gain.fill_(math.log(0.01))
        after = model.step(PoissonState(u, u.exp(), start.prediction), x)
    torch.testing.assert_close(after.log_rate, u - 0.01 * gradient / u.exp(), rtol=0, atol=1e-12)


def test_exact_energy_is_the_mean_over_all_counts() -> None:
    model, x = linear(latents=2, draws="mean"), images()
    state = model.init_state(3)
    exact = model.terms(state, state, x, model.constants()).nll
    rate = model.log_prior.exp()
    total = torch.zeros(3, dtype=torch.float64)
    for counts in itertools.product(range(25), repeat=2):
        z = torch.tensor(counts, dtype=torch.float64)
        probability = torch.distributions.Poisson(rate).log_prob(z).sum().exp()
        total += probability * model.nll(x, model.decoder(z[None]), model.constants())
    torch.testing.assert_close(exact, total, rtol=1e-10, atol=0)


def test_mean_of_sampled_velocities_lacks_the_lateral_term() -> None:
    n = 200_000
    model, x = linear(), images(1)
    constants = model.constants()
    u = model.log_prior.expand(n, -1)
    z = model.draw((u,))
    error = (x - model.decoder(z)) * constants.precision
    drive = model.decoder.pull_back(z, error)
    rate = u[:1].exp()
    expected = model.decoder.pull_back(rate, (x - model.decoder(rate)) * constants.precision)
    standard_error = drive.std(0) / math.sqrt(n)
    assert ((drive.mean(0) - expected[0]).abs() < 4 * standard_error).all()
    # The mean-field direction has the term, so it is not what the draws alone average to.
    stiffness = 2 * constants.curvature * rate
    velocity = model.direction((u[:1],), expected, constants, 0.0)[0] * stiffness
    torch.testing.assert_close(velocity, expected - constants.curvature - constants.leak)


def lasso(dictionary: np.ndarray, x: np.ndarray, leak: float, sweeps: int = 20_000) -> np.ndarray:
    """Non-negative LASSO by coordinate descent."""
    gram, target = dictionary.T @ dictionary, dictionary.T @ x
    r = np.zeros(dictionary.shape[1])
    for _ in range(sweeps):
        before = r.copy()
        for k in range(len(r)):
            rest = target[k] - gram[k] @ r + gram[k, k] * r[k]
            r[k] = max(0.0, (rest - leak) / gram[k, k])
        if np.abs(r - before).max() < 1e-14:
            break
    return r


def test_without_kl_and_noise_rates_settle_at_the_nonnegative_lasso() -> None:
    model = linear(16, 32, 0.25, draws="mean", lateral=False, max_step=1e7, max_log_rate=20.0)
    with torch.no_grad():
        model.raw_log_sigma.zero_()
        model.log_leak.fill_(math.log(0.2))
        model.log_gain.fill_(math.log(0.1))
        model.log_prior.fill_(-1.0)
        x = images(1, 16)
        *_, state = unroll(model, itertools.repeat(x, 8000))
    assert isinstance(model.decoder, LinearDecoder)
    expected = lasso(model.decoder.dictionary.detach().numpy(), x[0].numpy(), 0.2)
    assert (expected == 0).any()
    assert (expected > 0).any()
    # Rates of silent latents stop at the floor e^−12 in place of zero.
    np.testing.assert_allclose(state.log_rate.exp()[0].numpy(), expected, atol=2e-4)


def test_rate_form_is_the_log_form() -> None:
    model, x = linear(draws="mean", lateral=False, max_step=1e7), images()
    constants = model.constants()
    state = model.init_state(3)
    rate = state.log_rate.exp()
    gram = model.decoder.dictionary.T @ (model.decoder.dictionary * constants.precision[:, None])
    drive = (x * constants.precision) @ model.decoder.dictionary - constants.leak
    expected = rate * drive.exp() / (rate @ gram).exp()
    found = model.step(state, x).log_rate.exp()
    torch.testing.assert_close(found, expected.clamp(math.exp(-12), math.exp(6)))


# -- learning through time -----------------------------------------------------------------


class Frozen(IterativePoisson):
    """Draws from arrival times whose gaps are given, so that they are a smooth function of u."""

    gaps: Tensor
    calls: int

    def sample(self, log_rate: Tensor, temperature: float) -> Tensor:
        gaps = self.gaps[self.calls]
        self.calls += 1
        times = gaps.cumsum(0) / log_rate.exp()
        v = ((1 - times) / (2 * temperature) + 0.5).clamp(0, 1)
        return (3 * v**2 - 2 * v**3).sum(0)


@pytest.mark.parametrize("inner", [1, 2])
def test_gradients_through_time_are_finite_differences(inner: int) -> None:
    decoder = LinearDecoder(4, 6, 0.3)
    model = Frozen(decoder, InferenceOptions(inner=inner), (-1.0, 0.5)).double()
    model.gaps = torch.empty(8, 12, 3, 4, dtype=torch.float64).exponential_()
    x = images()
    names = [name for name, _ in model.named_parameters()]
    assert set(names) >= {"raw_log_sigma", "log_leak", "log_gain", "log_prior"}

    def loss(*parameters: Tensor) -> Tensor:
        model.calls = 0
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(model, values, kwargs={"x": x})  # type: ignore[no-any-return]

    def through_time(x: Tensor) -> Tensor:
        constants, total = model.constants(), torch.zeros((), dtype=torch.float64)
        state = model.init_state(3, 0.5)
        for _ in range(3):
            before, state = state, model.step(state, x, 0.5, constants)
            terms = model.terms(before, state, x, constants)
            total = total + (terms.nll + 2.0 * terms.kl.sum(-1)).mean()
        return total

    model.forward = through_time  # type: ignore[method-assign]
    values = tuple(p.detach().clone().requires_grad_() for p in model.parameters())
    assert torch.autograd.gradcheck(loss, values, atol=1e-6, rtol=1e-5)


# -- options -------------------------------------------------------------------------------


def test_one_rolling_update_feels_no_kl() -> None:
    x = images()
    torch.manual_seed(1)
    weak = linear(draws="mean", kl_weight=0.0)
    torch.manual_seed(1)
    strong = linear(draws="mean", kl_weight=1e3)
    pairs = zip(unroll(weak, [x] * 5), unroll(strong, [x] * 5), strict=True)
    assert all(torch.equal(a.log_rate, b.log_rate) for a, b in pairs)


def test_many_inner_updates_find_the_minimum_with_the_fixed_anchor() -> None:
    x = images()
    torch.manual_seed(1)
    model = linear(draws="mean", inner=4000, kl_weight=0.5)
    with torch.no_grad():
        model.log_gain.fill_(math.log(0.05))
        state = model.step(model.init_state(3), x)
        best = descend(model, x, 4000, kl_weight=0.5)
    torch.testing.assert_close(state.log_rate, best.belief[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("beta", [0.0, 0.1, 10.0])
def test_guarded_steps_never_raise_the_free_energy(scale: float, beta: float) -> None:
    model, x = linear(12, 30, scale).float(), 3 * images(8, 12).float()
    with torch.no_grad():
        constants = model.constants()
        state = init_descent(model, x, constants, beta)
        first = state.energy
        for _ in range(40):
            before, state = state, descent_step(model, state, x, constants, beta)
            assert (state.energy <= before.energy).all()
    assert (state.energy < first).all()


def test_descent_is_exact_about_its_own_energy() -> None:
    model, x = linear(), images()
    with torch.no_grad():
        state = descend(model, x, 30, kl_weight=0.3)
        mean = state.belief[0].exp()
        fresh = init_descent(model, x, model.constants(), 0.3, state.belief)
    torch.testing.assert_close(state.energy, fresh.energy)
    torch.testing.assert_close(state.prediction, model.decoder(mean))


def test_a_nonlinear_decoder_gets_errors_through_its_jacobian() -> None:
    body = torch.nn.Sequential(torch.nn.Linear(4, 7), torch.nn.Softplus(), torch.nn.Linear(7, 6))
    decoder = NonlinearDecoder(body, 4, 6).double()
    z = torch.rand(3, 4, dtype=torch.float64)
    error = images()
    jacobian = torch.stack([torch.func.jacrev(body)(row) for row in z])
    expected = torch.einsum("bmk,bm->bk", jacobian, error)
    torch.testing.assert_close(decoder.pull_back(z, error), expected)
    model = IterativePoisson(decoder).double()
    state = model.step(model.init_state(3, 0.5), error, 0.5)
    loss = model.terms(state, state, error, model.constants()).nll.sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert all((p.grad != 0).any() for p in body.parameters() if p.grad is not None)


# -- parity with the published equations ---------------------------------------------------


def published_update(
    u: np.ndarray, x: np.ndarray, z: np.ndarray, weights: dict[str, np.ndarray], opened: float
) -> np.ndarray:
    """One step as published code takes it, from the equations: numpy, nothing shared."""
    c = 2.0 + opened * (10.0 - 2.0)

    def soft(value: np.ndarray) -> np.ndarray:
        return c - np.logaddexp(0.0, c - np.maximum(value, -8.0))

    sigma = np.exp(3.45 * np.tanh(weights["log_sigma"] / 3.45))
    error = (x - z @ weights["dictionary"].T) / sigma**2
    gradient = -error @ weights["dictionary"] + np.exp(weights["bias"])
    return soft(u + soft(-np.exp(weights["log_gain"]) * gradient))


@pytest.mark.parametrize("openness", [0.0, 0.4, 1.0])
def test_compat_steps_are_the_published_ones(openness: float) -> None:
    model, x = linear(reference_compat=True), images()
    weights = {
        "dictionary": model.decoder.dictionary,
        "log_sigma": model.raw_log_sigma,
        "bias": model.log_leak,
        "log_gain": model.log_gain,
    }
    arrays = {name: value.detach().numpy() for name, value in weights.items()}
    rng = np.random.default_rng(0)
    draws: list[Tensor] = []

    def injected(log_rate: Tensor, temperature: float) -> Tensor:
        draws.append(
            torch.tensor(rng.poisson(log_rate.detach().exp().numpy()), dtype=torch.float64)
        )
        return draws[-1]

    model.sample = injected  # type: ignore[method-assign]
    with torch.no_grad():
        state = model.init_state(3)
        u = state.log_rate.numpy()
        for _ in range(50):
            draws.clear()
            state = model.step(state, x, openness=openness)
            assert len(draws) == 2  # one for inference, one for the loss
            u = published_update(u, x.numpy(), draws[0].numpy(), arrays, openness)
            np.testing.assert_allclose(state.log_rate.numpy(), u, atol=1e-10)


def test_compat_terms_charge_the_posterior_rate() -> None:
    model, x = linear(reference_compat=True), images()
    with torch.no_grad():
        before = model.init_state(3)
        after = before._replace(log_rate=before.log_rate + 0.8)
        found = model.terms(before, after, x, model.constants()).kl
    expected = math.exp(0.8) * kl_divergence(after.log_rate, before.log_rate)
    torch.testing.assert_close(found, expected)


# -- streams -------------------------------------------------------------------------------


def test_a_film_in_chunks_is_the_film() -> None:
    model = linear()
    film = [images() for _ in range(12)]
    torch.manual_seed(4)
    whole = list(unroll(model, film))
    torch.manual_seed(4)
    chunks: list[PoissonState] = []
    for start in range(0, 12, 5):
        state = chunks[-1] if chunks else None
        chunks += unroll(model, film[start : start + 5], state)
    assert all(torch.equal(a.log_rate, b.log_rate) for a, b in zip(whole, chunks, strict=True))


def test_a_still_image_is_a_film_of_equal_frames() -> None:
    model, x = linear(draws="mean"), images()
    film = x.unsqueeze(1).expand(-1, 7, -1)
    *_, moving = unroll(model, film.unbind(1))
    *_, still = unroll(model, itertools.repeat(x, 7))
    assert torch.equal(moving.log_rate, still.log_rate)


def test_examples_do_not_see_each_other() -> None:
    model, x = linear(draws="mean"), images(6)
    *_, together = unroll(model, [x] * 9)
    *_, reverse = unroll(model, [x.flip(0)] * 9)
    torch.testing.assert_close(reverse.log_rate.flip(0), together.log_rate)
    *_, alone = unroll(model, [x[2:3]] * 9)
    torch.testing.assert_close(alone.log_rate[0], together.log_rate[2])
    with torch.no_grad():
        guarded = descend(model, x, 20)
        single = descend(model, x[2:3], 20)
    torch.testing.assert_close(single.belief[0][0], guarded.belief[0][2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": "none"}, "draws"),
        ({"anchor": "moving"}, "anchor"),
        ({"window": "box"}, "window"),
        ({"inner": 0}, "inner"),
        ({"kl_weight": -1.0}, "kl_weight"),
        ({"max_step": 0.0}, "max_step"),
        ({"reference_compat": True, "draws": "mean"}, "reference_compat"),
    ],
)
def test_options_refuse(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InferenceOptions(**options)  # type: ignore[arg-type]


def test_a_misshapen_frame_is_refused() -> None:
    model = linear()
    with pytest.raises(ValueError, match="flatten images"):
        model.step(model.init_state(3), images(3, 5))
    with pytest.raises(ValueError, match="flatten images"):
        model.step(model.init_state(3), images(4))
    with pytest.raises(ValueError, match="latents is 0"):
        LinearDecoder(0, 3)
    with pytest.raises(ValueError, match="scale"):
        LinearDecoder(2, 3, 0.0)
