"""Forecasts drawn towards the level of their window: how far, when, and what learns on."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting import EVEForecaster, context_choice
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import CONTENDERS, build_network, build_task
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.laws.law import StudentLaw
from vneuron.forecasting.material import prepare
from vneuron.forecasting.shrinkage import DEPARTURES, departure_losses, least_within
from vneuron.training.run_folder import RunFolder

NAMED = {"encoder": "linear", "features": "window", "start": "level"}
LAST = {**NAMED, "location": "last"}


def long_frame(y, name="a"):
    return pd.DataFrame(
        {"unique_id": name, "ds": np.arange(len(y)), "y": np.asarray(y, dtype=float)}
    )


def wandering(rows, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=rows))


def material_of(y, **options):
    config = ForecasterConfig(6, 24, units=3, hidden=16, **{**LAST, **options})
    return prepare(Panel.from_frame(long_frame(y)), config)


def network_of(material, contender="EVE", **changes):
    config = replace(material.config, **changes)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = build_network(contender, config, *material.trial_data[3:])
        with torch.no_grad():
            network.mean_path.weight.normal_(0.0, 0.1)
            if network.second is not None:
                network.second.mean_path.weight.normal_(0.0, 0.1)
            if network.units is not None:
                network.mean_reader.normal_()
    return network


@torch.no_grad()
def law_of(network, batch):
    return network.eval()(*batch.inputs)


@pytest.mark.parametrize("second", ["none", "place"])
@pytest.mark.parametrize("contender", CONTENDERS)
def test_the_path_is_drawn_towards_the_last_value_and_nothing_else_is(contender, second):
    material = material_of(wandering(300), departure=0.0, second=second)
    network = network_of(material, contender)
    batch = material.validation.gather(torch.arange(len(material.validation)))
    whole = law_of(network, batch)
    last = batch.context[:, -1:]
    for departure in DEPARTURES:
        network.departure.fill_(departure)
        drawn = law_of(network, batch)
        expected = last + departure * (whole.loc - last)
        torch.testing.assert_close(drawn.loc, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(drawn.scale, whole.scale)
        if whole.loading is not None:
            torch.testing.assert_close(drawn.loading, whole.loading)
    undrawn = network.read(*batch.inputs, drawn_in=False)
    torch.testing.assert_close(network.distribution(undrawn).loc, whole.loc)


@pytest.mark.parametrize("second", ["none", "place"])
def test_single_steps_learn_as_if_nothing_were_drawn_in(second):
    """Gradients of the margins at departure 0 are those of a network without a departure."""
    material = material_of(wandering(300), departure=0.0, second=second)
    batch = material.train.gather(torch.arange(40))
    found = []
    for departure in (1.0, 0.0):
        network = network_of(material, "twin", departure=departure, dropout=0.0).train()
        if departure == 0.0:
            network.departure.fill_(0.0)
        network(*batch.inputs).learned_nll(batch.target).sum().backward()
        found.append({name: p.grad for name, p in network.named_parameters()})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient)
    assert found[1]["mean_path.weight"].abs().max() > 0


def test_losses_are_those_of_the_law_by_an_independent_density():
    material = material_of(wandering(300), departure=0.0)
    network = network_of(material)
    network.departure.fill_(0.25)  # what it keeps so far does not count
    losses = departure_losses(network.eval(), material.validation.batches(16))
    batch = material.validation.gather(torch.arange(len(material.validation)))
    network.departure.fill_(1.0)
    law = law_of(network, batch)
    last, df = batch.context[:, -1:].double(), network.df().item()
    for departure, loss in zip(DEPARTURES, losses.tolist(), strict=True):
        loc = last + departure * (law.loc.double() - last)
        nll = StudentLaw(loc.numpy(), law.scale.double().numpy(), df).nll(batch.target.numpy())
        assert loss == pytest.approx(float(nll.mean()), rel=1e-5)


@given(st.lists(st.floats(-3, 3), min_size=5, max_size=5), st.floats(0, 2))
def test_the_least_within_a_loss_is_within_it_and_none_below_is(losses, loss):
    found = least_within(torch.tensor(losses, dtype=torch.float64), loss)
    bound = min(losses) + loss
    assert losses[DEPARTURES.index(found)] <= bound
    assert all(x > bound for d, x in zip(DEPARTURES, losses, strict=True) if d < found)


def test_validation_takes_the_least_that_it_allows_and_no_less_than_the_trial(monkeypatch):
    material = material_of(wandering(300), departure=0.5)
    task = build_task(network_of(material, "linear"), material.train, material.validation)
    monkeypatch.setattr(
        "vneuron.forecasting.task.departure_losses",
        lambda *_: torch.tensor([0.0, 0.1, 0.129, 0.1, 0.2], dtype=torch.float64),
    )
    task.calibrate(material.validation)
    assert task.network.departure == 0.5  # 0 and .25 are below the trial's least
    monkeypatch.setattr(
        "vneuron.forecasting.task.departure_losses",
        lambda *_: torch.tensor([0.0, 0.1, 0.131, 0.1, 0.2], dtype=torch.float64),
    )
    task.calibrate(material.validation)
    assert task.network.departure == 0.75


@pytest.mark.whole_trials
def test_a_random_walk_is_drawn_in_and_a_season_is_not():
    options = {"features": "auto", "second": "none"}
    walk = material_of(wandering(900, seed=3), **options)
    assert walk.location == "last"
    assert walk.config.departure < 1.0
    t = np.arange(600)
    season = 3.0 * np.sin(2 * np.pi * t / 12) + 0.1 * wandering(600)
    assert material_of(season, **options).config.departure == 1.0
    centred = material_of(wandering(900, seed=3), **{**options, "location": "mean"})
    assert centred.config.departure == 1.0


def test_no_trial_is_held_where_all_else_is_named_and_a_number_is_kept(monkeypatch):
    monkeypatch.setattr(context_choice, "trained_trial", None)
    assert material_of(wandering(200)).config.departure == 1.0
    assert material_of(wandering(200), departure=0.25).config.departure == 0.25
    assert network_of(material_of(wandering(200))).departure is None


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "half", None])
def test_other_values_are_refused(value):
    with pytest.raises((ValueError, TypeError), match="departure is"):
        ForecasterConfig(6, 24, departure=value)


@pytest.mark.parametrize("other", [{"network": "reference"}, {"likelihood": "poisson"}])
def test_what_has_no_such_path_refuses_it(other):
    with pytest.raises(ValueError, match=r"departure is 0.5 with .*expected 1 or 'auto'"):
        ForecasterConfig(6, 24, departure=0.5, **other)
    ForecasterConfig(6, 24, departure=1.0, **other)


def test_a_fit_keeps_its_departure_and_a_run_from_before_has_all_of_its_path(tmp_path):
    options = {"horizon": 4, "input_size": 16, "units": 3, "hidden": 8, "quiet": True}
    options |= {**LAST, "departure": 0.0, "epochs": 2}
    frame = long_frame(wandering(300))
    fit = EVEForecaster(**options).fit(frame, run_dir=tmp_path / "run")
    kept = float(fit.model.network.departure)
    assert kept in DEPARTURES
    again = EVEForecaster.load(tmp_path / "run")
    assert float(again.model.network.departure) == kept
    pd.testing.assert_frame_equal(again.predict(frame), fit.predict(frame))
    plain = EVEForecaster(**{**options, "departure": 1.0}).fit(frame, run_dir=tmp_path / "plain")
    stored = json.loads((tmp_path / "plain" / "config.json").read_text())
    assert stored["model"].pop("departure") == 1.0
    RunFolder.open(tmp_path / "plain").write_json("config.json", stored)
    assert EVEForecaster.load(tmp_path / "plain").config.departure == 1.0
    assert plain.model.network.departure is None


def test_what_units_add_to_a_path_that_is_not_kept_is_no_use():
    from vneuron.forecasting.usefulness import measure_usefulness

    material = material_of(wandering(300), departure=0.0)
    network = network_of(material).eval()
    network.departure.fill_(0.0)
    found = measure_usefulness(network, material.validation.gather(torch.arange(20)))
    assert all(torch.isfinite(value).all() for value in found)
