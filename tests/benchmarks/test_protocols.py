from __future__ import annotations

import doctest

import harness.blocks
import harness.protocols
import harness.results
import numpy as np
import pandas as pd
import pytest
from harness.protocols import data_set, position_in_series, windows_to_score

from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.split import Split
from vneuron.forecasting.data.windows import flatten

# ceil((test − H) / 96), and ProbTS' own counts
COUNTS = [
    ("ETTh1", 17420, (96, 192, 336, 720), (29, 28, 27, 23)),
    ("ETTm1", 69680, (96, 720), (119, 113)),
    ("exchange_rate", 7588, (96, 192, 336, 720), (15, 14, 13, 9)),
    ("weather", 52696, (96, 720), (109, 103)),
    ("national_illness", 966, (24, 36, 48, 60), (2, 2, 2, 2)),
]


def windows_of(name: str, rows: int, horizon: int, protocol: str, step: int = 1):
    frame = pd.DataFrame(
        {"unique_id": np.repeat(["a", "b"], rows), "ds": np.tile(np.arange(rows), 2)}
    )
    panel = Panel.from_frame(frame.assign(y=np.arange(2.0 * rows)))
    kind = data_set(f"{name}.csv")
    looks = kind.look_back(protocol)
    split = Split.of(panel, looks, horizon, **kind.sizes)
    flat = flatten(panel, Scaling.identity(panel))
    return windows_to_score(flat, split.test, looks, horizon, protocol, step), split


@pytest.mark.parametrize(("name", "rows", "horizons", "counts"), COUNTS)
def test_windows_of_protocol_b_are_as_many_as_probts_has(name, rows, horizons, counts) -> None:
    for horizon, count in zip(horizons, counts, strict=True):
        windows, split = windows_of(name, rows, horizon, "B")
        position = position_in_series(windows)
        assert len(windows) == 2 * count
        assert position.tolist() == [*range(count), *range(count)]
        targets = windows.starts.numpy() + windows.input_size
        assert targets[0] == split.test.first[0]
        assert set(np.diff(targets[:count])) <= {96}


def test_protocol_a_scores_every_window_and_drops_none() -> None:
    windows, split = windows_of("ETTh1", 17420, 96, "A")
    assert len(windows) == 2 * 2785
    assert windows.cutoffs[0] + 1 == split.test.first[0] == 11520
    assert windows.cutoffs[2784] + 96 == 14399
    every_seventh, _ = windows_of("ETTh1", 17420, 96, "A", step=7)
    assert len(every_seventh) == 2 * 398


def test_look_backs_and_shares_follow_the_file() -> None:
    assert data_set("x/national_illness.csv").look_back("A") == 104
    assert data_set("national_illness.csv").look_back("B") == 36
    assert data_set("ETTm2.csv").sizes["train_size"] == 34560
    assert data_set("prices.parquet").sizes["test_size"] == 0.2


@pytest.mark.parametrize("module", [harness.blocks, harness.protocols, harness.results])
def test_examples_in_docstrings(module) -> None:
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
