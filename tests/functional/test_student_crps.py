"""The CRPS that margins may learn by, against the library's exact one and its own slopes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting.laws.law import StudentLaw
from vneuron.functional.student_crps import step_crps

DFS = [2.1, 3.0, 7.5, 40.0, 100.0, None]


@pytest.mark.parametrize("df", DFS)
def test_it_is_the_score_of_the_law(df):
    z = torch.linspace(-60, 60, 2001, dtype=torch.float64)
    loc, scale = torch.full_like(z, 0.3), torch.full_like(z, 1.7)
    nu = None if df is None else torch.tensor(df, dtype=torch.float64)
    expected = StudentLaw(loc.numpy(), scale.numpy(), df).crps(z.numpy())
    np.testing.assert_allclose(step_crps(z, loc, scale, nu).numpy(), expected, rtol=2e-5)
    single = [value.float() for value in (z, loc, scale)]
    found = step_crps(*single, None if nu is None else nu.float())
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("df", DFS)
def test_its_slopes_are_its_own(df):
    """Central differences of the exact score."""
    y = torch.linspace(-9, 9, 181)
    loc = torch.zeros_like(y).requires_grad_()
    scale = torch.full_like(y, 0.8).requires_grad_()
    nu = None if df is None else torch.tensor(df, requires_grad=True)
    target = y.clone().requires_grad_()
    step_crps(target, loc, scale, nu).sum().backward()

    def exact(m, t):
        law = StudentLaw(np.full(len(y), m), np.full(len(y), t), df)
        return law.crps(y.double().numpy())

    h = 1e-5
    by_loc = (exact(h, 0.8) - exact(-h, 0.8)) / (2 * h)
    by_scale = (exact(0.0, 0.8 + h) - exact(0.0, 0.8 - h)) / (2 * h)
    np.testing.assert_allclose(loc.grad.numpy(), by_loc, atol=3e-4)
    np.testing.assert_allclose(target.grad.numpy(), -by_loc, atol=3e-4)
    np.testing.assert_allclose(scale.grad.numpy(), by_scale, atol=3e-4)
    assert nu is None or nu.grad is None


@given(
    st.floats(-1e6, 1e6, width=32),
    st.floats(0.0009765625, 1e3, width=32),
    st.floats(2.125, 64.0, width=32),
)
def test_it_is_never_below_nought_and_in_the_unit_of_the_data(y, scale, df):
    one = torch.tensor([y]), torch.zeros(1), torch.tensor([scale])
    nu = torch.tensor(df)
    found = step_crps(*one, nu)
    assert 0 < found.item() < float("inf")
    twice = step_crps(2 * one[0], one[1], 2 * one[2], nu)
    torch.testing.assert_close(twice, 2 * found, rtol=1e-4, atol=1e-6)
    mirrored = step_crps(-one[0], one[1], one[2], nu)
    torch.testing.assert_close(mirrored, found)


def test_errors_count_by_what_they_are_and_not_by_how_sure_the_law_was():
    """The same error is the same push on m from a law half as wide, where it is out of both."""
    loc = torch.zeros(2, requires_grad=True)
    step_crps(
        torch.full((2,), 50.0), loc, torch.tensor([1.0, 0.5]), torch.tensor(5.0)
    ).sum().backward()
    torch.testing.assert_close(loc.grad, torch.full((2,), -1.0), rtol=0, atol=1e-4)
