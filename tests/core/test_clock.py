"""Counting steps, and spans of a run."""

from __future__ import annotations

import copy

import pytest

import vneuron as vn
from vneuron.core import Clock, check_duration


def test_it_counts_and_remembers_through_saving_and_copying() -> None:
    clock = Clock()
    clock.prepare(100)
    assert [clock.tick() for _ in range(3)] == [1, 2, 3]
    fresh = Clock()
    fresh.load_state_dict(clock.state_dict())
    for other in (fresh, copy.deepcopy(clock), clock):
        assert other.tick() == 4
        assert other.step.item() == 4
        assert other.steps_in("x", 0.5) == 50


def test_a_mirror_made_before_loading_does_not_survive_it() -> None:
    clock, other = Clock(), Clock()
    for _ in range(7):
        other.tick()
    clock.tick()
    clock.load_state_dict(other.state_dict())
    assert clock.tick() == 8


def test_durations() -> None:
    clock = Clock()
    assert clock.steps_in("x", 64) == 64
    assert clock.steps_in("x", vn.Span(64, 0.1)) == 64
    with pytest.raises(ValueError, match=r"x is the fraction 0\.1 of a run"):
        clock.steps_in("x", 0.1)
    clock.prepare(200)
    assert clock.steps_in("x", 64) == 64
    assert clock.steps_in("x", vn.Span(64, 0.1)) == 20
    assert clock.steps_in("x", 0.1) == 20
    clock.prepare(10_000)
    assert clock.steps_in("x", vn.Span(64, 0.1)) == 64


def test_every_is_at_least_one_step() -> None:
    clock = Clock()
    clock.prepare(10)
    assert [clock.due(step, 0.001) for step in (1, 2, 3)] == [True] * 3
    assert [clock.due(step, 2) for step in (1, 2, 3, 4)] == [False, True, False, True]


@pytest.mark.parametrize("duration", [-1, -0.5, 1.5, float("nan"), vn.Span(-1, 0.1)])
def test_impossible_durations_are_refused(duration: float) -> None:
    with pytest.raises(ValueError, match="expected a number of steps"):
        check_duration("warmup", duration)


def test_a_run_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="0 steps, expected at least 1"):
        vn.prepare_controls(Clock(), 0)
