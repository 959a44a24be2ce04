"""The low-rank correlation against dense linear algebra."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.functional.low_rank import (
    correlation,
    diagonal,
    inverse_and_logdet,
    whiten,
)


def example(batch=3, steps=5, units=4, seed=0):
    """Residuals, W, s and a mask in which every window misses something, all double."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    residual, loading = normal(batch, steps), normal(steps, units)
    scale = normal(batch, units).abs() + 0.1
    observed = torch.rand(batch, steps, generator=generator) > 0.4
    observed[:, 0], observed[:, 1] = True, False
    return residual, loading, scale, observed


def dense(residual, loading, scale, observed=None):
    """The same two numbers, window by window, from the whole matrix."""
    found = []
    for b in range(len(residual)):
        own = scale[b] if scale.dim() == 2 else scale
        rows = torch.arange(len(loading)) if observed is None else observed[b].nonzero()[:, 0]
        matrix = correlation(loading, own)[rows][:, rows]
        r = residual[b, rows]
        found.append((r @ torch.linalg.solve(matrix, r), torch.logdet(matrix)))
    quadratic, logdet = zip(*found, strict=True)
    return torch.stack(quadratic), torch.stack(logdet)


def assert_close(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def test_the_correlation_is_its_definition():
    _, loading, scale, _ = example()
    for b in range(len(scale)):
        whole = loading @ torch.diag(scale[b].square()) @ loading.T + torch.eye(5).double()
        root = whole.diagonal().rsqrt()
        expected = root[:, None] * whole * root
        torch.testing.assert_close(correlation(loading, scale)[b], expected)
        torch.testing.assert_close(diagonal(loading, scale)[b], whole.diagonal())


@given(
    seed=st.integers(0, 1000),
    steps=st.integers(1, 7),
    units=st.integers(1, 6),
    size=st.floats(1e-3, 1e3),
)
def test_its_diagonal_is_one_and_it_is_positive_whatever_w_and_s(seed, steps, units, size):
    _, loading, scale, _ = example(1, max(steps, 2), units, seed)
    matrix = correlation(loading[:steps] * size, scale)[0]
    torch.testing.assert_close(matrix.diagonal(), torch.ones(steps, dtype=torch.float64))
    torch.testing.assert_close(matrix, matrix.T)
    assert float(torch.linalg.eigvalsh(matrix).min()) > -1e-9
    assert float(matrix.abs().max()) <= 1.0 + 1e-9


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("steps", "units"), [(1, 1), (1, 3), (5, 4), (3, 6), (6, 1)])
def test_quadratic_form_and_determinant_are_those_of_the_dense_matrix(steps, units, masked):
    residual, loading, scale, observed = example(4, max(steps, 2), units)
    residual, loading, observed = residual[:, :steps], loading[:steps], observed[:, :steps]
    mask = observed if masked else None
    assert_close(whiten(residual, loading, scale, mask), dense(residual, loading, scale, mask))


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_in_all_three_inputs(masked):
    residual, loading, scale, observed = example()
    inputs = tuple(x.requires_grad_() for x in (residual, loading, scale))
    mask = observed if masked else None
    assert torch.autograd.gradcheck(lambda r, w, s: tuple(whiten(r, w, s, mask)), inputs)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_dense_autograd(masked):
    residual, loading, scale, observed = example()
    mask = observed if masked else None
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    found = []
    for function in (whiten, dense):
        inputs = [x.clone().requires_grad_() for x in (residual, loading, scale)]
        quadratic, logdet = function(*inputs, mask)
        (weights @ quadratic + (weights**2) @ logdet).backward()
        found.append([x.grad for x in inputs])
    assert_close(*found)


@pytest.mark.parametrize("masked", [False, True])
def test_a_static_scale_is_the_same_scale_in_every_window(masked):
    residual, loading, scale, observed = example()
    mask = observed if masked else None
    static = scale[0].clone()
    found = []
    for own in (static, static.expand(3, -1)):
        inputs = [residual.clone(), loading.clone(), own.clone()]
        for x in inputs:
            x.requires_grad_()
        result = whiten(*inputs, mask)
        (result.quadratic.sum() + (2 * result.logdet).sum()).backward()
        gradients = [x.grad for x in inputs]
        gradients[2] = gradients[2] if gradients[2].dim() == 1 else gradients[2].sum(0)
        found.append([*result, *gradients])
    assert_close(*found)


def test_gradients_of_the_static_form():
    residual, loading, scale, _ = example()
    inputs = tuple(x.requires_grad_() for x in (residual, loading, scale[0].clone()))
    assert torch.autograd.gradcheck(lambda r, w, s: tuple(whiten(r, w, s)), inputs)


def test_a_step_that_is_not_observed_is_as_if_it_were_not_there():
    residual, loading, scale, observed = example()
    keep = torch.tensor([0, 2, 4])
    mask = torch.zeros_like(observed)
    mask[:, keep] = True
    without = whiten(residual[:, keep], loading[keep], scale)
    assert_close(whiten(residual, loading, scale, mask), without)
    residual[:, 1] = torch.nan
    assert_close(whiten(residual, loading, scale, mask), without)


def test_a_window_without_any_observed_step_counts_nothing():
    residual, loading, scale, observed = example()
    observed[1] = False
    inputs = [x.requires_grad_() for x in (residual, loading, scale)]
    quadratic, logdet = whiten(*inputs, observed)
    assert quadratic[1].abs() < 1e-12
    assert logdet[1].abs() < 1e-12
    (quadratic[1] + logdet[1]).backward()
    for x in inputs:
        torch.testing.assert_close(x.grad, torch.zeros_like(x), atol=1e-12, rtol=0)


@given(st.permutations(range(4)))
def test_the_order_of_units_does_not_matter(order):
    residual, loading, scale, observed = example()
    order = list(order)
    assert_close(
        whiten(residual, loading[:, order], scale[:, order], observed),
        whiten(residual, loading, scale, observed),
    )


def test_a_factor_between_a_column_and_its_scale_does_not_matter():
    residual, loading, scale, _ = example()
    factor = torch.tensor([0.1, 3.0, -1.0, 1.0], dtype=torch.float64)
    assert_close(
        whiten(residual, loading * factor, scale / factor.abs()), whiten(residual, loading, scale)
    )


@pytest.mark.parametrize("size", [1e-3, 10.0])
@pytest.mark.parametrize("masked", [False, True])
def test_the_bounds_of_a_units_scale_in_single_precision(size, masked):
    """Both ends of (0.001, 10) with loadings as they start: value and gradient stay right."""
    residual, loading, scale, observed = example(4, 24, 8)
    scale = torch.full_like(scale, size)
    mask = observed if masked else None
    expected = dense(residual, loading, scale, mask)
    inputs = [x.float().requires_grad_() for x in (residual, loading, scale)]
    found = whiten(*inputs, mask)
    assert_close([x.double() for x in found], expected, atol=2e-3, rtol=2e-4)
    (found.quadratic.sum() + found.logdet.sum()).backward()
    assert all(bool(x.grad.isfinite().all()) for x in inputs)


def test_no_dependence_is_left_where_scales_vanish():
    residual, loading, scale, _ = example()
    quadratic, logdet = whiten(residual, loading, 0 * scale)
    torch.testing.assert_close(quadratic, residual.square().sum(-1))
    torch.testing.assert_close(logdet, torch.zeros_like(logdet))


def test_inverse_and_logdet_are_those_of_the_matrix():
    _, loading, scale, _ = example()
    for gram in (loading.T @ loading, torch.stack([loading.T @ loading] * 3)):
        inverse, logdet = inverse_and_logdet(gram, scale)
        matrix = torch.eye(4).double() + scale[:, :, None] * gram * scale[:, None, :]
        torch.testing.assert_close(inverse, torch.linalg.inv(matrix))
        torch.testing.assert_close(logdet, torch.logdet(matrix))


def test_shapes_that_do_not_belong_together_are_refused():
    residual, loading, scale, _ = example()
    with pytest.raises(ValueError, match=r"residual has shape \(3, 4\).*same number of steps"):
        whiten(residual[:, :4], loading, scale)
    with pytest.raises(ValueError, match="3 units and loading 4"):
        whiten(residual, loading, scale[:, :3])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("static", [False, True])
def test_what_has_overflowed_is_nan_and_no_exception(value, static):
    residual, loading, scale, _ = (x.float() for x in example())
    scale[:, 1] = value
    scale = scale[0] if static else scale
    loading.requires_grad_()
    _, logdet = whiten(residual, loading, scale)
    assert not bool(logdet.isfinite().any())
    logdet.sum().backward()


@pytest.mark.parametrize("masked", [False, True])
def test_in_chunks_it_is_the_same(monkeypatch, masked):
    residual, loading, scale, observed = example(batch=7)
    mask = observed if masked else None
    weights = torch.linspace(-1, 2, 7, dtype=torch.float64)
    found = []
    for chunk in (2**18, 2 * 4 * 4):  # all at once, and two windows at a time
        monkeypatch.setattr("vneuron.functional.woodbury.CHUNK", chunk)
        inputs = [x.clone().requires_grad_() for x in (residual, loading, scale)]
        quadratic, logdet = whiten(*inputs, mask)
        (weights @ quadratic + weights.square() @ logdet).backward()
        found.append([quadratic, logdet, *(x.grad for x in inputs)])
    assert_close(*found)
