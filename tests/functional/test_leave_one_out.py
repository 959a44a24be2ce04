"""Densities with one unit changed against the same density built from scratch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.functional.leave_one_out import LeaveOneOut
from vneuron.functional.low_rank import whiten


def example(units, k, batch=4, steps=6, size=1.0):
    generator = torch.Generator().manual_seed(7)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return normal(batch, steps), normal(steps, units * k), size * normal(batch, units * k).abs()


def assert_same(found, expected, **tolerance):
    torch.testing.assert_close(found.quadratic, expected.quadratic, **tolerance)
    torch.testing.assert_close(found.logdet, expected.logdet, **tolerance)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("kind", ["silenced", "frozen", "per window", "as it is"])
def test_changing_a_unit_is_building_the_density_anew(units, k, kind):
    residual, loading, scale = example(units, k)
    changed = LeaveOneOut(loading, scale, k)
    for unit in range(units):
        own = slice(unit * k, (unit + 1) * k)
        new = {
            "silenced": torch.zeros(k, dtype=torch.float64),
            "frozen": scale[:, own].mean(0),
            "per window": 2 * scale[:, own] + 0.3,
            "as it is": scale[:, own],
        }[kind]
        other = scale.clone()
        other[:, own] = new
        assert_same(changed.whiten(unit, residual, new), whiten(residual, loading, other))


@given(size=st.floats(1e-3, 10.0), unit=st.integers(0, 2))
def test_over_the_whole_range_of_scales(size, unit):
    residual, loading, scale = example(3, 2, size=size)
    other = scale.clone()
    other[:, 2 * unit : 2 * unit + 2] = 0.0
    found = LeaveOneOut(loading, scale, 2).whiten(unit, residual, other[:, :2] * 0)
    assert_same(found, whiten(residual, loading, other), atol=1e-8, rtol=1e-8)


def test_in_single_precision_with_wide_units():
    residual, loading, scale = example(16, 1, steps=24, size=10.0)
    single = LeaveOneOut(loading.float(), scale.float())
    for unit in (0, 15):
        other = scale.clone()
        other[:, unit] = 0.0
        expected = whiten(residual, loading, other)
        found = single.whiten(unit, residual.float(), torch.zeros(1))
        torch.testing.assert_close(found.quadratic.double(), expected.quadratic, atol=0.05, rtol=0)
        torch.testing.assert_close(found.logdet.double(), expected.logdet, atol=0.01, rtol=0)


def test_one_step_only():
    residual, loading, scale = example(2, 1, steps=1)
    other = scale * torch.tensor([0.0, 1.0], dtype=torch.float64)
    found = LeaveOneOut(loading, scale).whiten(0, residual, torch.zeros(1).double())
    assert_same(found, whiten(residual, loading, other))


@pytest.mark.parametrize("k", [1, 2])
def test_outcome_information_is_the_gaussian_information_between_unit_and_path(k):
    """½ ln det S² / det V, with V the posterior covariance of z given the path, built densely."""
    _, loading, scale = example(3, k)
    found = LeaveOneOut(loading, scale, k).outcome_information()
    for b in range(len(scale)):
        prior = torch.diag(scale[b].square())
        noise = torch.eye(len(loading), dtype=torch.float64)
        cross = prior @ loading.T
        posterior = prior - cross @ torch.linalg.solve(loading @ cross + noise, cross.T)
        for unit in range(3):
            own = slice(unit * k, (unit + 1) * k)
            expected = 0.5 * (torch.logdet(prior[own, own]) - torch.logdet(posterior[own, own]))
            torch.testing.assert_close(found[b, unit], expected)
    assert bool((found >= 0).all())


def test_columns_that_are_no_multiple_of_k_are_refused():
    _, loading, scale = example(3, 1)
    with pytest.raises(ValueError, match="3 columns, expected a multiple of k = 2"):
        LeaveOneOut(loading, scale, 2)
