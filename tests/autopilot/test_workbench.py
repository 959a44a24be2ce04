"""Windows that trials of one search share, and those that they must not."""

from __future__ import annotations

from dataclasses import replace

from small_search import SMALL

from vneuron.autopilot.workbench import Workbench
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel


def test_configurations_share_windows_unless_they_read_others(frame):
    """A second reader that looks further back needs longer windows than trials without one."""
    bench = Workbench(Panel.from_frame(frame), {"val_size": 40})
    near = ForecasterConfig(4, 12, **SMALL, second="none")
    far = replace(near, second="window", second_size=30)
    rows = [bench.material(config).train.input_size for config in (near, far, near)]
    assert rows == [12, 30, 12]
    wider = replace(far, hidden=16)
    assert bench.material(wider).train is bench.material(far).train
    assert bench.material(near).train is not bench.material(far).train
