"""A second reader of the window: what it learns, when it is taken, and that it is kept."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting import EVEForecaster, context_choice
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import CONTENDERS, build_network, build_task
from vneuron.forecasting.context_choice import TRIED
from vneuron.forecasting.evaluation import StepScores
from vneuron.forecasting.material import prepare
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.networks.pool import Margins, pool
from vneuron.forecasting.task import SHARES, TrajectoryObjective, most_even
from vneuron.training.loop import Trainer

NAMED = {"encoder": "mlp", "features": "full", "start": "level", "second": "window"}
DATA = {"test_size": 48}


@pytest.fixture
def material(panel):
    config = ForecasterConfig(6, 24, units=3, hidden=12, dropout=0.0, device="cpu", **NAMED)
    return prepare(panel, config)


@pytest.fixture(scope="module")
def panel(make_waves):
    from vneuron.forecasting.data.frame import Panel

    return Panel.from_frame(make_waves())


def network_of(material, contender="EVE", **changes):
    data = material.trial_data
    if changes.get("second") == "none":
        changes["second_size"] = None
    network = build_network(contender, replace(material.config, **changes), *data[3:])
    assert isinstance(network, TrajectoryNetwork)
    return network


@pytest.mark.parametrize("contender", CONTENDERS)
def test_a_forecast_is_the_pool_of_both_and_the_first_keeps_its_weights(material, contender):
    both, alone = network_of(material, contender), network_of(material, contender, second="none")
    kept = both.state_dict()
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(kept[name], value, rtol=0, atol=0, equal_nan=True)
    batch = material.validation.gather(torch.arange(5))
    with torch.no_grad():
        first, other = alone.eval().read(*batch.inputs), both.second.eval().read(*batch.inputs)
        found = both.eval().read(*batch.inputs)
        expected = pool(
            [
                Margins(first.mean_path, first.spread, alone.df()),
                Margins(other.mean_path, other.spread, both.second.df()),
            ],
            torch.tensor([0.5, 0.5]),
        ).margins
        law = both(*batch.inputs)
    torch.testing.assert_close(found.mean_path, expected.mean_path)
    torch.testing.assert_close(found.spread, expected.spread)
    torch.testing.assert_close(law.df, expected.df)
    assert law.pooled == ()


@pytest.mark.parametrize(
    ("encoder", "features", "second", "expected"),
    [
        ("linear", "window", "window", "mlp"),
        ("linear", "place", "window", "linear"),
        ("mlp", "window", "window", "linear"),
        ("multiscale", "full", "window", "linear"),
        ("linear", "full", "place", "mlp"),
        ("linear", "window", "full", "mlp"),
    ],
)
def test_the_second_is_of_another_kind(material, encoder, features, second, expected):
    network = network_of(material, encoder=encoder, features=features, second=second)
    assert (network.second.mean_residual is None) == (expected == "linear")
    assert (network.second.place is None) == (second == "window")


@pytest.mark.parametrize("contender", CONTENDERS)
def test_each_reader_learns_as_it_would_alone(material, contender):
    """Gradients of the whole objective, against those of each reader's own likelihood."""
    network = network_of(material, contender).train()
    batch = material.train.gather(torch.arange(16))
    nll, *_ = TrajectoryObjective(network)(batch.context, batch.target, None, None, batch.place)
    nll.mean().backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    own = network_of(material, contender).train().second
    # the units' part of the path starts at nought, so that it is not in the way here
    own(*batch.inputs).marginal_nll(batch.target).sum(-1).mean().backward()
    checked = 0
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(found[f"second.{name}"], parameter.grad)
        checked += 1
    alone = network_of(material, contender, second="none").train()
    alone(*batch.inputs).marginal_nll(batch.target).sum(-1).mean().backward()
    for name in ("mean_path.weight", "spread.weight", "features.0.weight", "raw_df"):
        torch.testing.assert_close(found[name], alone.get_parameter(name).grad)
    assert checked >= 7


def test_what_ties_steps_sees_the_pool_and_moves_no_reader(material):
    network = network_of(material).train()
    batch = material.train.gather(torch.arange(16))
    path = network(*batch.inputs)
    assert len(path.pooled) == 2
    path.with_fixed_margins().joint_nll(batch.target).mean().backward()
    margins = [*network.margins(), *network.second.parameters()]
    assert all(parameter.grad is None for parameter in margins)
    assert network.loading.grad is not None


@pytest.mark.parametrize("contender", ["linear", "twin"])
def test_training_leaves_the_first_as_it_would_be_alone(material, contender):
    """Gradients are clipped by each reader's own norm, and at most a nat per step."""
    states = {}
    for kind in ("window", "none"):
        network = network_of(material, contender, second=kind)
        with torch.no_grad():  # a second reader that fits badly, whose gradients are large
            if network.second is not None:
                network.second.mean_path.bias.fill_(30.0)
        task = build_task(network, material.train, material.validation)
        training = replace(material.config.training(quiet=True), epochs=2)
        Trainer(training).fit(task)
        states[kind] = network.state_dict()
    for name, value in states["none"].items():
        if name != "mean_gain":
            torch.testing.assert_close(states["window"][name], value, equal_nan=True)


@torch.no_grad()
def test_what_units_add_to_the_path_is_the_first_readers(material):
    """A pool of (m + Rµ, τ) and of the second reader, which knows nothing of the units."""
    network = network_of(material).eval()
    network.mean_reader.normal_()
    network.mean_gain.fill_(0.5)
    network.second.spread.bias.add_(1.0)
    batch = material.validation.gather(torch.arange(5))
    reading = network.read(*batch.inputs)
    first, second = reading.readers
    moved = first._replace(mean_path=first.mean_path + 0.5 * network.mean_shift(reading.latent))
    expected = pool([moved, second], torch.tensor([0.5, 0.5])).margins
    law, window = network.distribution(reading), reading.window
    torch.testing.assert_close(law.loc, window.location + window.scale * expected.mean_path)
    torch.testing.assert_close(law.scale, window.scale * expected.spread)


def test_all_of_a_second_reader_is_trained_and_rests_with_the_margins(material):
    network = network_of(material)
    task = build_task(network, material.train, material.validation)
    trained = {id(p) for group in task.parameter_groups() for p in group["params"]}
    assert {id(p) for p in network.parameters() if p.requires_grad} == trained
    resting = {
        id(p)
        for group in task.parameter_groups()
        if group.get("settles_by") == "val_nll"
        for p in group["params"]
    }
    assert {id(p) for p in network.second.parameters()} <= resting


def test_a_start_from_ridge_is_both_readers(material):
    network = network_of(material, start="ridge")
    build_task(network, material.train, material.validation)
    for name, value in network.base.named_buffers():
        torch.testing.assert_close(network.second.base.get_buffer(name), value)
    assert network.base.weight.abs().sum() > 0


@pytest.mark.parametrize(
    "options",
    [
        {"missing": "mask"},
        {"prior": "autoregressive", "lag": 3},
        {"prior": "macro"},
        {"series": "coupled"},
        {"likelihood": "gaussian"},
        {"start": "ridge"},
        {"second": "full", "encoder": "linear"},
        {"second": "series"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_a_run_is_kept_and_read_again(make_waves, tiny, tmp_path, options):
    frame = make_waves()
    if "missing" in options:
        frame.loc[[30, 31, 300], "y"] = np.nan
    model = EVEForecaster(**{**tiny, **NAMED, **options})
    model.fit(frame, run_dir=tmp_path / "run", **DATA)
    again = EVEForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(model.predict(), again.predict())
    assert again.config.second == {**NAMED, **options}["second"]


def test_a_run_that_was_stopped_goes_on_with_the_same_readers(make_waves, tiny, tmp_path):
    """The first epoch's checkpoint and journal, as a kill would leave them."""
    options = {**tiny, **NAMED}
    whole = EVEForecaster(**options).fit(make_waves(), run_dir=tmp_path / "whole", **DATA)

    class Kill(Exception):
        pass

    def die(record):
        raise Kill

    with pytest.raises(Kill):
        EVEForecaster(**options).fit(make_waves(), run_dir=tmp_path / "half", on_epoch=die, **DATA)
    resumed = EVEForecaster(**options).fit(
        make_waves(), run_dir=tmp_path / "half", resume=True, **DATA
    )
    pd.testing.assert_frame_equal(whole.predict(), resumed.predict())


@pytest.mark.parametrize("share", SHARES)
def test_validation_chooses_what_the_second_counts_for(material, share):
    """Targets are what a pool with this share would draw: no other has a higher likelihood."""
    network = network_of(material, "linear").eval()
    with torch.no_grad():
        network.spread.bias.fill_(-1.0)
        network.second.spread.bias.fill_(-1.0)
        network.second.mean_path.bias.fill_(3.0)
        network.second_share.fill_(share)
    task = build_task(network, material.train, material.validation)
    windows = material.validation
    batch = windows.gather(torch.arange(len(windows)))
    with torch.no_grad():
        drawn = network(*batch.inputs).sample(1, torch.Generator().manual_seed(0))[:, 0]
        network.second_share.fill_(0.5)

        class Drawn:
            device = windows.device

            def __len__(self):
                return len(windows)

            def take(self, index):
                return self

            def batches(self, size):
                yield batch._replace(target=drawn)

        task.calibrate(Drawn())
    assert network.second_share.item() == share


def test_it_is_chosen_after_each_epoch_and_kept(make_waves, tiny, tmp_path):
    model = EVEForecaster(**{**tiny, **NAMED}).fit(make_waves(), run_dir=tmp_path, **DATA)
    network = model.model.network
    assert network.second_share.item() in SHARES
    again = EVEForecaster.load(tmp_path).model.network
    assert again.second_share.item() == network.second_share.item()


@pytest.mark.parametrize("encoder", TRIED)
@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_auto_takes_one_of_another_kind(panel, monkeypatch, encoder, drift):
    def trial(reader, data, config):
        return StepScores(0.0 if reader.encoder == encoder else 9.0, 0.0)

    monkeypatch.setattr(context_choice, "trial", trial)
    monkeypatch.setattr(context_choice, "level_drift", lambda *_: drift)
    config = ForecasterConfig(6, 24, device="cpu", second="auto")
    decided = prepare(panel, config).config
    assert decided.encoder == encoder
    expected = "place" if encoder == "linear" and not drift else "window"
    assert decided.second == expected
    assert decided.second_size == (8 if encoder == "linear" and drift else 24)


def test_named_readers_stay_alone(panel):
    config = ForecasterConfig(6, 24, encoder="linear", features="window", second="auto")
    assert prepare(panel, config).config.second == "none"


@pytest.mark.parametrize("options", [{"network": "reference"}, {"likelihood": "poisson"}])
def test_what_cannot_be_pooled_is_refused_if_it_is_asked_for(options):
    with pytest.raises(ValueError, match="second is 'window'"):
        ForecasterConfig(6, 24, second="window", **options)
    assert ForecasterConfig(6, 24, second="auto", **options).second == "auto"


@pytest.mark.parametrize(
    ("lost", "second"), [(0.29, "window"), (0.31, "none"), (float("nan"), "none")]
)
def test_where_levels_drift_a_reader_of_the_last_rows_has_to_do_well_alone(
    panel, monkeypatch, lost, second
):
    tried = []

    def trial(reader, data, config):
        tried.append((reader.encoder, reader.features, config.input_size, len(data.train)))
        return StepScores(0.0, lost if config.input_size == 8 else 0.0)

    monkeypatch.setattr(context_choice, "trial", trial)
    monkeypatch.setattr(context_choice, "level_drift", lambda *_: 1.0)
    config = ForecasterConfig(6, 24, device="cpu", second="auto", encoder="linear", start="level")
    decided = prepare(panel, config).config
    assert (decided.second, decided.second_size) == (second, 8 if second == "window" else None)
    alone = [each for each in tried if each[1] == "window" and each[2] == 24]
    assert tried[-1] == ("linear", "window", 8, alone[-1][3])
    assert decided.lookback == 24


def test_no_reader_of_the_last_rows_beside_one_that_hardly_reads_more(panel, monkeypatch):
    monkeypatch.setattr(context_choice, "trial", lambda *_: StepScores(0.0, 0.0))
    monkeypatch.setattr(context_choice, "level_drift", lambda *_: 1.0)
    config = ForecasterConfig(6, 15, device="cpu", second="auto", second_size=15)
    assert prepare(panel, config).config.second == "none"


def test_a_short_second_reader_forecasts_and_comes_back(make_waves, tiny, tmp_path):
    """It reads the last rows alone: what lies before them does not move it."""
    options = {**tiny, **NAMED, "second": "window", "second_size": 8}
    f = EVEForecaster(**options).fit(make_waves(), run_dir=tmp_path, **DATA)
    network = f.model.network.second
    assert (network.input_size, f.config.lookback) == (8, tiny["input_size"])
    context = torch.randn(3, tiny["input_size"])
    moved = torch.cat([context[:, :-8] + 5.0, context[:, -8:]], 1)
    torch.testing.assert_close(network.read(context).mean_path, network.read(moved).mean_path)
    pd.testing.assert_frame_equal(f.predict(), EVEForecaster.load(tmp_path).predict())


@pytest.mark.parametrize(
    ("losses", "share"),
    [
        ([0.50, 0.50, 0.50, 0.50], 0.5),
        ([0.50, 0.52, 0.511, 0.52], 0.0),
        ([0.509, 0.50, 0.52, 0.60], 0.25),
        ([0.60, 0.52, 0.509, 0.50], 0.5),
        ([0.60, 0.52, 0.511, 0.50], 0.75),
        ([float("nan")] * 4, 0.5),
    ],
)
def test_the_most_even_share_that_validation_allows(losses, share):
    assert most_even(torch.tensor(losses)) == share
