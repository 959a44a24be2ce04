"""One small run whose every number is known, so that a change of the method cannot pass unseen.

The data are a formula, dropout is off and nothing is drawn in training, so that the scores depend
on the machine by rounding alone; the tolerances allow for that and for little else. Where a change
is meant, run this file, look whether the new numbers are better, and write them down here.
"""

import numpy as np
import pandas as pd
import pytest

from vneuron.forecasting import EVEForecaster
from vneuron.forecasting.comparison import score_field, train_field
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.material import prepare

# The energy score's draws differ between builds of torch; all else follows from the weights.
GOLDEN = {
    "EVE": {"mse": 0.2202, "crps": 0.2610, "nll": 0.6351, "joint_nll": 0.3624, "path_crps": 0.2022},
    "twin": {
        "mse": 0.2144, "crps": 0.2593, "nll": 0.6409, "joint_nll": 0.6077, "path_crps": 0.2118,
    },
    "linear": {
        "mse": 0.2300, "crps": 0.2677, "nll": 0.6593, "joint_nll": 0.6297, "path_crps": 0.2215,
    },
    "lowrank": {
        "mse": 0.2192, "crps": 0.2616, "nll": 0.6393, "joint_nll": 0.4573, "path_crps": 0.2038,
    },
    "repeat_last": {"mse": 0.8708, "crps": 0.7472, "path_crps": 0.6940, "energy": 0.8386},
    "seasonal_naive": {"mse": 0.4968, "crps": 0.5718, "path_crps": 0.4186, "energy": 0.6427},
    "residual": {"mse": 0.2442, "crps": 0.2763, "nll": 0.7240},
}  # fmt: skip


def formula() -> pd.DataFrame:
    """Two daily waves with slow, uneven disturbances that only look random."""
    step = np.arange(400, dtype=np.float64)
    noise = np.sin(12.9898 * step**1.5) + np.sin(78.233 * step**1.3)
    slow = np.convolve(noise, np.ones(6) / 3, "same")
    day = np.sin(2 * np.pi * step / 24)
    stamps = pd.date_range("2026-01-01", periods=400, freq="h")
    parts = {"a": day + 0.5 * slow, "b": 100 + 20 * day * (1 + 0.3 * slow) + 5 * noise}
    return pd.concat(
        [pd.DataFrame({"unique_id": name, "ds": stamps, "y": y}) for name, y in parts.items()]
    )


@pytest.fixture(scope="module")
def scores():
    config = EVEForecaster(
        horizon=6, input_size=24, units=4, hidden=16, dropout=0.0, control="none", beta=0.1,
        epochs=6, batch_size=32, device="cpu", encoder="multiscale",
        features="full",
    ).config  # fmt: skip
    panel = Panel.from_frame(formula())
    material = prepare(panel, config)
    return score_field(train_field(material, None, quiet=True), panel)["test"]


@pytest.mark.parametrize("model", GOLDEN)
def test_the_scores_of_the_golden_run(scores, model):
    found = {name: scores[model][name] for name in GOLDEN[model]}
    assert found == pytest.approx(GOLDEN[model], abs=5e-4)


def test_what_the_golden_run_shows(scores):
    """Dependence is worth nats and path coverage, and costs single steps nothing."""
    assert scores["EVE"]["joint_nll"] < scores["twin"]["joint_nll"] - 0.05
    assert abs(scores["EVE"]["nll"] - scores["twin"]["nll"]) < 0.02
    assert scores["EVE"]["crps"] < scores["seasonal_naive"]["crps"]
