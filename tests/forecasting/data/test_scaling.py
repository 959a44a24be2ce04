"""Scaling by training rows: moments, constants, and panels of other series."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting.data.frame import DataError, Panel
from vneuron.forecasting.data.scaling import Scaling

NAN = float("nan")


def panel_of(**series: list[float]) -> Panel:
    frame = pd.concat(
        pd.DataFrame({"unique_id": name, "ds": range(len(values)), "y": values})
        for name, values in series.items()
    )
    return Panel.from_frame(frame, freq=1, missing="mask")


values = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=20)


@given(st.lists(values, min_size=1, max_size=4), st.integers(1, 20))
def test_moments_are_those_of_the_training_rows(series: list[list[float]], stop: int) -> None:
    panel = panel_of(**{f"s{at}": numbers for at, numbers in enumerate(series)})
    scaling = Scaling.fit(panel, np.full(len(series), stop))
    for at, numbers in enumerate(series):
        train = np.array(numbers[:stop])
        assert scaling.mean[at] == pytest.approx(train.mean(), abs=1e-6)
        expected = train.std() if train.min() < train.max() and train.std() > 0.0 else 1.0
        assert scaling.sd[at] == pytest.approx(expected, rel=1e-6)
    scaled = scaling.apply(panel.values, panel.series)
    np.testing.assert_allclose(scaling.invert(scaled, panel.series), panel.values, atol=1e-6)


def test_missing_values_are_left_out() -> None:
    scaling = Scaling.fit(panel_of(a=[1, NAN, 3, 100]), stop=3)
    assert (scaling.mean[0], scaling.sd[0]) == (2, 1)


@pytest.mark.parametrize("level", [0.0, 0.1, 1e9])
def test_constant_series_scale_to_zero_with_a_note(level: float) -> None:
    panel = panel_of(a=[1, 2, 3, 4], flat=[level] * 3 + [level + 1])
    scaling = Scaling.fit(panel, stop=3)
    assert scaling.notes == ("constant in the training rows: 'flat'",)
    assert scaling.sd[1] == 1
    assert list(scaling.apply(panel.values, panel.series)[4:]) == [0, 0, 0, 1]


def test_a_high_level_keeps_the_digits_of_its_spread() -> None:
    noise = np.random.default_rng(0).normal(size=1000)
    scaling = Scaling.fit(panel_of(a=list(1e9 + noise)))
    assert scaling.sd[0] == pytest.approx(noise.std(), rel=1e-6)


def test_further_axes_are_carried() -> None:
    scaling = Scaling(("a", "b"), np.array([0.0, 10.0]), np.array([1.0, 2.0]))
    paths = np.ones((3, 4, 5))
    out = scaling.invert(paths, np.array([0, 1, 1]))
    assert out[0].tolist() == np.full((4, 5), 1.0).tolist()
    assert out[2].tolist() == np.full((4, 5), 12.0).tolist()


def test_known_series_keep_their_scale_and_new_ones_get_their_own() -> None:
    scaling = Scaling.fit(panel_of(a=[0, 2], b=[10, 30]))
    aligned = scaling.aligned(panel_of(c=[5, 5, 5], b=[0, 1], d=[-1, 1]))
    assert aligned.ids == ("c", "b", "d")
    assert aligned.mean.tolist() == [5, 20, 0]
    assert aligned.sd.tolist() == [1, 10, 1]
    assert aligned.notes == (
        "series not seen in training are scaled by their own rows: 'c', 'd'",
        "constant in the training rows: 'c'",
    )
    assert scaling.aligned(panel_of(b=[1, 2])).notes == ()


def test_a_series_without_training_values_is_refused() -> None:
    with pytest.raises(DataError, match="series 'b' has no known value in its training rows"):
        Scaling.fit(panel_of(a=[1, 2, 3], b=[NAN, NAN, 3]), stop=2)


@pytest.mark.parametrize("size", [1e160, 1e300, 1.7e308])
def test_values_without_a_square_are_refused(size: float) -> None:
    panel = panel_of(a=[1, 2, 3], b=[size, -size / 2, size / 4], c=[size, size, size])
    with pytest.raises(
        DataError, match=rf"series 'b' reaches {re.escape(f'{size:g}')} .*change the unit"
    ):
        Scaling.fit(panel)


def test_one_vast_value_for_ever_is_a_constant() -> None:
    scaling = Scaling.fit(panel_of(c=[1.7e308] * 3))
    assert (scaling.mean[0], scaling.sd[0]) == (1.7e308, 1.0)
