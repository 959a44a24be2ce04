"""The encoder is chosen by held-out windows, the same way every time, and remembered."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting import EVEForecaster, encoder_choice
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.encoder_choice import choose_encoder
from vneuron.forecasting.material import prepare

CONFIG = ForecasterConfig(horizon=4, input_size=12, hidden=32, encoder="auto")


def panel_of(y):
    return Panel.from_frame(
        pd.DataFrame({"unique_id": "a", "ds": np.arange(len(y)), "y": np.asarray(y, dtype=float)})
    )


def logistic_map(rows, seed=0):
    """Chaos: linear in nothing, but the next value is a parabola of the last."""
    y = np.empty(rows)
    y[0] = 0.3 + 0.01 * seed
    for t in range(1, rows):
        y[t] = 3.7 * y[t - 1] * (1 - y[t - 1])
    return y


def test_what_a_line_cannot_foretell_gets_the_mlp():
    assert prepare(panel_of(logistic_map(3000)), CONFIG).config.encoder == "mlp"


@pytest.mark.parametrize(
    ("linear", "mlp", "expected"),
    [(1.0, 0.9, "mlp"), (0.9, 1.0, "linear"), (float("nan"), 3.0, "mlp"), (1.0, 1.0, "linear")],
)
def test_the_lower_score_wins_and_a_failed_trial_never(linear, mlp, expected, monkeypatch):
    scores = {"linear": linear, "mlp": mlp}
    monkeypatch.setattr(encoder_choice, "trial", lambda kind, *_: scores[kind])
    assert prepare(panel_of(logistic_map(200)), CONFIG).config.encoder == expected


def test_real_data_that_wander_stay_linear_and_electricity_does_not(shared_data):
    """Exchange rates foretell little beyond a line; transformers' temperatures do."""
    config = ForecasterConfig(96, 336)
    for path, sizes, expected in (
        ("exchange_rate/exchange_rate.csv.gz", (5311, 760, 1517), "linear"),
        ("ett/ETTm1.csv.gz", (34560, 11520, 11520), "mlp"),
    ):
        panel = read_table(shared_data / path, exogenous="ignore").panel
        train, val, test = sizes
        material = prepare(panel, config, train_size=train, val_size=val, test_size=test)
        assert material.config.encoder == expected


def test_a_choice_is_the_same_again_and_leaves_the_random_state_alone():
    material = prepare(panel_of(logistic_map(600)), ForecasterConfig(4, 12, encoder="linear"))
    before = torch.random.get_rng_state()
    arguments = material.train, material.validation, CONFIG, "mean", False
    first = choose_encoder(*arguments)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(3)
    assert choose_encoder(*arguments) == first


@pytest.mark.parametrize("encoder", ["linear", "mlp"])
def test_a_named_encoder_is_taken_without_a_trial(encoder, monkeypatch):
    monkeypatch.setattr("vneuron.forecasting.material.choose_encoder", None)
    config = ForecasterConfig(4, 12, encoder=encoder)
    assert prepare(panel_of(logistic_map(200)), config).config.encoder == encoder


def test_the_run_remembers_and_a_resumed_fit_does_not_choose_again(
    frame, tiny, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    f = EVEForecaster(**tiny, encoder="mlp").fit(frame, run_dir=run)
    assert json.loads((run / "config.json").read_text())["model"]["encoder"] == "mlp"
    loaded = EVEForecaster.load(run)
    assert loaded.model.network.mean_residual is not None
    pd.testing.assert_frame_equal(loaded.predict(frame), f.predict(frame))

    chosen = tmp_path / "chosen"
    first = EVEForecaster(**tiny).fit(frame, run_dir=chosen)
    monkeypatch.setattr("vneuron.forecasting.material.choose_encoder", None)
    again = EVEForecaster(**tiny).fit(frame, run_dir=chosen, resume=True)
    pd.testing.assert_frame_equal(again.predict(frame), first.predict(frame))


def test_the_reference_network_has_an_encoder_of_its_own(frame, tiny, monkeypatch):
    monkeypatch.setattr("vneuron.forecasting.material.choose_encoder", None)
    EVEForecaster(**{**tiny, "epochs": 1}, network="reference").fit(frame)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(ValueError, match="encoder is 'patch', expected one of"):
        EVEForecaster(6, 24, encoder="patch")
