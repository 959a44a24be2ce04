"""The mass of counts against SciPy, its limits, and its gradients."""

from __future__ import annotations

import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.functional.negative_binomial import nll


@given(st.integers(0, 3000), st.floats(1e-3, 3e3), st.floats(1e-6, 50.0))
def test_it_is_that_of_scipy(y: int, rate: float, dispersion: float) -> None:
    n = 1.0 / dispersion
    expected = -scipy.stats.nbinom(n, n / (n + rate)).logpmf(y)
    found = nll(*torch.tensor([y, rate, dispersion], dtype=torch.float64).unbind())
    assert found.item() == pytest.approx(expected, rel=1e-7, abs=1e-5)
    poisson = nll(*torch.tensor([y, rate], dtype=torch.float64).unbind())
    assert poisson.item() == pytest.approx(-scipy.stats.poisson(rate).logpmf(y), rel=1e-9, abs=1e-9)


def test_without_dispersion_it_is_poisson() -> None:
    y, rate = torch.tensor([0.0, 3.0, 200.0]), torch.tensor([0.01, 3.0, 180.0])
    torch.testing.assert_close(nll(y, rate, torch.tensor(1e-9)), nll(y, rate), atol=1e-4, rtol=1e-4)


def test_masses_add_up_to_one() -> None:
    y = torch.arange(4000.0)
    total = (-nll(y, torch.tensor(20.0), torch.tensor(2.0))).double().exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-5)


def test_gradients_are_finite_differences() -> None:
    y = torch.tensor([0.0, 2.0, 90.0], dtype=torch.float64)
    rate = torch.tensor([0.3, 4.0, 70.0], dtype=torch.float64, requires_grad=True)
    dispersion = torch.tensor([0.5, 1e-3, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r, a: nll(y, r, a), (rate, dispersion), rtol=1e-4)
