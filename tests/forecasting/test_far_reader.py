"""A second reader that looks further back than the first: how far, what it sees, what is kept."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting import DataError, EVEForecaster, context_choice
from vneuron.forecasting.cold_start import hide_beginnings
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import CONTENDERS, build_network, build_task
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.evaluation import StepScores
from vneuron.forecasting.material import prepare
from vneuron.forecasting.networks.multiscale import MultiscaleReader
from vneuron.forecasting.ridge import ResidualSpread
from vneuron.forecasting.second_choice import other_kind, second_size
from vneuron.forecasting.trial import Reader
from vneuron.training.run_folder import RunFolder

NAMED = {"encoder": "linear", "features": "window", "start": "level", "second": "window"}
FAR = {**NAMED, "second_size": 60}
DATA = {"test_size": 48}


@pytest.fixture(scope="module")
def panel(make_waves):
    return Panel.from_frame(make_waves())


def material_of(panel, **options):
    sizes = {"units": 3, "hidden": 12, "dropout": 0.0, "device": "cpu"}
    return prepare(panel, ForecasterConfig(6, 24, **{**sizes, **FAR, **options}))


def network_of(material, contender="EVE"):
    return build_network(contender, material.config, *material.trial_data[3:])


@pytest.mark.parametrize(
    ("input_size", "rows", "expected"),
    [
        (336, 1_000_000, 1344),  # four times as far
        (336, 24 * 700, 700),  # a 24th of the rows
        (336, 24 * 503, 336),  # not half as far again
        (336, 24 * 504, 504),
        (336, 0, 336),
        (1, 10**6, 4),
    ],
)
def test_how_far(input_size, rows, expected):
    assert second_size(input_size, rows) == expected


def test_the_shortest_series_says_how_far(make_waves):
    frame = make_waves()
    of_both = prepare(Panel.from_frame(frame), ForecasterConfig(3, 4, **NAMED))
    rows = int(of_both.split.train.lengths.min())
    assert of_both.config.second_size == second_size(4, rows) > 4
    short = frame[
        (frame.unique_id != frame.unique_id.iloc[0]) | (frame.groupby("unique_id").cumcount() < 60)
    ]
    assert prepare(Panel.from_frame(short), ForecasterConfig(3, 4, **NAMED)).config.second_size == 4


@pytest.mark.parametrize("location", ["mean", "last"])
@pytest.mark.parametrize("contender", CONTENDERS)
def test_each_reads_its_own_rows_in_its_own_scales(panel, contender, location):
    """A pool in the units of the data, put together by hand from two networks."""
    material = material_of(panel, location=location)
    network = network_of(material, contender).eval()
    second = network.second
    assert (network.input_size, second.input_size, network.lookback) == (24, 60, 60)
    alone = replace(material, config=replace(material.config, second="none", second_size=None))
    first = network_of(alone, contender).eval()
    with torch.no_grad():
        for reader in (first, network):
            torch.nn.init.constant_(reader.spread.bias, -1.0)
        second.mean_path.weight.normal_(0, 0.1)
        network.second_share.fill_(0.25)
        batch = material.validation.gather(torch.arange(7))
        assert batch.context.shape == (7, 60)
        own = first(batch.context[:, -24:], None, batch.place)
        other = second(*batch.inputs)
        found = network(*batch.inputs)
    weight = 0.25 / other.scale / (0.75 / own.scale + 0.25 / other.scale)
    torch.testing.assert_close(found.loc, (1 - weight) * own.loc + weight * other.loc)
    log_scale = (1 - weight) * own.scale.log() + weight * other.scale.log()
    torch.testing.assert_close(found.scale.log(), log_scale)


def test_rows_further_back_are_the_second_readers_alone(panel):
    material = material_of(panel)
    network = network_of(material).eval()
    batch = material.validation.gather(torch.arange(7))
    changed = batch.context.clone()
    changed[:, :36] += 1.0
    with torch.no_grad():
        network.second.mean_path.weight.normal_(0, 0.1)
        assert not torch.equal(network(batch.context).loc, network(changed).loc)
        network.second_share.fill_(0.0)
        assert torch.equal(network(batch.context).loc, network(changed).loc)


def test_choices_are_those_of_the_first_readers_windows(panel, monkeypatch):
    """A longer window of another reader changes neither the centre, nor trials, nor the batch."""
    seen = []

    def trial(reader, data, config):
        seen.append((reader, data.train.input_size, len(data.train), config.batch_size))
        return StepScores(1.0, 0.0)

    monkeypatch.setattr(context_choice, "trial", trial)
    options = {"encoder": "auto", "features": "auto", "start": "auto"}
    far, near = (material_of(panel, **options, second_size=size) for size in (60, 24))
    half = len(seen) // 2
    assert seen[:half] == seen[half:]
    assert seen[0][1] == 24
    assert (far.location, far.config.batch_size) == (near.location, near.config.batch_size)
    assert (far.train.input_size, near.train.input_size) == (60, 24)
    assert len(near.train) - len(far.train) == 36 * len(panel)
    assert len(near.validation) == len(far.validation)


@pytest.mark.parametrize("encoder", ["linear", "mlp"])
@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_auto_is_told_the_window_alone_and_reads_at_several_scales(
    panel, monkeypatch, encoder, drift
):
    def trial(reader, data, config):
        return StepScores(0.0 if reader.encoder == encoder else 9.0, 0.0)

    monkeypatch.setattr(context_choice, "trial", trial)
    monkeypatch.setattr(context_choice, "level_drift", lambda *_: drift)
    material = prepare(panel, ForecasterConfig(3, 4, device="cpu", second="auto"))
    assert material.config.encoder == encoder
    assert (material.config.second, material.config.second_size > 4) == ("window", True)
    network = network_of(material, "linear")
    assert isinstance(network.second.reader, MultiscaleReader)
    assert network.second.place is None


def test_a_kind_that_adds_nothing_near_adds_something_far():
    first = Reader("linear", "window")
    assert other_kind(first, told_level=False) == "none"
    assert other_kind(first, told_level=False, longer=True) == "window"


def test_where_none_is_taken_nothing_is_further_back(panel):
    config = ForecasterConfig(3, 4, encoder="linear", features="window", second="auto")
    material = prepare(panel, config)
    assert (material.config.second, material.config.second_size) == ("none", None)
    assert material.train.input_size == 4


def test_each_starts_from_the_regression_on_its_own_rows(panel):
    material = material_of(panel, start="ridge")
    network = network_of(material)
    build_task(network, material.train, material.validation)
    for reader in (network, network.second):
        ridge = ResidualSpread(reader.input_size, 6, 1, material.location)
        ridge.fit_path(material.train, material.validation)
        torch.testing.assert_close(reader.base.weight, ridge.weight[:-1].float())


def test_novelty_is_of_the_first_readers_rows(panel):
    assert material_of(panel).familiarity.mean.shape == (24,)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"missing": "mask"},
        {"prior": "autoregressive", "lag": 3},
        {"prior": "autoregressive", "lag": 50},
        {"series": "coupled"},
        {"start": "ridge"},
        {"second_size": 6},
    ],
    ids=lambda options: "-".join(map(str, options.values())) or "plain",
)
def test_a_run_is_kept_and_read_again(make_waves, tiny, tmp_path, options):
    frame = make_waves()
    if "missing" in options:
        frame.loc[[30, 31, 300], "y"] = np.nan
    model = EVEForecaster(**{**tiny, **FAR, **options})
    model.fit(frame, run_dir=tmp_path / "run", **DATA)
    again = EVEForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(model.predict(), again.predict())
    assert again.config.second_size == {**FAR, **options}["second_size"]
    assert again.config.lookback == again.model.network.lookback
    assert np.isfinite(model.predict(uncertainty=True)["EVE-novelty"]).all()
    assert np.isfinite(model.evaluate(frame)["joint_nll"])


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(make_waves, tiny, tmp_path):
    options = {**tiny, **NAMED, "input_size": 4}
    whole = EVEForecaster(**options).fit(make_waves(), run_dir=tmp_path / "whole", **DATA)
    assert whole.model.config.second_size > 4

    class Kill(Exception):
        pass

    def die(record):
        raise Kill

    half = tmp_path / "half"
    with pytest.raises(Kill):
        EVEForecaster(**options).fit(make_waves(), run_dir=half, on_epoch=die, **DATA)
    resumed = EVEForecaster(**options).fit(make_waves(), run_dir=half, resume=True, **DATA)
    pd.testing.assert_frame_equal(whole.predict(), resumed.predict())
    with pytest.raises(ValueError, match="second_size = "):
        EVEForecaster(**options, second_size=5).fit(make_waves(), run_dir=half, resume=True, **DATA)


def test_a_run_from_before_reads_as_far_as_its_first_reader(make_waves, tiny, tmp_path):
    near = {**FAR, "second_size": tiny["input_size"]}
    model = EVEForecaster(**{**tiny, **near}).fit(make_waves(), run_dir=tmp_path / "run", **DATA)
    with RunFolder.open(tmp_path / "run") as run:
        stored = run.read_json("config.json")
        del stored["model"]["second_size"]
        run.write_json("config.json", stored)
    again = EVEForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(model.predict(), again.predict())
    options = {**tiny, **near, "second_size": None}
    resumed = EVEForecaster(**options).fit(
        make_waves(), run_dir=tmp_path / "run", resume=True, **DATA
    )
    pd.testing.assert_frame_equal(model.predict(), resumed.predict())


def test_rows_that_are_too_few_are_named(make_waves, tiny):
    with pytest.raises(DataError, match="second_size 5000"):
        EVEForecaster(**{**tiny, **FAR, "second_size": 5000}).fit(make_waves(), **DATA)
    model = EVEForecaster(**{**tiny, **FAR}).fit(make_waves(), **DATA)
    with pytest.raises(DataError, match=r"needs 24 \(input_size\)"):
        model.predict(make_waves().groupby("unique_id").tail(23))
    with pytest.raises(ValueError, match="second_size is 60 with second 'none'"):
        EVEForecaster(6, 24, second="none", second_size=60)
    with pytest.raises(ValueError, match="second_size is 0"):
        EVEForecaster(6, 24, second="window", second_size=0)


def test_the_first_reader_forecasts_alone_where_rows_are_too_few_for_the_second(make_waves, tiny):
    """As the pool does in which the second counts for nothing; every verb of the forecast."""
    f = EVEForecaster(**{**tiny, **FAR}).fit(make_waves(), **DATA)
    short = make_waves().groupby("unique_id").tail(59)
    alone = [f.predict(short), f.sample(4, short), f.condition(total=3.0, df=short).predict()]
    assert "'s0' has 59 rows of the 60 that the second reader reads" in one_note(f, short)
    assert f.model.notes_on(f.model.memory.context) == ()
    assert not np.allclose(alone[0]["EVE-lo-80"], f.predict()["EVE-lo-80"])
    f.model.network.second_share.zero_()
    again = [f.predict(), f.sample(4), f.condition(total=3.0).predict()]
    for found, expected in zip(alone, again, strict=True):
        pd.testing.assert_frame_equal(found, expected)


def test_one_short_series_among_long_ones_is_forecast_like_the_others(make_waves, tiny):
    f = EVEForecaster(**{**tiny, **FAR}).fit(make_waves(), **DATA)
    mixed = make_waves().groupby("unique_id").tail(80)
    mixed = mixed.drop(mixed[mixed["unique_id"] == "s1"].index[:40])
    assert "'s1' has 40 rows" in one_note(f, mixed)
    short = make_waves().groupby("unique_id").tail(30)
    pd.testing.assert_frame_equal(f.predict(mixed), f.predict(short))


def test_a_short_frame_is_scored_and_followed_by_the_first_reader_alone(make_waves, tiny):
    """A frame that does not hold the rows of the fit, and too few of its own for both readers."""
    f = EVEForecaster(**{**tiny, **FAR}).fit(make_waves(), **DATA)
    newer = make_waves().groupby("unique_id").tail(48)
    windows = f.model.windows_to_score(Panel.from_frame(newer))
    assert (windows.input_size, len(windows)) == (24, 2 * (48 - 24 - f.config.horizon + 1))
    assert "48 rows of the 60" in one_note(f, newer, scored=True)
    assert f.model.notes_on(Panel.from_frame(make_waves()), scored=True) == ()
    assert f.following(newer).model.followed.forecasts > 0
    found = f.evaluate(newer)
    f.model.network.second_share.zero_()
    longer = f.evaluate(make_waves().groupby("unique_id").tail(48 + 36))
    assert found["joint_nll"] == pytest.approx(longer["joint_nll"], rel=1e-5)
    assert found["crps"] == pytest.approx(longer["crps"], rel=1e-5)


def test_a_frame_without_new_rows_is_not_called_short(make_waves, tiny):
    """Nothing to score is one thing, too few rows for both readers another."""
    f = EVEForecaster(**{**tiny, **FAR}).fit(make_waves(), **DATA)
    old = Panel.from_frame(make_waves().groupby("unique_id").head(len(make_waves()) // 2 - 48))
    windows = f.model.windows_to_score(old)
    assert (len(windows), windows.input_size) == (0, 60)
    assert f.model.notes_on(old, scored=True) == ()


def one_note(f, frame, **options):
    (note,) = f.model.notes_on(Panel.from_frame(frame), **options)
    return note


def test_series_that_are_too_short_are_padded_where_values_may_be_missing(make_waves, tiny):
    model = EVEForecaster(**{**tiny, **FAR, "missing": "mask"}).fit(make_waves(), **DATA)
    found = model.predict(make_waves().groupby("unique_id").tail(50))
    assert np.isfinite(found.drop(columns=["unique_id", "ds"])).all(axis=None)


def test_both_readers_meet_series_that_have_just_begun():
    """Of hidden windows about half begin within the rows of the shorter reader."""
    context = torch.arange(200.0).expand(4000, 200)
    _, observed = hide_beginnings(context, None, share=1.0, shortest=20)
    begins = 200 - observed.sum(1)
    late = (begins > 180).float().mean().item()
    assert late == pytest.approx(0.5 + 0.5 * 19 / 199, abs=4 * 0.5 / 4000**0.5)
    early = begins[begins <= 180].float()
    assert early.mean().item() == pytest.approx(90.5, abs=4 * 52 / len(early) ** 0.5)
    torch.manual_seed(3)
    alike = hide_beginnings(context, None, shortest=200)
    torch.manual_seed(3)
    assert all(map(torch.equal, alike, hide_beginnings(context, None)))


def test_the_reader_that_reads_the_fewest_rows(panel):
    assert network_of(material_of(panel)).shortest == 24
    assert network_of(material_of(panel, second_size=6)).shortest == 6
    assert network_of(material_of(panel, second="none", second_size=None)).shortest == 24
