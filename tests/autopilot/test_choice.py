"""Front, knee, gates, the reference's order, and the paired test, against independent means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vneuron.autopilot.criteria import check_objectives
from vneuron.autopilot.gates import constraints, penalty
from vneuron.autopilot.paired import paired_test
from vneuron.autopilot.pareto import choose, front, knee
from vneuron.autopilot.study import Finished

POINTS = arrays(float, st.tuples(st.integers(1, 12), st.just(3)), elements=st.integers(0, 4))


def trial(number: int, joint: float, faults: float = 0.0, parameters: float = 1e4, **more: float):
    gates = more.pop("gates", -0.1)
    return Finished(
        number=number,
        options={"units": number},
        values={"joint_nll": joint, "fault_share": faults, "parameters": parameters},
        constraints=(gates,),
        penalty=more.pop("penalty", 0.0),
        signs={},
        epochs=[],
    )


CRITERIA = check_objectives(["joint_nll", "fault_share", "parameters"])


@given(values=POINTS)
def test_the_front_is_what_nothing_beats(values: np.ndarray) -> None:
    found = front(values)
    for i, point in enumerate(values):
        beaten = any(
            all(other <= point) and any(other < point) for j, other in enumerate(values) if j != i
        )
        assert found[i] == (not beaten)


@given(values=POINTS, shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_the_knee_does_not_depend_on_units(values: np.ndarray, shift: float, scale: float) -> None:
    points = values[front(values)]
    factors = np.array([scale, 1.0, 2.0])
    moved = knee(points * factors + shift)
    shares = points - points.min(axis=0)
    extent = np.where(np.ptp(points, axis=0) > 0, np.ptp(points, axis=0), 1.0)
    sums = (shares / extent).sum(axis=1)
    assert sums[moved] == pytest.approx(sums.min(), abs=1e-6)


def test_a_cheaper_model_is_worth_a_difference_that_means_nothing() -> None:
    found = choose(
        [
            trial(0, 0.100, parameters=1e5),
            trial(1, 0.105, parameters=1e4),
            trial(2, 0.5, parameters=10),
        ],
        CRITERIA,
        "pareto",
    )
    assert found.trial.number == 1
    assert "0.005 behind it" in found.reason
    assert "parameters 1e+04 instead of 1e+05" in found.reason


def test_but_not_one_that_means_something() -> None:
    found = choose(
        [trial(0, 0.1, parameters=1e5), trial(1, 0.2, parameters=10)], CRITERIA, "pareto"
    )
    assert found.trial.number == 0


@pytest.mark.parametrize("goal", ["pareto", "quality"])
def test_a_sick_trial_is_chosen_only_where_health_would_cost_much(goal: str) -> None:
    sick = trial(0, -1.0, gates=0.3)
    assert choose([sick, trial(1, -0.96)], CRITERIA, goal).trial.number == 1
    found = choose([sick, trial(1, -0.3, faults=0.1)], CRITERIA, goal)
    assert found.trial.number == 0
    assert "what keeps every gate of health is 0.7 behind" in found.reason
    found = choose([sick], CRITERIA, goal)
    assert found.trial.number == 0
    assert "no trial keeps every gate" in found.reason
    assert choose([sick, trial(1, -0.3)], CRITERIA, "lexicographic").trial.number == 1


def test_the_references_order_is_valid_then_penalty_then_quality() -> None:
    trials = [
        trial(0, 0.0, gates=0.1, penalty=0.0),
        trial(1, 0.3, penalty=0.2),
        trial(2, 0.2, penalty=0.1),
        trial(3, 0.1, penalty=0.1),
    ]
    assert choose(trials, CRITERIA, "lexicographic").trial.number == 3
    assert choose(trials[:2], CRITERIA, "lexicographic").trial.number == 1


def test_nothing_to_choose_from_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="no trial was completed"):
        choose([], CRITERIA, "pareto")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["parameters"], "expected a quality first"),
        ([], "expected a quality first"),
        (["crps", "speed"], "objective is 'speed'"),
        (["crps", "crps"], "each of them once"),
    ],
)
def test_objectives_are_checked(names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_objectives(names)


SIGNS = {"below": 0.1, "inside": 0.8, "above": 0.1, "faults": 0.0, "band_price": 0.0, "ar_share": 0}


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"above": 0.21}, False),
        ({"inside": 0.49}, False),
        ({"below": 0.49, "inside": 0.51}, False),
        ({"below": 0.49, "inside": 0.59}, True),
        ({"band_price": 9.1}, False),
        ({"faults": 0.11}, False),
    ],
)
def test_gates_of_the_reference(change: dict[str, float], valid: bool) -> None:
    found = constraints(SIGNS | change, "homeostasis")
    assert all(value <= 0 for value in found) is valid


def test_without_a_band_only_health_counts() -> None:
    signs = SIGNS | {"above": 1.0, "inside": 0.0}
    assert all(value <= 0 for value in constraints(signs, "adaptive"))
    assert penalty(signs, "adaptive") == 0.0


def test_the_penalty_is_the_references() -> None:
    signs = {"below": 0.5, "inside": 0.3, "above": 0.2, "band_price": 2.5, "ar_share": 0.5}
    expected = 6 * 0.3**2 + 12 * 0.1**2 + 10 * 0.28**2 + 0.25 * 1.0**2 + 0.2**2
    assert penalty(signs, "free") == pytest.approx(expected)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Overlapping windows: moving averages of noise, whose neighbours are alike."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        noise = rng.normal(size=620)
        averages = np.convolve(noise, np.ones(21) / 21, mode="valid")
        found = paired_test(averages, np.zeros_like(averages), block=42)
        hits += found.low <= 0.0 <= found.high
    assert 0.85 <= hits / 200 <= 0.99  # a naive interval covers .35 of these


def test_the_test_is_antisymmetric() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 100))
    one, other = paired_test(a, b, 5), paired_test(b, a, 5)
    assert one.mean == pytest.approx(-other.mean)
    assert one.low == pytest.approx(-other.high, abs=1e-12)
    assert one.p == other.p


def test_equal_losses_are_no_difference() -> None:
    same = np.arange(10.0)
    found = paired_test(same, same, 3)
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
