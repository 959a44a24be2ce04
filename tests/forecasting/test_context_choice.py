"""Look-back and encoder are chosen by held-out windows, alike every time, and remembered."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting import EVEForecaster, context_choice, trial
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.context_choice import (
    choose_reader,
    encoder_scores,
    input_sizes,
    simplest,
)
from vneuron.forecasting.data.errors import DataError
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.drift import level_drift
from vneuron.forecasting.evaluation import StepScores
from vneuron.forecasting.material import prepare
from vneuron.forecasting.trial import Reader

CONFIG = ForecasterConfig(horizon=4, input_size=12, hidden=32, encoder="auto")


def panel_of(y):
    return Panel.from_frame(
        pd.DataFrame({"unique_id": "a", "ds": np.arange(len(y)), "y": np.asarray(y, dtype=float)})
    )


def judged(crps, nll=0.0):
    return StepScores(crps, nll)


def logistic_map(rows, seed=0):
    """Chaos: linear in nothing, but the next value is a parabola of the last."""
    y = np.empty(rows)
    y[0] = 0.3 + 0.01 * seed
    for t in range(1, rows):
        y[t] = 3.7 * y[t - 1] * (1 - y[t - 1])
    return y


@pytest.mark.whole_trials
def test_what_a_line_cannot_foretell_gets_a_deeper_one():
    assert prepare(panel_of(logistic_map(3000)), CONFIG).config.encoder != "linear"


@pytest.mark.parametrize(
    ("linear", "mlp", "expected"),
    [(1.0, 0.9, "mlp"), (0.9, 1.0, "linear"), (float("nan"), 1.8, "mlp"), (1.0, 1.0, "linear")],
)
def test_the_lower_score_wins_and_a_failed_trial_never(linear, mlp, expected, monkeypatch):
    scores = {"linear": linear, "mlp": mlp, "multiscale": 2.0}
    monkeypatch.setattr(context_choice, "trial", lambda reader, *_: judged(scores[reader.encoder]))
    assert prepare(panel_of(logistic_map(200)), CONFIG).config.encoder == expected


def test_size_and_encoder_are_chosen_together_among_those_that_leave_windows(monkeypatch):
    """8 would be the best look-back, and 30 is refused: 40 training rows hold no such window."""
    tried = []

    def trial(reader, data, config):
        size = data.train.input_size
        tried.append((size, reader, len(data.validation)))
        better = {"linear": 0.5, "multiscale": 0.6, "window": 0.2}
        return judged(abs(size - 8) + sum(better.get(part, 0.0) for part in reader))

    monkeypatch.setattr(context_choice, "trial", trial)
    config = ForecasterConfig(horizon=4, hidden=8)
    sizes = {"train_size": 24, "val_size": 10, "test_size": 6}
    material = prepare(panel_of(logistic_map(40)), config, **sizes)
    # 14 leave 7 windows of the 17 that 4 leave, and 21 + 4 rows and more are not there
    assert {size for size, *_ in tried} == {4, 7}
    assert {count for *_, count in tried} == {7}  # the same validation targets for each
    decided = material.config
    assert (decided.input_size, decided.encoder, decided.features) == (7, "mlp", "place")
    # what else the features tell is tried at the size and with the encoder that were found, and
    # then the start, whose other choice has been tried by then
    last = [Reader("mlp", "window"), Reader("mlp", "place"), Reader("mlp", "place", "ridge")]
    assert tried[-3:] == [(7, reader, 7) for reader in last]
    assert material.train.input_size == 7


def test_a_named_encoder_leaves_only_the_size_open(monkeypatch):
    monkeypatch.setattr(
        context_choice, "trial", lambda reader, data, config: judged(-data.train.input_size)
    )
    config = ForecasterConfig(horizon=4, encoder="linear")
    found = prepare(panel_of(logistic_map(300)), config).config
    assert (found.input_size, found.encoder) == (30, "linear")


def test_too_few_rows_for_any_size_are_refused_in_words():
    with pytest.raises(DataError, match="rows"):
        prepare(panel_of(logistic_map(9)), ForecasterConfig(horizon=4))


def test_what_is_not_known_yet_cannot_be_asked():
    with pytest.raises(ValueError, match=r"input_size is None.*material\.config"):
        _ = ForecasterConfig(horizon=4).lookback


@pytest.mark.whole_trials
def test_real_data_that_wander_stay_linear_and_electricity_does_not(shared_data):
    """Exchange rates foretell little beyond a line; transformers' temperatures do."""
    config = ForecasterConfig(96, 336, features="window")
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
    first = encoder_scores(material.trial_data, CONFIG)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(3)
    assert encoder_scores(material.trial_data, CONFIG) == first
    assert choose_reader(material.trial_data, CONFIG) == choose_reader(material.trial_data, CONFIG)


@pytest.mark.parametrize("encoder", ["linear", "mlp"])
def test_a_named_encoder_is_taken_without_a_trial(encoder, monkeypatch):
    monkeypatch.setattr(context_choice, "trial", None)
    config = ForecasterConfig(4, 12, encoder=encoder, features="window")
    assert prepare(panel_of(logistic_map(200)), config).config.encoder == encoder


def test_the_run_remembers_and_a_resumed_fit_does_not_choose_again(
    frame, tiny, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    f = EVEForecaster(**tiny, encoder="mlp", features="series").fit(frame, run_dir=run)
    kept = json.loads((run / "config.json").read_text())["model"]
    assert (kept["encoder"], kept["features"]) == ("mlp", "series")
    loaded = EVEForecaster.load(run)
    assert loaded.model.network.mean_residual is not None
    pd.testing.assert_frame_equal(loaded.predict(frame), f.predict(frame))

    chosen = tmp_path / "chosen"
    open_options = {**tiny, "input_size": None}
    first = EVEForecaster(**open_options).fit(frame, run_dir=chosen)
    assert first.model.config.input_size in input_sizes(6)
    monkeypatch.setattr(context_choice, "trial", None)
    again = EVEForecaster(**open_options).fit(frame, run_dir=chosen, resume=True)
    pd.testing.assert_frame_equal(again.predict(frame), first.predict(frame))


@pytest.fixture
def tried(monkeypatch):
    """Look-backs that were tried, where longer ones look better."""
    sizes = []

    def longer_is_better(data, config):
        sizes.append(config.input_size)
        return {Reader("linear", "window"): judged(1.0 / config.input_size)}

    monkeypatch.setattr("vneuron.forecasting.material.encoder_scores", longer_is_better)
    return sizes


def test_a_look_back_leaves_half_of_the_windows_however_well_it_looks(tried, monkeypatch):
    monkeypatch.setattr(context_choice, "MOST_ROWS", 1.0)
    config = ForecasterConfig(6, None, features="window", start="level")
    rows = panel_of(logistic_map(100))
    found = prepare(rows, config, train_size=80, val_size=10)
    # of 80 rows 6 before 6 leave 69 windows, 32 leave 43 and 45 leave 30
    assert tried == [6, 10, 21, 32]
    assert found.config.input_size == 32
    prepare(rows, config, train_size=40, val_size=10)
    assert tried[4:] == [6, 10]  # 21 leave 14 windows of 29


def test_a_look_back_takes_a_fifth_of_the_rows_at_most(tried):
    config = ForecasterConfig(6, None, features="window", start="level")
    rows = panel_of(logistic_map(200))
    for train in (170, 159, 50, 40):  # up to 24 rows are never too long, but may leave too few
        prepare(rows, config, train_size=train, val_size=10)
    assert tried == [6, 10, 21, 32, 6, 10, 21, 6, 10, 21, 6, 10]
    tried.clear()  # the shortest is there whatever the rows
    prepare(rows, replace(config, horizon=60), train_size=130, val_size=60, test_size=0)
    assert tried == [60]


def test_the_reference_network_has_an_encoder_of_its_own(frame, tiny, monkeypatch):
    monkeypatch.setattr(context_choice, "trial", None)
    EVEForecaster(**{**tiny, "epochs": 1}, network="reference").fit(frame)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(ValueError, match="encoder is 'conv', expected one of"):
        EVEForecaster(6, 24, encoder="conv")
    with pytest.raises(ValueError, match="features is 'all', expected one of"):
        EVEForecaster(6, 24, features="all")
    with pytest.raises(ValueError, match="noise is 'pink', expected one of"):
        EVEForecaster(6, 24, noise="pink")


def test_a_trial_takes_as_many_steps_of_few_windows_as_of_many(monkeypatch):
    taken = []
    loss = trial.marginal_loss
    monkeypatch.setattr(trial, "marginal_loss", lambda *given: taken.append(1) or loss(*given))
    material = prepare(panel_of(logistic_map(120)), replace(CONFIG, encoder="linear"))
    taken.clear()
    encoder_scores(material.trial_data, material.config)
    assert len(taken) == trial.TRIAL_EPOCHS * trial.TRIAL_STEPS


@given(
    crps=st.lists(st.floats(0.1, 2.0), min_size=1, max_size=5),
    nll=st.lists(st.floats(-2.0, 2.0), min_size=5, max_size=5),
)
def test_no_choice_loses_nll_or_much_crps_against_a_simpler_one_that_loses_none(crps, nll):
    scores = {place: StepScores(*pair) for place, pair in enumerate(zip(crps, nll, strict=False))}
    taken = simplest(scores)
    assert scores[taken].nll <= scores[0].nll + context_choice.LEAST_LOSS
    assert scores[taken].crps <= scores[0].crps * (1 + context_choice.MARGIN)


def windows_of(frame, config):
    return prepare(Panel.from_frame(frame), config, train_size=200, val_size=60, test_size=40)


def two_series(rows=300):
    """One that rises throughout, and one that does not."""
    noise = np.random.default_rng(0).normal(size=(2, rows))
    rising = np.linspace(0.0, 30.0, rows) + 0.1 * noise[0]
    frames = [
        pd.DataFrame({"unique_id": name, "ds": np.arange(rows), "y": y})
        for name, y in (("rising", rising), ("level", noise[1]))
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("location", ["mean", "last"])
def test_a_series_that_leaves_its_levels_is_seen_whatever_others_do(location):
    config = ForecasterConfig(4, 12, encoder="linear", features="window")
    frame = two_series()
    both = windows_of(frame, config)
    assert 0.4 < level_drift(both.train, both.validation, location) < 0.6
    level = windows_of(frame[frame["unique_id"] == "level"], config)
    assert level_drift(level.train, level.validation, location) < 0.2
    assert level_drift(level.validation.take(torch.arange(3)), level.train) == 0.0  # too few


def test_levels_drift_if_validation_rows_leave_those_of_early_rows():
    """What later training rows had does not count: forecasts lie as far from all training rows."""
    rng = np.random.default_rng(0)
    rows = 400
    late = np.where(np.arange(rows) < 220, 0.0, 30.0) + rng.normal(size=rows)
    panel = panel_of(late)
    config = ForecasterConfig(4, 12, device="cpu")
    data = prepare(panel, replace(config, encoder="linear", features="window")).trial_data
    assert level_drift(data.train, data.validation, data.location) < 0.2
    assert level_drift(data.early, data.validation, data.location) == 1.0
    assert prepare(panel, config).config.features in ("window", "series")


def test_a_model_is_not_told_a_level_that_it_would_have_to_extrapolate(monkeypatch):
    tried = []
    monkeypatch.setattr(
        context_choice, "trial", lambda reader, *_: tried.append(reader) or judged(1.0)
    )
    config = ForecasterConfig(4, 12, encoder="linear", start="level")
    frame = two_series()
    windows_of(frame, config)
    assert [reader.features for reader in tried] == ["window", "series"]
    tried.clear()
    windows_of(frame[frame["unique_id"] == "level"], config)
    assert [reader.features for reader in tried] == ["window", "place"]
