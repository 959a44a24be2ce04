"""Spaces: what is drawn, when, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.autopilot.builtin_spaces import builtin_space
from vneuron.autopilot.domains import Choice, Range, read_domain
from vneuron.autopilot.space import Space, configuration, flat_values
from vneuron.autopilot.space_files import read_space
from vneuron.forecasting.config import EncoderChoice, ForecasterConfig
from vneuron.forecasting.networks.features import Encoder

BASE = ForecasterConfig(batch_size=64, horizon=4, input_size=8, encoder="linear", features="window")


def draw(space: Space, seed: int) -> dict[str, object]:
    sampler = optuna.samplers.RandomSampler(seed=seed)
    return space.suggest(optuna.create_study(sampler=sampler).ask())


@pytest.mark.parametrize("name", ["trajectory", "reference"])
@given(seed=st.integers(0, 2**31 - 1))
def test_all_that_a_built_in_space_draws_is_a_configuration(name: str, seed: int) -> None:
    base = BASE
    if name == "reference":
        base = ForecasterConfig(horizon=4, input_size=8, network="reference")
    space = builtin_space(name).bound(base)
    values = draw(space, seed)
    config = configuration(base, values)
    known = flat_values(config)
    assert all(known[option] == value for option, value in values.items())


@pytest.mark.parametrize("name", ["trajectory", "reference"])
def test_built_in_spaces_pass_their_own_check(name: str) -> None:
    base = BASE
    if name == "reference":
        base = ForecasterConfig(horizon=4, input_size=8, network="reference")
    builtin_space(name).check(base)


def test_encoders_are_those_that_the_forecaster_knows() -> None:
    assert builtin_space("trajectory").as_dict()["encoder"]["values"] == list(get_args(Encoder))
    assert get_args(EncoderChoice)


def test_a_settings_is_drawn_only_under_its_controls() -> None:
    space = builtin_space("trajectory").bound(BASE)
    for seed in range(40):
        values = draw(space, seed)
        banded = values["control"] in ("free", "homeostasis")
        assert ("control_options.target" in values) is banded
        assert ("control_options.worth" in values) is (values["control"] == "adaptive")


def test_the_default_configuration_lies_in_the_default_space() -> None:
    default = builtin_space("trajectory").default(BASE)
    assert default is not None
    config = configuration(BASE, default)
    assert config.control_options == {"worth": 0.2}  # what it is anyway
    assert configuration(config, {"units": BASE.units}).units == BASE.units


def test_a_default_outside_the_space_is_none() -> None:
    assert Space.of({"units": [5, 7]}).default(BASE) is None


def test_a_space_survives_its_own_file() -> None:
    space = builtin_space("trajectory")
    assert Space.of(space.as_dict()) == space


def test_settings_of_another_control_are_dropped() -> None:
    base = ForecasterConfig(
        horizon=4, input_size=8, control="free", control_options={"target": 0.03}
    )
    assert configuration(base, {"control": "none"}).control_options is None
    assert configuration(base, {"units": 8}).control_options == {"target": 0.03}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"unit": [4]}, "unit is no option"),
        ({"horizon": [4, 8]}, "horizon cannot be searched"),
        ({"units": [0, 4]}, "units: units is 0, expected at least 1"),
        ({"units": ["a", "b"]}, "units: units is 'a', expected a whole number"),
        ({"units": {"low": 4, "high": 8.5}}, "units: units is 4.0, expected a whole number"),
        ({"control": ["tight"]}, "control: control is 'tight'"),
        ({"control_options.goal": [1]}, "no control has this setting"),
        ({"control_options.target": [0.1]}, "control 'adaptive' has no setting 'target'"),
        ({"beta": {"low": 1}}, "expected low and high"),
        ({"beta": {"low": 1, "high": 0.1}}, "expected low ≤ high"),
        ({"beta": {"low": 0, "high": 1, "log": True}}, "expected above 0"),
        ({"beta": {"low": 0.1, "high": 1, "logs": True}}, "has the key 'logs'"),
        ({"beta": {"low": "x", "high": 1}}, "'x' where a number is expected"),
        ({"units": []}, "no values"),
        ({"units": {"values": [4], "when": {"colour": ["red"]}}}, "'colour', which is no option"),
        ({}, "the space has no option"),
    ],
)
def test_what_no_configuration_accepts_is_refused_by_name(
    raw: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Space.of(raw).check(BASE)


def test_numbers_of_yaml_are_numbers() -> None:
    assert read_domain("learning_rate", {"low": "2e-4", "high": "2e-3", "log": True}) == Range(
        2e-4, 2e-3, log=True
    )
    assert read_domain("hidden", 128) == Choice((128,))


def test_a_yaml_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("units: [4, 8]\nlearning_rate: {low: 1e-4, high: 1e-2, log: true}\n")
    space = read_space(file)
    space.check(BASE)
    assert isinstance(space, Space)
    assert space.dimensions[1].domain == Range(1e-4, 1e-2, log=True)


def test_a_python_file_may_define_by_run(tmp_path: Path) -> None:
    file = tmp_path / "space.py"
    file.write_text(
        "def space(trial):\n"
        "    units = trial.suggest_int('units', 4, 8)\n"
        "    return {'units': units, 'hidden': 2 * units}\n"
    )
    space = read_space(file)
    space.check(BASE)
    values = space.suggest(optuna.create_study().ask())
    assert values["hidden"] == 2 * values["units"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "- 1\n- 2\n", "holds no options"),
        ("a.yaml", "units: [4", "not YAML"),
        ("a.py", "x = 1\n", "holds neither a function"),
        ("a.py", "1 / 0\n", "could not be run: ZeroDivisionError"),
        ("a.yaml", "units: {low: 1}\n", r"a.yaml: space: units"),
    ],
)
def test_a_file_that_is_no_space_is_named(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_space(tmp_path / name)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of"):
        read_space("narrow")
    with pytest.raises(ValueError, match="no such file"):
        read_space("nowhere.yaml")
