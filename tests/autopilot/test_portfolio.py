"""What a search begins with, beside the default configuration."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from small_search import SMALL

import vneuron as vn
from vneuron.autopilot.builtin_spaces import builtin_space
from vneuron.autopilot.portfolio import PORTFOLIO, opening
from vneuron.autopilot.space import Space, configuration, flat_values
from vneuron.forecasting.config import ForecasterConfig

BASE = ForecasterConfig(batch_size=64, horizon=4, input_size=8, encoder="linear", features="window")


def test_every_member_has_its_place_in_the_space_of_the_library() -> None:
    space = builtin_space("trajectory").bound(BASE)
    places = opening(space, BASE)
    assert len(places) == len(PORTFOLIO) > 0
    for member, place in zip(PORTFOLIO, places, strict=True):
        known = flat_values(configuration(BASE, place))
        assert member.items() <= known.items()


def test_a_narrower_space_keeps_what_it_draws_and_the_base_the_rest() -> None:
    units = sorted({member["units"] for member in PORTFOLIO})
    space = Space.of({"units": units}).bound(BASE)
    places = opening(space, BASE)
    assert places == [
        {"units": n} for n in dict.fromkeys(m["units"] for m in PORTFOLIO) if n != BASE.units
    ]
    assert all(configuration(BASE, place).control == BASE.control for place in places)


def test_members_outside_of_the_space_or_of_another_network_are_left_out() -> None:
    assert opening(Space.of({"units": [3, 5]}).bound(BASE), BASE) == []
    other = ForecasterConfig(horizon=4, input_size=8, network="reference")
    assert opening(builtin_space("reference").bound(other), other) == []


@pytest.mark.parametrize(("portfolio", "trials", "members"), [(True, 4, 2), (False, 3, 0)])
def test_members_follow_the_default_and_leave_half_of_the_trials(
    frame: pd.DataFrame, tmp_path: Path, portfolio: bool, trials: int, members: int
) -> None:
    rates = sorted({member["learning_rate"] for member in PORTFOLIO})
    space = {"learning_rate": {"low": rates[0], "high": 1e-2, "log": True}}
    pilot = vn.AutoPilot(
        6,
        12,
        space=space,
        trials=trials,
        seeds=0,
        steps=2,
        portfolio=portfolio,
        quiet=True,
        pruner="none",
        **(SMALL | {"epochs": 1}),
    )
    found = pilot.fit(frame, run_dir=tmp_path / "s").trials.sort_values("number")
    assert found["default"].tolist() == [True] + [False] * (trials - 1)
    assert found["portfolio"].tolist() == [False] + [True] * members + [False] * (
        trials - 1 - members
    )
