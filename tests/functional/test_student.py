"""Student's t against SciPy, and its limits."""

import numpy as np
import pytest
import torch
from scipy import stats

from vneuron.functional.student import joint_nll, marginal_nll, step_nll


@pytest.mark.parametrize("df", [2.1, 5.0, 1e3])
def test_a_step_is_scipys_t(rng, df):
    y, scale = rng.normal(size=20) * 5, 0.7
    found = marginal_nll(
        torch.from_numpy(y / scale),
        torch.tensor(scale).double().log(),
        torch.tensor(df, dtype=torch.float64),
    )
    np.testing.assert_allclose(found, -stats.t(df, scale=scale).logpdf(y), rtol=1e-6)


def test_a_gaussian_step_is_scipys_normal(rng):
    y, scale = rng.normal(size=20) * 5, 0.7
    found = marginal_nll(torch.from_numpy(y / scale), torch.tensor(scale).double().log(), None)
    np.testing.assert_allclose(found, -stats.norm(scale=scale).logpdf(y), rtol=1e-6)


@pytest.mark.parametrize("df", [2.1, 5.0, None])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_path_is_scipys_multivariate_t(rng, df, steps):
    root = rng.normal(size=(steps, steps)) + 2 * np.eye(steps)
    shape = root @ root.T
    y = rng.normal(size=(10, steps)) * 3
    quadratic = np.einsum("bi,ij,bj->b", y, np.linalg.inv(shape), y)
    found = joint_nll(
        torch.from_numpy(quadratic),
        torch.tensor(0.5 * np.linalg.slogdet(shape)[1]),
        torch.tensor(float(steps), dtype=torch.float64),
        None if df is None else torch.tensor(df, dtype=torch.float64),
    )
    law = (
        stats.multivariate_normal(cov=shape)
        if df is None
        else stats.multivariate_t(shape=shape, df=df)
    )
    np.testing.assert_allclose(found, np.atleast_1d(-law.logpdf(y)), rtol=1e-8)


def test_it_becomes_gaussian_as_degrees_of_freedom_grow(rng):
    quadratic = torch.from_numpy(rng.chisquare(4, size=10))
    volume, steps = torch.zeros(()).double(), torch.tensor(4.0).double()
    gaussian = joint_nll(quadratic, volume, steps, None)
    heavy = joint_nll(quadratic, volume, steps, torch.tensor(1e6).double())
    torch.testing.assert_close(heavy, gaussian, atol=1e-4, rtol=0)


def test_no_steps_cost_nothing():
    zero = torch.zeros(2, dtype=torch.float64)
    for df in (None, torch.tensor(3.0, dtype=torch.float64)):
        torch.testing.assert_close(joint_nll(zero, zero, zero, df), zero)


@pytest.mark.parametrize("steps", [1.0, 5.0])
def test_gradients(steps):
    inputs = tuple(
        torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for value in ([0.1, 4.0, 60.0], [0.3, -0.2, 0.0], 3.5)
    )
    count = torch.tensor(steps, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda q, v, df: joint_nll(q, v, count, df), inputs)


def test_a_far_value_costs_a_finite_amount_in_single_precision():
    residual = torch.tensor([1e15], requires_grad=True)
    nll = marginal_nll(residual, torch.zeros(1), torch.tensor(3.0))
    nll.backward()
    assert bool(nll.isfinite())
    assert bool(residual.grad.isfinite())


@pytest.mark.parametrize("df", [2.1, 5.0, None])
def test_the_closed_form_of_a_step_is_the_plain_one_and_so_is_its_gradient(rng, df):
    y, m = (torch.from_numpy(rng.normal(size=(4, 3)) * 3) for _ in range(2))
    scale = torch.from_numpy(rng.gamma(2.0, size=(4, 3)) + 0.1)
    nu = None if df is None else torch.tensor(df, dtype=torch.float64)
    weights = torch.from_numpy(rng.normal(size=(4, 3)))
    found = []
    for plain in (False, True):
        inputs = [x.clone().requires_grad_() for x in (y, m, scale, nu) if x is not None]
        target, loc, tau, *nus = inputs
        own = nus[0] if nus else None
        if plain:
            nll = marginal_nll((target - loc) / tau, tau.log(), own)
        else:
            nll = step_nll(target, loc, tau, own)
        (weights * nll).sum().backward()
        found.append([nll, *(x.grad for x in inputs)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
