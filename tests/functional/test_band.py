"""Bands: hinge and slope, and factors that lead back."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.functional.band import (
    hinge,
    homeostasis_factor,
    log_spaced,
    projection_factor,
)

positive = st.floats(1e-3, 1e3)
ONE = torch.ones(1, dtype=torch.float64)


def tensor(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


@given(e=positive, low=positive, width=st.floats(1.1, 5.0))
def test_projection_is_at_the_bound_and_idempotent(e: float, low: float, width: float) -> None:
    bounds = tensor(low), tensor(low * width)
    factor = projection_factor(tensor(e), *bounds)
    after = tensor(e) * factor.square()
    capped = bool(((factor == 50.0) | (factor == 1 / 50.0)).all())
    if not capped:
        expected = min(max(e, low), low * width)
        assert math.isclose(after.item(), expected, rel_tol=1e-9)
        assert math.isclose(projection_factor(after, *bounds).item(), 1.0, rel_tol=1e-9)


@given(e=positive, low=positive, width=st.floats(1.1, 5.0), rate=st.floats(0.05, 0.5))
def test_homeostasis_moves_monotonically_and_never_past_the_centre(
    e: float, low: float, width: float, rate: float
) -> None:
    centre = low * math.sqrt(width)
    distance, energy = abs(math.log(e / centre)), tensor(e)
    for _ in range(30):
        before = energy
        factor = homeostasis_factor(
            energy, tensor(low), tensor(low * width), tensor(rate)[0], inside=0.25, limit=1.25
        )
        energy = energy * factor.square()
        left = abs(math.log(energy.item() / centre))
        assert left <= distance + 1e-12
        assert (energy.item() - centre) * (before.item() - centre) >= -1e-12 * centre**2
        distance = left


def test_homeostasis_may_leave_units_within_the_band_alone() -> None:
    factor = homeostasis_factor(
        tensor(1.2), ONE, 2 * ONE, torch.tensor(0.3), inside=0.0, limit=1.25
    )
    assert factor.item() == 1.0


@given(e=positive, low=positive, width=st.floats(1.1, 5.0))
def test_the_slope_is_the_derivative_of_the_hinge(e: float, low: float, width: float) -> None:
    energy = tensor(e).requires_grad_()
    arguments = (tensor(low), tensor(low * width), 0.7 * ONE, 1.3 * ONE)
    (gradient,) = torch.autograd.grad(hinge(energy, *arguments).price.sum(), energy)
    torch.testing.assert_close(gradient, hinge(energy.detach(), *arguments).slope)


def test_targets_are_log_spaced() -> None:
    targets = log_spaced(0.05, 8.0, 7)
    torch.testing.assert_close(targets[[0, 3, 6]], torch.tensor([0.00625, 0.05, 0.4]))
    ratios = targets[1:] / targets[:-1]
    torch.testing.assert_close(ratios, ratios[0].expand(6))
    assert log_spaced(0.05, 1.0, 3).tolist() == [torch.tensor(0.05).item()] * 3
