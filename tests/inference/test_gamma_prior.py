"""Inference under a gamma prior: the gradient of its own energy, and steps that never raise it."""

from __future__ import annotations

import itertools

import pytest
import torch

from vneuron.inference import (
    InferenceOptions,
    IterativePoisson,
    LinearDecoder,
    descend,
    descent_step,
    init_descent,
    unroll,
)


def heavy(scale: float = 0.3, **options: object) -> IterativePoisson:
    decoder = LinearDecoder(6, 8, scale)
    chosen = InferenceOptions(**options)  # type: ignore[arg-type]
    return IterativePoisson(decoder, chosen, prior_shape=0.05, prior_mean=0.2)


def test_mean_field_velocity_is_the_natural_gradient() -> None:
    model, x, beta = heavy(), torch.randn(3, 8), 0.7
    u = torch.randn(3, 6, requires_grad=True)
    constants = model.constants()
    start = init_descent(model, x, constants, beta, (u,))
    (gradient,) = torch.autograd.grad(start.energy.sum(), u)
    error = (x - start.prediction) * constants.precision
    drive = model.decoder.pull_back(start.activity, error)
    stiffness = 2 * constants.curvature * u.exp() + beta
    velocity = model.direction((u,), drive, constants, beta)[0] * stiffness
    # Between the table's points the energy is a straight line: its slope is a step function.
    torch.testing.assert_close(velocity, -gradient / u.exp(), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("scale", [0.1, 1.0])
@pytest.mark.parametrize("beta", [0.1, 3.0])
def test_guarded_steps_never_raise_the_free_energy(scale: float, beta: float) -> None:
    model, x = heavy(scale), 2.0 * torch.randn(40, 8)
    constants = model.constants()
    with torch.no_grad():
        state = init_descent(model, x, constants, beta)
        for _ in range(60):
            after = descent_step(model, state, x, constants, beta)
            assert (after.energy <= state.energy).all()
            state = after


def test_a_fixed_anchor_settles_where_descent_does() -> None:
    model, x = heavy(draws="mean", anchor="fixed", kl_weight=0.5), torch.randn(5, 8)
    with torch.no_grad():
        model.log_leak.fill_(-30.0)
        model.log_gain.fill_(-1.5)
        *_, state = unroll(model, itertools.repeat(x, 3000))
        end = descend(model, x, 3000, 0.5)
        terms = model.terms(state, state, x, model.constants())
    torch.testing.assert_close(terms.kl, model.belief_kl((state.log_rate,)))
    torch.testing.assert_close(state.log_rate.exp(), end.belief[0].exp(), rtol=1e-2, atol=1e-3)


def test_the_table_is_no_part_of_what_is_saved() -> None:
    assert set(heavy().state_dict()) == set(IterativePoisson(LinearDecoder(6, 8)).state_dict())
