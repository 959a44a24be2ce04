"""How long training lasts follows from how many windows there are, where nobody says."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting import EVEForecaster
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.material import prepare
from vneuron.forecasting.training_budget import suited_batch, suited_epochs, suited_patience
from vneuron.training.order import ExampleOrder

OPTIONS = {"horizon": 4, "input_size": 12, "hidden": 8, "encoder": "linear", "features": "window"}


def panel_of(rows):
    y = np.random.default_rng(0).normal(size=rows)
    return Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": np.arange(rows), "y": y}))


def prepared(rows, chosen=None, **options):
    return prepare(panel_of(rows), ForecasterConfig(**OPTIONS, **options), chosen=chosen)


@given(windows=st.integers(1, 10**9))
def test_batches_are_powers_of_two_and_a_small_part_of_the_windows(windows):
    batch = suited_batch(windows)
    assert 32 <= batch <= 256
    assert batch & (batch - 1) == 0
    assert suited_batch(2 * windows) in (batch, 2 * batch)
    assert batch == 32 or batch <= windows / 32


@given(windows=st.integers(1, 10**6), batch=st.integers(1, 1000))
def test_a_run_has_a_thousand_steps_and_no_more_epochs_than_that_takes(windows, batch):
    steps = ExampleOrder(windows, batch).steps
    epochs = suited_epochs(windows, batch)
    assert epochs >= 8
    assert epochs * steps >= 1000
    assert epochs == 8 or (epochs - 1) * steps < 1000


@given(epochs=st.integers(1, 1000))
def test_patience_grows_with_the_run(epochs):
    assert suited_patience(epochs) <= suited_patience(epochs + 1)
    assert epochs < 3 or suited_patience(epochs) <= epochs
    assert epochs < 9 or abs(suited_patience(epochs) / epochs - 3 / 8) <= 1 / epochs


@pytest.mark.parametrize("rows", [300, 3000, 9000])
def test_what_is_not_given_follows_from_the_windows(rows):
    material = prepared(rows)
    found, windows = material.config, len(material.train)
    assert found.batch_size == suited_batch(windows)
    assert found.epochs == suited_epochs(windows, found.batch_size)
    assert found.patience == suited_patience(found.epochs)
    assert found.training(quiet=True).epochs == found.epochs
    assert found.training(quiet=True).patience == found.patience


def test_what_is_given_stays():
    found = prepared(3000, batch_size=100, epochs=2, patience=0).config
    assert (found.batch_size, found.epochs, found.patience) == (100, 2, 0)
    assert prepared(3000, epochs=4).config.patience == 3
    assert prepared(3000, patience=5).config.epochs > 8


def test_a_run_is_gone_on_with_as_it_was_begun():
    begun = prepared(300, epochs=8, patience=3).config
    again = prepared(3000, chosen=begun.as_dict()).config
    for name in ("batch_size", "epochs", "patience"):
        assert getattr(again, name) == getattr(begun, name)
    assert replace(again, seed=3).epochs == 8


def test_few_windows_are_learned_for_longer():
    y = np.sin(np.arange(150) / 3) + 0.1 * np.random.default_rng(0).normal(size=150)
    frame = pd.DataFrame({"unique_id": "a", "ds": np.arange(150), "y": y})
    f = EVEForecaster(**OPTIONS, units=2, second="none", patience=0, quiet=True).fit(frame)
    assert f.outcome.epochs == 20
    with pytest.raises(ValueError, match="epochs is 0"):
        EVEForecaster(**OPTIONS, epochs=0)
