"""Steps' laws end at their best, though paths are likelier with laws that know windows by heart."""

import math

import numpy as np
import pandas as pd
import pytest

from vneuron.forecasting import EVEForecaster
from vneuron.training.run_folder import RunFolder


def noise(rows=400):
    """Nothing to learn but its spread, and soon learned by heart."""
    y = np.convolve(np.random.default_rng(3).standard_t(4, size=rows), np.ones(6), "same")
    return pd.DataFrame({"unique_id": "a", "ds": np.arange(rows), "y": y})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("margins") / "run"
    model = EVEForecaster(
        8, 24, units=4, hidden=64, dropout=0.0, learning_rate=3e-3, epochs=16, patience=3,
        batch_size=32, encoder="mlp", features="window", second="none", departure=1.0,
        control="none", device="cpu", quiet=True,
    )  # fmt: skip
    model.fit(noise(), run_dir=path)
    events = [e for e in RunFolder.open(path).read_events() if e["model"] == "EVE"]
    return model, [e for e in events if e["event"] in ("epoch", "put_back")]


def test_margins_go_back_to_where_their_score_was_lowest(fitted):
    model, events = fitted
    epochs = [e for e in events if e["event"] == "epoch"]
    (put_back,) = [e for e in events if e["event"] == "put_back"]
    at = events.index(put_back)
    before, after = [e["val_nll"] for e in events[:at]], [e["val_nll"] for e in events[at + 1 :]]
    assert put_back["risen"] > put_back["lowest"]
    assert put_back["lowest"] <= min(before) + 0.003
    assert all(math.isclose(score, put_back["lowest"], abs_tol=1e-5) for score in after)
    assert epochs[model.outcome.best_epoch - 1]["val_nll"] <= put_back["lowest"] + 0.003
