"""The taxonomy: every cell of its table, and the edges between."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.vitals import Thresholds, UnitVitals, Verdict, judge

NAN = math.nan


@pytest.mark.parametrize(
    ("kl", "rate", "use", "dynamic_use", "expected"),
    [
        (0.0, 0.0, 0.0, 0.0, "dead"),
        (0.0, 0.0, -0.5, NAN, "dead"),  # silencing it even helps
        (0.0, 0.0, NAN, NAN, "dead"),
        (0.4, 0.0, 0.0, 0.0, "constant"),
        (0.4, 0.0, NAN, NAN, "constant"),
        (0.4, 0.3, 0.0, 0.0, "ignored"),
        (0.4, 0.3, -1.0, NAN, "ignored"),
        (0.4, 0.0, 0.2, 0.0, "static"),
        (0.0, 0.0, 0.2, 0.0, "static"),  # q = p throughout, yet its noise is read
        (0.4, 0.3, 0.2, 0.1, "living"),
        (0.4, 0.3, 0.0, 0.1, "living"),
        (0.4, 0.3, NAN, 0.1, "living"),
        (0.4, 0.3, 0.2, NAN, "living"),
        (0.4, 0.3, NAN, NAN, "unknown"),
    ],
)
def test_every_cell(kl: float, rate: float, use: float, dynamic_use: float, expected: str) -> None:
    assert judge(UnitVitals(kl, rate, use, dynamic_use)) == expected


def test_faults_are_those_above_static() -> None:
    assert {v.value for v in Verdict if v.fault} == {
        "exploding",
        "noiseless",
        "saturated",
        "frozen in time",
        "dead",
        "constant",
        "ignored",
    }
    assert all(bool(v.cure) is v.fault for v in Verdict)


def test_thresholds_decide() -> None:
    vitals = UnitVitals(kl=0.4, rate=0.05, use=0.05)
    assert judge(vitals) is Verdict.LIVING
    assert judge(vitals, Thresholds(rate=0.1)) is Verdict.STATIC
    assert judge(vitals, Thresholds(use=0.1)) is Verdict.IGNORED
    assert judge(vitals, Thresholds(rate=0.1, use=0.1)) is Verdict.CONSTANT
    assert judge(vitals, Thresholds(kl=0.5, rate=0.1, use=0.1)) is Verdict.DEAD


HEALTHY = UnitVitals(kl=0.4, rate=0.3, use=0.2, dynamic_use=0.1)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ({"energy_ratio": 5.0, "growth": 0.1}, "exploding"),
        ({"energy_ratio": 5.0, "growth": 0.0}, "living"),  # large, but it has settled
        ({"energy_ratio": 3.0, "growth": 0.1}, "living"),
        ({"floor_ratio": 2.0, "kl": 5.0}, "noiseless"),
        ({"floor_ratio": 2.0}, "living"),  # narrow under a narrow prior: no price is paid
        ({"ceiling_ratio": 0.9}, "saturated"),
        ({"persistence": 0.999, "innovation": 0.001}, "frozen in time"),
        ({"persistence": 0.999, "innovation": 0.1}, "living"),  # it follows a slow series
        ({"persistence": 0.999, "innovation": 0.001, "rate": 0.0}, "static"),
        ({"persistence": 0.9}, "living"),
        ({"energy_ratio": 5.0, "growth": 0.1, "floor_ratio": 2.0, "kl": 5.0}, "exploding"),
        ({"ceiling_ratio": 0.9, "kl": 0.0, "rate": 0.0, "use": 0.0}, "saturated"),
    ],
)
def test_modes_that_need_more_than_information(signs: dict[str, float], expected: str) -> None:
    assert judge(HEALTHY._replace(**signs)) == expected


numbers = st.one_of(st.floats(-1, 5), st.just(NAN))


@given(st.floats(0, 5), st.floats(0, 5), numbers, numbers)
def test_every_unit_has_one_verdict_and_use_only_helps(
    kl: float, rate: float, use: float, dynamic_use: float
) -> None:
    verdict = judge(UnitVitals(kl, rate, use, dynamic_use))
    assert verdict in Verdict
    assert not judge(UnitVitals(kl, rate, 1.0, dynamic_use)).fault
