"""One tensor of all series, scaled in portions, in memory or in a mapped file."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting.data import flat
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.windows import flatten, last_windows

VALUES = st.lists(st.sampled_from([np.nan, 1.0, 2.0, -3.0]), min_size=1, max_size=9).filter(
    lambda values: not np.isnan(values).all()
)


def panel_of(series):
    frame = pd.concat(
        pd.DataFrame({"unique_id": f"s{at}", "ds": range(len(values)), "y": values})
        for at, values in enumerate(series)
    )
    return Panel.from_frame(frame, freq=1, missing="mask")


def scaling_of(panel):
    count = len(panel)
    return Scaling(panel.ids, np.arange(count) + 1.0, np.arange(count) + 2.0)


@given(st.lists(VALUES, min_size=1, max_size=5), st.integers(1, 12))
def test_in_portions_it_is_what_each_series_gives_alone(series, portion):
    panel = panel_of(series)
    whole = flat.PORTION
    flat.PORTION = portion
    try:
        found = flatten(panel, scaling_of(panel))
    finally:
        flat.PORTION = whole
    expected = []
    for at, values in enumerate(series):
        scaled = pd.Series((np.array(values) - (at + 1)) / (at + 2))
        expected.append(scaled.ffill().fillna(0.0).to_numpy())
    np.testing.assert_allclose(found.values.numpy(), np.concatenate(expected), rtol=1e-6)  # noqa: PD011


@pytest.fixture
def mapped(monkeypatch, tmp_path):
    """Every tensor a file in an empty folder."""
    monkeypatch.setattr(flat, "MAPPED_FROM", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_mapped_file_holds_the_same_and_leaves_no_name(mapped, monkeypatch):
    panel = panel_of([[1.0, np.nan, 4.0, 2.0], [5.0, 6.0, 7.0]])
    on_disk = flatten(panel, scaling_of(panel))
    assert not list(mapped.iterdir())
    assert str(mapped) in Path("/proc/self/maps").read_text()
    monkeypatch.setattr(flat, "MAPPED_FROM", 10**9)
    in_memory = flatten(panel, scaling_of(panel))
    assert torch.equal(on_disk.values, in_memory.values)
    one, other = (last_windows(f, 3).gather(torch.tensor([0, 1])) for f in (on_disk, in_memory))
    assert torch.equal(one.context, other.context)


def test_a_full_disk_is_an_error_and_leaves_nothing(mapped, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    panel = panel_of([[1.0, 2.0]])
    with pytest.raises(OSError, match="No space left"):
        flatten(panel, scaling_of(panel))
    assert not list(mapped.iterdir())
