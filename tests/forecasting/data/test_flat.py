"""One tensor of all series, scaled in portions, in memory or in a mapped file."""

import copy
import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
from multiprocessing import context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting.data import flat, rows
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
    whole = rows.PORTION
    rows.PORTION = portion
    try:
        found = flatten(panel, scaling_of(panel))
    finally:
        rows.PORTION = whole
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


class Starting:
    """What multiprocessing calls while it pickles for a process that it starts."""

    def duplicate_for_child(self, handle):
        return os.dup(handle)

    def DupFd(self, handle):
        return Handed(handle)


class Handed:
    def __init__(self, handle):
        self.handle = handle

    def detach(self):
        return self.handle


def test_for_a_process_that_is_started_the_file_is_sent_and_not_its_rows(mapped):
    panel = panel_of([[1.0, 3.0, 4.0, 2.0] * 1000, [5.0, 6.0, 7.0]])
    whole = flatten(panel, scaling_of(panel))
    context.set_spawning_popen(Starting())
    try:
        sent = pickle.dumps(whole)
    finally:
        context.set_spawning_popen(None)
    assert len(sent) < 1000
    there = pickle.loads(sent)
    assert there.file.handle != whole.file.handle
    rows_here, rows_there = whole.values, there.values  # noqa: PD011 (tensors)
    rows_there.mul_(2.0).add_(1.0)
    assert torch.equal(rows_there, rows_here)
    assert rows_there.data_ptr() != rows_here.data_ptr()


@pytest.mark.slow
def test_another_process_maps_the_file_and_copies_nothing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SPAWNING))
    subprocess.run([sys.executable, script], check=True, env={**os.environ, "TMPDIR": tmp_path})
    assert list(tmp_path.iterdir()) == [script]


SPAWNING = """
    import os
    from pathlib import Path

    import pandas as pd
    import torch.multiprocessing

    from vneuron.forecasting.data import flat
    from vneuron.forecasting.data.frame import Panel
    from vneuron.forecasting.data.scaling import Scaling
    from vneuron.forecasting.data.windows import flatten, last_windows


    def double(_, windows, inode):
        maps = Path("/proc/self/maps").read_text().splitlines()
        assert str(inode) in {line.split()[4] for line in maps}
        windows.flat.values.mul_(2.0)


    if __name__ == "__main__":
        flat.MAPPED_FROM = 1
        frame = pd.DataFrame({"unique_id": "a", "ds": range(4), "y": [1, 2, 3, 5]})
        panel = Panel.from_frame(frame)
        windows = last_windows(flatten(panel, Scaling.identity(panel)), 3)
        inode = os.fstat(windows.flat.file.handle).st_ino
        torch.multiprocessing.start_processes(double, (windows, inode), 2, start_method="spawn")
        assert windows.flat.values.tolist() == [4.0, 8.0, 12.0, 20.0]
"""


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])
def test_a_copy_within_the_process_has_values_of_its_own(mapped, copied):
    panel = panel_of([[1.0, 3.0, 4.0]])
    whole = flatten(panel, scaling_of(panel))
    other = copied(whole)
    assert other.file is None
    assert torch.equal(other.values, whole.values)
    whole.values.zero_()  # noqa: PD011
    assert other.values.any()  # noqa: PD011


def test_the_handle_is_closed_with_the_series(mapped):
    panel = panel_of([[1.0, 3.0, 4.0]])
    whole = flatten(panel, scaling_of(panel))
    handle = whole.file.handle
    os.fstat(handle)
    del whole
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)
