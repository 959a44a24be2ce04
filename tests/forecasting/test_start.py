"""Where the mean path starts: ridge regression finds rules at once, and is taken where it pays."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting import EVEForecaster, context_choice
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import CONTENDERS, build_network, build_task
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.evaluation import StepScores
from vneuron.forecasting.material import prepare
from vneuron.forecasting.start import start_at_ridge
from vneuron.forecasting.trial import Reader, trial
from vneuron.training.run_folder import RunFolder

NAMED = {"encoder": "linear", "features": "window"}


def long_frame(y, name="a"):
    return pd.DataFrame(
        {"unique_id": name, "ds": np.arange(len(y)), "y": np.asarray(y, dtype=float)}
    )


def tides(rows, noise=0.0, seed=0):
    """Three sines of periods that no window holds whole: a linear rule of six coefficients."""
    t = np.arange(rows)
    y = sum(np.sin(2 * np.pi * t / period + period) for period in (12.42, 25.8, 7.3))
    return y + noise * np.random.default_rng(seed).normal(size=rows)


def material_of(y, **options):
    config = ForecasterConfig(8, 32, hidden=16, location="mean", **{**NAMED, **options})
    return prepare(Panel.from_frame(long_frame(y), missing=config.missing), config)


def started(material, contender="linear"):
    data = material.trial_data
    config = replace(material.config, start="ridge")
    network = build_network(contender, config, *data[3:])
    start_at_ridge(network, data.train, data.validation)
    return network.eval()


@torch.no_grad()
def squared_error(network, windows):
    batch = windows.gather(torch.arange(len(windows)))
    return float((network(*batch.inputs).point() - batch.target).square().mean())


@pytest.mark.parametrize("contender", CONTENDERS)
def test_a_rule_without_noise_is_known_before_training(contender):
    material = material_of(tides(600))
    network = build_network(contender, material.config, *material.trial_data[3:]).eval()
    assert squared_error(network, material.validation) > 0.5
    assert squared_error(started(material, contender), material.validation) < 1e-3


def test_it_is_weighted_least_squares_with_a_penalty():
    """Against numpy's least squares on rows that are augmented by the penalty."""
    material = material_of(tides(400, noise=0.3))
    network = started(material)
    batch = material.train.gather(torch.arange(len(material.train)))
    x, y = batch.context.double().numpy(), batch.target.double().numpy()
    level, scale = x.mean(1, keepdims=True), x.std(1, keepdims=True)
    weight = scale.ravel()
    design = np.column_stack([(x - level) / scale * weight[:, None], weight])
    errors = []
    for penalty in (1e-7, 1e-5, 1e-3, 0.1, 10.0):
        ridge = np.eye(33) * np.sqrt(penalty * np.sum(weight**2))
        ridge[-1, -1] = 0.0
        wanted, *_ = np.linalg.lstsq(
            np.vstack([design, ridge]), np.vstack([y - level, np.zeros((33, 8))]), rcond=None
        )
        errors.append(np.abs(network.base.weight.double().numpy() - wanted[:-1]).max())
    assert min(errors) < 1e-3
    assert max(errors) > 1e-2  # penalties differ, so that one of them was met
    held = material.validation.gather(torch.arange(len(material.validation)))
    with torch.no_grad():
        path = network.read(*held.inputs)
    error = (held.target - path.window.location) / path.window.scale - path.mean_path
    np.testing.assert_allclose(network.base.error, error.square().mean(0).sqrt(), rtol=1e-3)


def test_many_windows_are_thinned_and_a_gap_in_every_window_teaches_nothing(monkeypatch):
    monkeypatch.setattr("vneuron.forecasting.start.TRAINING_WINDOWS", 100)
    material = material_of(tides(2000))
    assert squared_error(started(material), material.validation) < 1e-2
    y = tides(400)
    y[::10] = np.nan
    masked = material_of(y, missing="mask")
    assert torch.isfinite(started(masked).base.weight).all()


@pytest.mark.whole_trials
def test_a_rule_is_started_from_and_noise_is_not():
    """The trial's two scores, and what is taken by them."""
    config = ForecasterConfig(8, 32, hidden=32)
    rule = prepare(Panel.from_frame(long_frame(tides(700, noise=0.003))), config)
    assert rule.config.start == "ridge"
    noise = np.random.default_rng(1).standard_t(4, size=260)
    assert prepare(Panel.from_frame(long_frame(noise)), config).config.start == "level"


def test_the_trial_starts_where_it_says():
    material = material_of(tides(500))
    level = trial(Reader("linear", "window"), material.trial_data, material.config)
    ridge = trial(Reader("linear", "window", "ridge"), material.trial_data, material.config)
    assert ridge.crps < 0.5 * level.crps


def test_no_trial_of_it_is_held_where_all_else_is_named(monkeypatch):
    monkeypatch.setattr(context_choice, "trial", None)
    assert material_of(tides(300)).config.start == "level"
    assert material_of(tides(300), start="ridge").config.start == "ridge"


@pytest.fixture
def tried(monkeypatch):
    """The readers that trials are asked for, all of which do alike."""
    readers = []

    def noted(reader, *_):
        readers.append(reader)
        return StepScores(1.0, 1.0)

    monkeypatch.setattr(context_choice, "trial", noted)
    return readers


def test_counts_start_at_their_level(tried):
    counts = np.random.default_rng(0).poisson(4.0, 300)
    config = ForecasterConfig(8, 32, likelihood="negbinomial")
    assert prepare(Panel.from_frame(long_frame(counts)), config).config.start == "level"
    assert {reader.start for reader in tried} == {"level"}


def test_a_named_start_is_tried_with_every_encoder(tried):
    config = ForecasterConfig(8, 32, start="ridge")
    assert prepare(Panel.from_frame(long_frame(tides(300))), config).config.start == "ridge"
    assert {reader.start for reader in tried} == {"ridge"}


@pytest.mark.parametrize(
    "other", [{"network": "reference"}, {"likelihood": "poisson"}, {"likelihood": "negbinomial"}]
)
def test_what_has_no_such_path_refuses_it(other):
    with pytest.raises(ValueError, match=r"start is 'ridge' with .*expected 'level' or 'auto'"):
        ForecasterConfig(8, 32, start="ridge", **other)
    with pytest.raises(ValueError, match=r"start is 'mean', expected one of \('auto'"):
        ForecasterConfig(8, 32, start="mean")


def test_a_task_fills_the_base_and_a_network_without_one_has_none():
    material = material_of(tides(300), start="ridge")
    network = build_network("linear", material.config, *material.trial_data[3:])
    assert not network.base.weight.any()
    build_task(network, material.train, material.validation)
    assert network.base.weight.any()
    level = build_network(
        "linear", replace(material.config, start="level"), *material.trial_data[3:]
    )
    assert level.base is None
    with pytest.raises(ValueError, match=r"no base to fill: build it with base=True"):
        start_at_ridge(level, material.train, material.validation)


def test_a_base_is_what_the_rest_is_measured_in():
    """Of a network with another base the path moves with it, and errors in its unit stay."""
    material = material_of(tides(300, noise=0.2), start="ridge", units=3)
    network = build_network("EVE", material.config, *material.trial_data[3:]).eval()
    batch = material.validation.gather(torch.arange(len(material.validation)))
    with torch.no_grad():
        network.mean_reader.normal_()
        plain = network(*batch.inputs)
        weight, bias, error = torch.randn(32, 8), torch.randn(8), torch.rand(8) + 0.5
        network.base.set(weight, bias, error)
        moved = network(*batch.inputs)
        window = network.read(*batch.inputs).window
    base = window.apply(batch.context) @ weight + bias
    wanted = window.location + error * (plain.loc - window.location) + window.scale * base
    torch.testing.assert_close(moved.loc, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(moved.scale, plain.scale * error, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(moved.loading, plain.loading)


def test_a_run_remembers_its_start_and_goes_on_to_the_same_bits(tmp_path):
    frame = long_frame(tides(400, noise=0.05))
    options = {"horizon": 4, "input_size": 16, "units": 3, "hidden": 8, "quiet": True}
    options |= {**NAMED, "start": "ridge", "epochs": 3}
    whole = EVEForecaster(**options).fit(frame, run_dir=tmp_path / "whole")
    kept = json.loads((tmp_path / "whole" / "config.json").read_text())["model"]
    assert kept["start"] == "ridge"

    class Stop(Exception):
        pass

    def stop(record):
        if record.epoch == 1:
            raise Stop

    run = tmp_path / "cut"
    with pytest.raises(Stop):
        EVEForecaster(**options).fit(frame, run_dir=run, on_epoch=stop)
    resumed = EVEForecaster(**options).fit(frame, run_dir=run, resume=True)
    pd.testing.assert_frame_equal(resumed.predict(frame), whole.predict(frame), check_exact=True)


def test_a_run_of_before_is_read_as_started_at_its_level(tmp_path):
    run = tmp_path / "run"
    options = {"horizon": 4, "input_size": 16, "units": 3, "hidden": 8, "epochs": 1, "quiet": True}
    EVEForecaster(**options, **NAMED).fit(long_frame(tides(200)), run_dir=run)
    described = json.loads((run / "config.json").read_text())
    del described["model"]["start"]
    RunFolder.open(run).write_json("config.json", described)
    assert EVEForecaster.load(run).config.start == "level"
