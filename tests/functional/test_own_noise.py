"""The own noise of steps, against dense matrices, autograd and Monte Carlo."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.functional.low_rank import correlation, posterior, whiten
from vneuron.functional.own_noise import (
    OwnNoise,
    autoregress,
    correlated_times,
    own_correlation,
    precision,
)


def noise_of(kind, batch, steps, seed=0):
    """None, one ρ for all, a ρ for each window, or ρ and δ for each; all double."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "white":
        return None
    rho = torch.rand(batch, generator=generator, dtype=torch.float64) * 1.9 - 0.95
    weight = torch.rand(batch, steps, generator=generator, dtype=torch.float64) * 3 + 0.2
    shared = OwnNoise(rho[0])
    return {"shared": shared, "windows": OwnNoise(rho), "steered": OwnNoise(rho, weight)}[kind]


def dense_covariance(own, window, steps):
    rho = own.expand(window + 1)[window] if own.persistence.dim() == 0 else own.persistence[window]
    weight = torch.ones(steps).double() if own.weight is None else own.weight[window]
    return weight[:, None] * own_correlation(rho, steps) * weight


@given(
    seed=st.integers(0, 1000),
    steps=st.integers(1, 8),
    kind=st.sampled_from(["shared", "windows", "steered"]),
)
def test_the_precision_is_the_inverse(seed, steps, kind):
    own = noise_of(kind, 3, steps, seed)
    found = precision(own, steps)
    for window in range(3):
        row = window if len(found.logdet) > 1 else 0
        whole = dense_covariance(own, window, steps)
        inverse = torch.diag(found.diagonal[row])
        inverse = inverse + torch.diag(found.beside[row], 1) + torch.diag(found.beside[row], -1)
        torch.testing.assert_close(inverse @ whole, torch.eye(steps).double(), rtol=0, atol=1e-8)
        torch.testing.assert_close(found.logdet[row], torch.logdet(whole), rtol=1e-8, atol=1e-8)
        x = torch.randn(1, steps).double()
        one = precision(
            OwnNoise(
                own.expand(3)[window : window + 1],
                None if own.weight is None else own.weight[window : window + 1],
            ),
            steps,
        )
        torch.testing.assert_close(
            one.times(x)[0], torch.linalg.solve(whole, x[0]), rtol=1e-8, atol=1e-8
        )


def test_products_and_draws_have_the_correlation():
    rho = torch.tensor([0.8, -0.5, 0.0]).double()
    columns = torch.randn(3, 6, 2).double()
    torch.testing.assert_close(correlated_times(rho, columns), own_correlation(rho, 6) @ columns)
    draws = 200_000
    generator = torch.Generator().manual_seed(0)
    path = autoregress(rho, torch.randn(3, draws, 6, generator=generator).double())
    found = path.mT @ path / draws
    # the standard error of a covariance of two standard normal numbers is at most √(2 / draws)
    assert float((found - own_correlation(rho, 6)).abs().max()) < 5 * (2 / draws) ** 0.5


@pytest.mark.parametrize("kind", ["white", "shared", "windows", "steered"])
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [1, 6])
def test_whitening_and_its_gradients_are_those_of_the_dense_matrix(kind, static, masked, steps):
    generator = torch.Generator().manual_seed(4)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    batch, units = 4, 3
    residual, loading = normal(batch, steps).requires_grad_(), normal(steps, units).requires_grad_()
    scale = (normal(units) if static else normal(batch, units)).abs().add(0.1).requires_grad_()
    own = noise_of(kind, batch, steps)
    inputs = [residual, loading, scale]
    if own is not None:
        own = own.map(lambda x: x.clone().requires_grad_())
        inputs += [x for x in own if x is not None]
    observed = normal(batch, steps) > -0.3
    observed[:, 0] = True
    mask = observed if masked else None
    quadratic, logdet = whiten(residual, loading, scale, mask, own)
    whole = correlation(loading, scale, own).expand(batch, steps, steps)
    expected = []
    for b in range(batch):
        rows = observed[b].nonzero()[:, 0] if masked else torch.arange(steps)
        matrix, r = whole[b][rows][:, rows], residual[b, rows]
        expected.append((r @ torch.linalg.solve(matrix, r), torch.logdet(matrix)))
    q, ld = (torch.stack(part) for part in zip(*expected, strict=True))
    torch.testing.assert_close(quadratic, q, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(logdet, ld, rtol=1e-8, atol=1e-9)
    weights = normal(2, batch)
    ours = torch.autograd.grad(
        (weights[0] * quadratic + weights[1] * logdet).sum(), inputs, allow_unused=True
    )
    theirs = torch.autograd.grad(
        (weights[0] * q + weights[1] * ld).sum(), inputs, allow_unused=True
    )
    for one, other in zip(ours, theirs, strict=True):
        # one step has no persistence to learn, which either may say by None
        given = [x for x in (one, other) if x is not None]
        if given:
            pair = [torch.zeros_like(given[0]) if x is None else x for x in (one, other)]
            torch.testing.assert_close(*pair, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["white", "shared", "steered"])
def test_the_posterior_is_that_of_the_dense_model(kind):
    loading, scale = torch.randn(5, 3).double(), torch.rand(2, 3).double() + 0.2
    own = noise_of(kind, 2, 5)
    found = posterior(loading, scale, own)
    for b in range(2):
        noise = torch.eye(5).double() if own is None else dense_covariance(own, b, 5)
        whole = loading * scale[b]
        expected = torch.linalg.inv(
            torch.eye(3).double() + whole.T @ torch.linalg.solve(noise, whole)
        )
        torch.testing.assert_close(found[b], expected)


def test_weights_alone_move_no_margin():
    own = noise_of("steered", 4, 6)
    whole = correlation(torch.randn(6, 2).double(), torch.rand(4, 2).double(), own)
    torch.testing.assert_close(whole.diagonal(dim1=-2, dim2=-1), torch.ones(4, 6).double())
    assert float(torch.linalg.eigvalsh(whole).min()) > -1e-9


def test_noise_is_left_as_it_is_whatever_its_layout():
    noise = torch.ones(3, 2, 4).movedim(0, -1)  # steps in front, in memory
    autoregress(torch.tensor(0.6), noise)
    assert (noise == 1.0).all()
