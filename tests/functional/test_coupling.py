"""Sources that series share, against dense covariance matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vneuron.functional.coupling import (
    bounded,
    by_factors,
    by_sources,
    correlation_of,
    coupled,
    innovations,
    own_form,
)
from vneuron.functional.own_noise import OwnNoise, own_correlation

ROUTES = pytest.mark.parametrize("route", [by_sources, by_factors, coupled])


def problem(origins=2, series=3, steps=4, width=2, rank=2, seed=0):
    """x, V, Λ, λ in double precision."""
    make = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=make, dtype=torch.float64)

    columns = normal(origins, series, steps, width)
    loadings = bounded(normal(series, width, rank)), bounded(normal(series, rank))
    return normal(origins, series, steps), columns, *loadings


def dense(columns, units, noise):
    """Covariance of all series at one origin, from V [series, steps, width]."""
    series, steps, _ = columns.shape
    whole = torch.zeros(series, steps, series, steps, dtype=columns.dtype)
    for c in range(series):
        for d in range(series):
            alike = torch.tensor(1.0) if c == d else noise[c] @ noise[d]
            tied = (units[c] * units[d]).sum(-1) if c != d else torch.ones(columns.shape[-1])
            eye = torch.eye(steps, dtype=columns.dtype)
            whole[c, :, d] = columns[c] * tied @ columns[d].T + alike * eye
    return whole.reshape(series * steps, -1)


@ROUTES
@settings(max_examples=20, deadline=None)
@given(
    series=st.integers(1, 4),
    steps=st.integers(1, 5),
    width=st.integers(1, 3),
    rank=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_the_law_is_that_of_the_dense_matrix(route, series, steps, width, rank, seed):
    value, columns, units, noise = problem(2, series, steps, width, rank, seed)
    found = route(value, columns, units, noise)
    for origin in range(2):
        whole, x = dense(columns[origin], units, noise), value[origin].flatten()
        torch.testing.assert_close(found.quadratic[origin], x @ torch.linalg.solve(whole, x))
        torch.testing.assert_close(found.logdet[origin], torch.logdet(whole))


@ROUTES
def test_gradients_are_those_of_the_dense_matrix(route):
    value, columns, units, noise = problem(1)
    units.requires_grad_()
    noise.requires_grad_()
    found = route(value, columns, units, noise)
    whole, x = dense(columns[0], units, noise), value[0].flatten()
    expected = x @ torch.linalg.solve(whole, x) + torch.logdet(whole)
    ours = torch.autograd.grad((found.quadratic + found.logdet).sum(), (units, noise))
    theirs = torch.autograd.grad(expected, (units, noise))
    torch.testing.assert_close(ours, theirs)


@ROUTES
def test_series_without_loadings_are_independent(route):
    value, columns, units, noise = problem()
    found = route(value, columns, 0 * units, 0 * noise)
    own = own_form(value, columns)
    torch.testing.assert_close(found.quadratic, own.quadratic.sum(-1))
    torch.testing.assert_close(found.logdet, own.logdet.sum(-1))


@ROUTES
def test_an_absent_series_counts_nothing(route):
    value, columns, units, noise = problem(series=4)
    here = torch.tensor([[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]], dtype=torch.float64)
    found = route(
        value * here[..., None],
        columns * here[..., None, None],
        units * here[..., None, None],
        noise * here[..., None],
    )
    for origin in range(2):
        kept = here[origin] > 0
        only = route(
            value[origin : origin + 1, kept],
            columns[origin : origin + 1, kept],
            units[kept],
            noise[kept],
        )
        torch.testing.assert_close(found.quadratic[origin], only.quadratic[0])
        torch.testing.assert_close(found.logdet[origin], only.logdet[0])


@ROUTES
def test_the_order_of_series_does_not_matter(route):
    value, columns, units, noise = problem(series=4)
    turned = torch.tensor([2, 0, 3, 1])
    first = route(value, columns, units, noise)
    other = route(value[:, turned], columns[:, turned], units[turned], noise[turned])
    torch.testing.assert_close(first, other)


def test_shapes_that_do_not_belong_together_are_refused():
    value, columns, units, noise = problem()
    with pytest.raises(ValueError, match="expected"):
        coupled(value, columns, units[:, :1], noise)


def test_correlations_have_a_diagonal_of_one():
    loading = bounded(10 * torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    found = correlation_of(loading)
    torch.testing.assert_close(found.diagonal(), torch.ones(5))
    assert torch.linalg.eigvalsh(found).min() > 0


@pytest.mark.parametrize("weighted", [False, True])
def test_innovations_undo_the_own_noise(weighted):
    rho = torch.tensor([0.7, -0.3], dtype=torch.float64)
    weight = torch.rand(2, 5, dtype=torch.float64) + 0.5 if weighted else None
    covariance = own_correlation(rho, 5)
    if weight is not None:
        covariance = weight[..., None] * covariance * weight[:, None]
    root = torch.linalg.cholesky(covariance)
    white = innovations(OwnNoise(rho, weight), root)
    torch.testing.assert_close(white, torch.eye(5, dtype=torch.float64).expand(2, -1, -1))
