"""What a user does with a forecaster: frames in, frames out, of every kind that is allowed."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import stats

from vneuron.forecasting import DataError, EVEForecaster, NotFittedError
from vneuron.forecasting.data.frame import Panel

PREDICTED = [
    "unique_id", "ds", "EVE", "EVE-median", "EVE-lo-80", "EVE-hi-80", "EVE-lo-95", "EVE-hi-95",
]  # fmt: skip


def weights(forecaster):
    return {n: v.numpy().tobytes() for n, v in forecaster.model.network.state_dict().items()}


def values(frame):
    columns = [c for c in frame.columns if c.startswith("EVE") or c == "y"]
    return frame[columns].to_numpy()


# -- predict ---------------------------------------------------------------------------------


def test_the_next_steps_of_each_series(fitted, frame):
    found = fitted.predict()
    assert found.columns.tolist() == PREDICTED
    assert found["unique_id"].tolist() == ["s0"] * 6 + ["s1"] * 6
    after = frame["ds"].max() + pd.to_timedelta(np.arange(1, 7), "h")
    assert found["ds"].tolist() == [*after, *after]
    assert np.isfinite(values(found)).all()
    assert (found["EVE-lo-95"] < found["EVE-lo-80"]).all()
    assert (found["EVE-hi-80"] < found["EVE-hi-95"]).all()
    # the second series has another level and size
    assert found.groupby("unique_id")["EVE"].mean().diff().iloc[1] > 8


def test_levels_and_uncertainty(fitted):
    found = fitted.predict(level=[50], uncertainty=True)
    assert found.columns[4:].tolist() == [
        "EVE-lo-50", "EVE-hi-50", "EVE-noise-sd", "EVE-unit-sd", "EVE-novelty",
    ]  # fmt: skip
    df = fitted.model.network.df().item()
    half = found["EVE-hi-50"] - found["EVE"]
    sd = half / stats.t(df).ppf(0.75) * (df / (df - 2)) ** 0.5
    np.testing.assert_allclose(np.hypot(found["EVE-noise-sd"], found["EVE-unit-sd"]), sd)
    assert (found["EVE-unit-sd"] > 0).all()
    assert found.groupby("unique_id")["EVE-novelty"].nunique().tolist() == [1, 1]
    assert (found["EVE-novelty"] >= 0).all()


def test_one_level_need_not_stand_in_a_list(fitted):
    one, listed = fitted.predict(level=80), fitted.predict(level=[80])
    pd.testing.assert_frame_equal(one, listed)
    pd.testing.assert_frame_equal(fitted.predict(level=np.array([80])), listed)


def test_the_frame_of_the_fit_and_its_end_say_the_same(fitted, frame):
    assert np.array_equal(values(fitted.predict(frame)), values(fitted.predict()))
    tail = frame.groupby("unique_id").tail(24)
    assert np.array_equal(values(fitted.predict(tail)), values(fitted.predict()))


def test_newer_rows_move_the_forecast_on(fitted, make_waves):
    newer = make_waves(rows=250)
    found = fitted.predict(newer)
    assert found["ds"].min() == newer["ds"].max() + pd.Timedelta("1h")
    assert not np.allclose(values(found), values(fitted.predict()))


def test_other_series_by_their_own_scale(fitted, make_waves):
    other = make_waves(series=1).assign(unique_id="new", y=lambda f: 1e6 + 1e4 * f["y"])
    found = fitted.predict(other)
    assert found["unique_id"].unique().tolist() == ["new"]
    assert ((found["EVE"] > 0.9e6) & (found["EVE"] < 1.1e6)).all()
    both = fitted.predict(pd.concat([other, make_waves()]))
    np.testing.assert_allclose(values(both)[:6], values(found), rtol=1e-6)
    np.testing.assert_allclose(values(both)[6:], values(fitted.predict()), rtol=1e-5, atol=1e-5)


def test_many_series_at_once_are_each_series_alone(fitted, make_waves):
    many = make_waves(series=1100, rows=30)
    found = fitted.predict(many)
    assert len(found) == 1100 * 6
    for chosen in ("s0", "s1099"):
        alone = fitted.predict(many[many["unique_id"] == chosen])
        part = found[found["unique_id"] == chosen]
        np.testing.assert_allclose(values(part), values(alone), rtol=1e-5, atol=1e-5)


def test_unsorted_rows_are_sorted(fitted, frame):
    mixed = frame.sample(frac=1.0, random_state=0)
    found = fitted.predict(mixed).sort_values(["unique_id", "ds"])
    assert np.array_equal(values(found), values(fitted.predict()))


def test_a_series_shorter_than_the_context_is_refused(fitted, frame):
    with pytest.raises(DataError, match="'s0' has 23 rows, a forecast needs 24"):
        fitted.predict(frame.head(23))


def test_another_frequency_is_refused(fitted, make_waves):
    daily = make_waves(freq="D")
    for ask in (fitted.predict, fitted.sample, fitted.evaluate):
        arguments = (2, daily) if ask == fitted.sample else (daily,)
        with pytest.raises(DataError, match="frequency 'D', the model was fitted on 'h'"):
            ask(*arguments)


@pytest.mark.parametrize(
    ("freq", "rows"), [("B", 5), ("MS", 2), ("ME", 3), ("W-WED", 1), ("YS-JAN", 2), ("15min", 2)]
)
def test_few_rows_need_not_show_the_frequency(tiny, make_waves, tmp_path, freq, rows):
    frame = make_waves(rows=60, freq=freq)
    options = tiny | {"input_size": rows, "horizon": 2, "epochs": 1}
    EVEForecaster(**options).fit(frame).save(tmp_path / "model")
    forecaster = EVEForecaster.load(tmp_path / "model", quiet=True)
    for end in range(rows, rows + 9):
        few = frame[frame.groupby("unique_id").cumcount().between(end - rows, end - 1)]
        expected = frame[frame.groupby("unique_id").cumcount().between(end, end + 1)]
        assert forecaster.predict(few)["ds"].tolist() == expected["ds"].tolist()


# -- kinds of frames -------------------------------------------------------------------------


def test_polars_in_polars_out(fitted, frame, tiny):
    polars = pl.from_pandas(frame)
    own = EVEForecaster(**tiny).fit(polars, test_size=48)
    assert weights(own) == weights(fitted)
    found = own.predict()
    assert isinstance(found, pl.DataFrame)
    assert found.columns == PREDICTED
    assert np.array_equal(values(found), values(fitted.predict()))
    assert isinstance(fitted.predict(), pd.DataFrame)
    assert isinstance(fitted.predict(polars), pl.DataFrame)
    assert isinstance(own.sample(2), pl.DataFrame)
    summed = own.aggregate("sum", over="3h")
    assert summed.columns[:4] == ["unique_id", "ds", "ds_end", "EVE"]
    folds = own.cross_validation(polars, n_windows=2)
    assert folds.columns[:4] == ["unique_id", "ds", "cutoff", "y"]
    assert own.evaluate(polars) == fitted.evaluate(frame)


def test_integer_ids_and_integer_time(make_waves, tiny):
    frame = make_waves()
    frame["ds"] = 10 * (frame.groupby("unique_id").cumcount() + 5)
    frame["unique_id"] = frame["unique_id"].map({"s0": 7, "s1": 3})
    found = EVEForecaster(**tiny).fit(frame).predict()
    assert found["unique_id"].tolist() == [7] * 6 + [3] * 6
    assert found["ds"].tolist()[:6] == [2450, 2460, 2470, 2480, 2490, 2500]


def test_time_zones_come_back(make_waves, tiny, tmp_path):
    frame = make_waves()
    frame["ds"] = frame["ds"].dt.tz_localize("UTC").dt.tz_convert("Europe/Paris")
    forecaster = EVEForecaster(**tiny).fit(frame)
    forecaster.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model", quiet=True)
    for found in (forecaster.predict(), again.predict(), again.predict(frame)):
        assert str(found["ds"].dt.tz) == "Europe/Paris"
        assert found["ds"].min() == frame["ds"].max() + pd.Timedelta("1h")
    assert forecaster.aggregate("sum")["ds_end"].max() == found["ds"].max()
    assert forecaster.plot() is not None


def test_series_of_unequal_length_in_one_model(make_waves, tiny):
    frame = pd.concat([make_waves(1, 240), make_waves(1, 100, seed=1).assign(unique_id="short")])
    forecaster = EVEForecaster(**tiny).fit(frame)
    found = forecaster.predict()
    ends = frame.groupby("unique_id")["ds"].max()
    starts = found.groupby("unique_id")["ds"].min()
    assert (starts - ends == pd.Timedelta("1h")).all()
    folds = forecaster.cross_validation(frame, n_windows=2)
    assert len(folds) == 2 * 2 * 6


def test_gaps_under_the_mask(make_waves, tiny, tmp_path):
    frame = make_waves()
    holes = np.random.default_rng(0).random(len(frame)) < 0.1
    holes[[0, 239, 240, 479]] = True  # also at both ends
    frame.loc[holes, "y"] = np.nan
    frame = frame.drop(index=range(50, 60))
    with pytest.raises(DataError, match="missing"):
        EVEForecaster(**tiny).fit(frame)
    forecaster = EVEForecaster(**tiny, missing="mask").fit(frame, test_size=48)
    found = forecaster.predict()
    assert np.isfinite(values(found)).all()
    assert found["ds"].min() == frame["ds"].max() + pd.Timedelta("1h")
    assert np.array_equal(values(forecaster.predict(frame)), values(found))
    scores = forecaster.evaluate(frame)
    assert all(np.isfinite(scores[name]) for name in ("mse", "joint_nll", "path_crps", "energy"))
    folds = forecaster.cross_validation(frame, n_windows=3)
    joined = folds.merge(frame, on=["unique_id", "ds"], suffixes=("", "_truth"), how="left")
    np.testing.assert_array_equal(joined["y"], joined["y_truth"])
    assert folds["y"].isna().any()
    assert np.isfinite(folds["EVE"]).all()
    forecaster.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model", quiet=True)
    assert np.array_equal(values(again.predict()), values(found))
    short = frame.groupby("unique_id").tail(10)
    assert np.isfinite(values(forecaster.predict(short))).all()


def test_gaps_filled_by_interpolation(make_waves, tiny):
    frame = make_waves()
    frame.loc[20:22, "y"] = np.nan
    forecaster = EVEForecaster(**tiny, missing="interpolate").fit(frame)
    assert any("interpolat" in note or "filled" in note for note in forecaster.notes)
    assert np.isfinite(values(forecaster.predict())).all()


def test_a_series_that_ended_long_before_the_others(make_waves, tiny, tmp_path):
    """Its last context holds nothing: the model is saved and loaded, and forecasts the others."""
    frame = make_waves()
    frame.loc[frame["unique_id"].eq("s1") & (frame.groupby("unique_id").cumcount() > 190), "y"] = (
        np.nan
    )
    forecaster = EVEForecaster(**tiny, missing="mask").fit(frame)
    with pytest.raises(DataError, match="'s1' has no known value in the last 24 rows"):
        forecaster.predict()
    forecaster.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model", quiet=True)
    with pytest.raises(DataError, match="'s1' has no known value in the last 24 rows"):
        again.predict()
    other = frame[frame["unique_id"] == "s0"]
    assert np.array_equal(values(again.predict(other)), values(forecaster.predict(other)))


@pytest.mark.parametrize("missing", ["error", "mask"])
def test_constant_series_are_forecast_as_they_are(make_waves, tiny, missing):
    frame = make_waves()
    frame.loc[frame["unique_id"] == "s1", "y"] = 5.0
    forecaster = EVEForecaster(**tiny, missing=missing).fit(frame, test_size=48)
    assert any("constant" in note for note in forecaster.notes)
    found = forecaster.predict()
    constant = found[found["unique_id"] == "s1"]
    assert (constant["EVE"] - 5).abs().max() < 0.2
    assert np.isfinite(forecaster.evaluate(frame)["joint_nll"])


@pytest.mark.parametrize("size", [1e-9, 1e9, 1e30])
def test_the_unit_of_the_data_does_not_matter(fitted, frame, tiny, size):
    forecaster = EVEForecaster(**tiny).fit(frame.assign(y=frame["y"] * size), test_size=48)
    np.testing.assert_allclose(
        values(forecaster.predict()) / size, values(fitted.predict()), rtol=2e-3, atol=2e-3
    )


def test_a_high_level_loses_no_digits(frame, tiny):
    plain = EVEForecaster(**tiny).fit(frame)
    high = EVEForecaster(**tiny).fit(frame.assign(y=frame["y"] + 1e9))
    np.testing.assert_allclose(
        values(high.predict()) - 1e9, values(plain.predict()), rtol=0, atol=5e-3
    )


@pytest.mark.parametrize(("horizon", "input_size"), [(1, 1), (1, 12), (5, 1)])
def test_sizes_of_one(frame, tiny, tmp_path, horizon, input_size):
    options = tiny | {"horizon": horizon, "input_size": input_size}
    forecaster = EVEForecaster(**options).fit(frame, test_size=20)
    found = forecaster.predict(uncertainty=True)
    assert len(found) == 2 * horizon
    assert np.isfinite(values(found)).all()
    scores = forecaster.evaluate(frame)
    if horizon == 1:
        assert scores["joint_nll"] == pytest.approx(scores["nll"], rel=1e-4)
    forecaster.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model", quiet=True)
    assert np.array_equal(values(again.predict()), values(forecaster.predict()))
    one = frame.groupby("unique_id").tail(again.model.config.lookback)
    assert np.array_equal(values(again.predict(one)), values(again.predict()))


@pytest.mark.parametrize(
    "options",
    [
        {"likelihood": "gaussian"},
        {"latent_dim": 2},
        {"scale": "per_unit"},
        {"scale": "scalar"},
        {"prior": "learned"},
        {"location": "last"},
        {"units": 1},
        {"beta": 0.0},
    ],
)
def test_options(frame, tiny, tmp_path, options):
    forecaster = EVEForecaster(**{**tiny, "epochs": 1, **options}).fit(frame, test_size=48)
    assert np.isfinite(values(forecaster.predict(uncertainty=True))).all()
    assert np.isfinite(forecaster.evaluate(frame)["joint_nll"])
    forecaster.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model", quiet=True)
    assert again.config == forecaster.model.config
    assert np.array_equal(values(again.predict()), values(forecaster.predict()))


# -- sample and aggregate --------------------------------------------------------------------


def test_sample_paths(fitted):
    found = fitted.sample(n=5)
    assert found.columns.tolist() == ["unique_id", "ds", "path", "y"]
    assert len(found) == 2 * 5 * 6
    first = found[(found["unique_id"] == "s0") & (found["path"] == 3)]
    assert first["ds"].tolist() == fitted.predict()["ds"].tolist()[:6]
    assert found.equals(fitted.sample(n=5))
    assert not found["y"].equals(fitted.sample(n=5, seed=1)["y"])


def test_sample_paths_have_the_moments_of_the_forecast(fitted):
    draws = fitted.sample(n=4000)
    predicted = fitted.predict(level=[80])
    grouped = draws.groupby(["unique_id", "ds"])["y"]
    mean, sd = grouped.mean().to_numpy(), grouped.std().to_numpy()
    assert (np.abs(mean - predicted["EVE"].to_numpy()) < 4.5 * sd / 4000**0.5).all()
    low = predicted["EVE-lo-80"].to_numpy()
    below = grouped.apply(list).apply(np.asarray)
    share = np.array([(v < b).mean() for v, b in zip(below, low, strict=True)])
    assert np.abs(share - 0.1).max() < 4.5 * (0.09 / 4000) ** 0.5


def test_a_sum_over_blocks_is_the_sum_of_the_paths(fitted):
    found = fitted.aggregate("sum", over="3h", level=[80])
    assert found.columns.tolist() == [
        "unique_id", "ds", "ds_end", "EVE", "EVE-median", "EVE-lo-80", "EVE-hi-80",
    ]  # fmt: skip
    predicted = fitted.predict()
    assert found["ds"].tolist()[:2] == predicted["ds"].tolist()[0:6:3]
    assert found["ds_end"].tolist()[:2] == predicted["ds"].tolist()[2:6:3]
    np.testing.assert_allclose(found["EVE"], predicted["EVE"].to_numpy().reshape(-1, 3).sum(-1))
    draws = fitted.sample(4000)["y"].to_numpy().reshape(2, 4000, 2, 3).sum(-1)
    inside = (draws > found["EVE-lo-80"].to_numpy().reshape(2, 1, 2)) & (
        draws < found["EVE-hi-80"].to_numpy().reshape(2, 1, 2)
    )
    assert np.abs(inside.mean(1) - 0.8).max() < 4.5 * (0.16 / 4000) ** 0.5
    whole = fitted.aggregate("mean")
    assert len(whole) == 2


@pytest.mark.parametrize("statistic", ["max", "min", "ramp"])
def test_drawn_aggregates_follow_their_seed(fitted, statistic):
    found = fitted.aggregate(statistic, over=6)
    assert found.equals(fitted.aggregate(statistic, over=6))
    assert not found["EVE"].equals(fitted.aggregate(statistic, over=6, seed=1)["EVE"])
    assert (found["EVE-lo-80"] <= found["EVE-hi-80"]).all()


def test_drawn_in_portions_every_series_is_there(fitted, make_waves, monkeypatch):
    many = make_waves(series=5, rows=30)
    monkeypatch.setattr("vneuron.forecasting.frames.MOST_DRAWN", 2000 * 6 * 2)
    found = fitted.aggregate("max", over=3, df=many)
    assert found["unique_id"].tolist() == [f"s{i}" for i in range(5) for _ in range(2)]
    assert len(fitted.sample(3000, many)) == 5 * 3000 * 6


# -- evaluate and cross-validation -----------------------------------------------------------


def by_hand(forecaster, frame, cutoffs):
    """Forecasts from each cut-off, from rows up to it alone."""
    parts = []
    for cutoff in cutoffs:
        past = frame[frame["ds"] <= cutoff]
        parts.append(forecaster.predict(past).assign(cutoff=cutoff))
    return pd.concat(parts)


def assert_same_forecasts(found, expected):
    keys = ["unique_id", "cutoff", "ds"]
    found, expected = (f.sort_values(keys).reset_index(drop=True) for f in (found, expected))
    assert found[keys].equals(expected[keys])
    names = [c for c in expected if c.startswith("EVE")]
    np.testing.assert_allclose(found[names], expected[names], rtol=1e-4, atol=1e-4)


def test_cross_validation_is_fitting_before_and_forecasting_from_each_origin(frame, tiny):
    forecaster = EVEForecaster(**tiny)
    found = forecaster.cross_validation(frame, n_windows=3, step_size=4, level=[80, 95])
    assert found.columns.tolist() == [*PREDICTED[:2], "cutoff", "y", *PREDICTED[2:]]
    held_out = 2 * 4 + 6
    past = frame[frame.groupby("unique_id").cumcount() < 240 - held_out]
    manual = EVEForecaster(**tiny).fit(past)
    cutoffs = sorted(frame["ds"].unique())[240 - held_out - 1 : 240 - 6 : 4]
    assert len(cutoffs) == 3
    assert_same_forecasts(found, by_hand(manual, frame, cutoffs))
    joined = found.merge(frame, on=["unique_id", "ds"])
    assert (joined["y_x"] == joined["y_y"]).all()
    with pytest.raises(NotFittedError):
        forecaster.predict()


def test_refitting_before_each_origin(frame, tiny):
    tiny = tiny | {"epochs": 1}
    found = EVEForecaster(**tiny).cross_validation(frame, n_windows=2, step_size=5, refit=True)
    parts = []
    for stop in (240 - 11, 240 - 6):
        past = frame[frame.groupby("unique_id").cumcount() < stop]
        manual = EVEForecaster(**tiny).fit(past)
        parts.append(manual.predict().assign(cutoff=past["ds"].max()))
    assert_same_forecasts(found, pd.concat(parts))


@pytest.mark.parametrize("refit", [False, True])
def test_cross_validation_does_not_see_what_it_forecasts(frame, tiny, refit):
    changed = frame.copy()
    changed.loc[changed.groupby("unique_id").cumcount() >= 234, "y"] = 1e6
    forecaster = EVEForecaster(**tiny | {"epochs": 1})
    first, second = (
        forecaster.cross_validation(f, n_windows=2, refit=refit) for f in (frame, changed)
    )
    assert np.array_equal(values(first.drop(columns="y")), values(second.drop(columns="y")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_windows": 0}, "n_windows is 0"),
        ({"n_windows": 1.5}, "n_windows is 1.5, expected a whole number"),
        ({"step_size": 1.5}, "step_size is 1.5, expected a whole number"),
        ({"step_size": 0}, "step_size is 0"),
        ({"n_windows": 40}, "'s0' has 240 rows, 240 are held out"),
        ({"n_windows": 35}, "too short"),
        ({"level": [0.8]}, "expected per cent"),
    ],
)
def test_cross_validation_that_cannot_be(frame, tiny, options, message):
    with pytest.raises(ValueError, match=message):
        EVEForecaster(**tiny | {"epochs": 1}).cross_validation(frame, **options)


def test_evaluation_scores_the_rows_after_the_fit_alone(fitted, frame):
    scores = fitted.evaluate(frame)
    assert scores["windows"] == 2 * (48 - 6 + 1)
    assert fitted.evaluate(frame, step=6)["windows"] == 2 * 8
    # earlier rows serve as context alone: without those beyond it, nothing changes
    context = frame[frame.groupby("unique_id").cumcount() >= 240 - 48 - 24]
    assert fitted.evaluate(context) == scores


def test_evaluation_ends_with_the_test_rows(fitted, make_waves):
    """A longer frame of the same series is scored on the rows that the fit held out."""
    longer = make_waves(rows=300)
    same = fitted.evaluate(longer[longer["ds"] <= make_waves()["ds"].max()])
    assert fitted.evaluate(longer) == same


def test_without_test_rows_all_that_follows_is_scored(frame, tiny, make_waves):
    forecaster = EVEForecaster(**tiny | {"epochs": 1}).fit(frame)
    with pytest.raises(DataError, match="no window to score"):
        forecaster.evaluate(frame)
    longer = make_waves(rows=300)
    assert forecaster.evaluate(longer)["windows"] == 2 * (60 - 6 + 1)


def test_every_window_of_a_new_series_is_scored(fitted, make_waves):
    new = make_waves(series=1, rows=100).assign(unique_id="new")
    assert fitted.evaluate(new)["windows"] == 100 - 24 - 6 + 1


def test_evaluation_by_hand(fitted, frame):
    scores = fitted.evaluate(frame, step=6)
    cutoffs = sorted(frame["ds"].unique())[240 - 48 - 1 : 240 - 6 : 6]
    forecasts = by_hand(fitted, frame, cutoffs).merge(frame, on=["unique_id", "ds"])
    error = forecasts["y"] - forecasts["EVE"]
    assert scores["raw"]["mse"] == pytest.approx(float((error**2).mean()), rel=1e-4)
    assert scores["raw"]["mae"] == pytest.approx(float(error.abs().mean()), rel=1e-4)
    inside = forecasts["y"].between(forecasts["EVE-lo-80"], forecasts["EVE-hi-80"])
    assert scores["coverage_80"] == pytest.approx(float(inside.mean()))
    train = frame[frame.groupby("unique_id").cumcount() < 240 - 48 - 24]
    sd = forecasts["unique_id"].map(train.groupby("unique_id")["y"].std(ddof=0))
    assert scores["mse"] == pytest.approx(float(((error / sd) ** 2).mean()), rel=1e-4)


def test_evaluation_with_its_calibration(fitted, frame):
    found = fitted.evaluation(frame)
    assert found.windows == fitted.evaluate(frame)["windows"]
    assert sum(found.calibration["pit"]) == pytest.approx(1.0)
    assert len(found.calibration["levels"]) == len(found.calibration["coverage"])


# -- the fit ---------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(fitted, frame, tiny):
    torch.rand(3)
    again = EVEForecaster(**tiny).fit(frame, test_size=48)
    assert weights(again) == weights(fitted)
    assert again.outcome.best_score == fitted.outcome.best_score
    other = EVEForecaster(**tiny, seed=1).fit(frame, test_size=48)
    assert weights(other) != weights(fitted)


def test_in_bfloat16_it_learns_about_the_same(fitted, frame, tiny):
    half = EVEForecaster(**{**tiny, "precision": "bf16-mixed"}).fit(frame)
    assert {value.dtype for value in half.model.network.parameters()} == {torch.float32}
    assert weights(half) != weights(fitted)
    one, other = values(half.predict(level=[80])), values(fitted.predict(level=[80]))
    assert np.isfinite(one).all()
    assert np.abs(one - other).max() < 0.1 * np.ptp(other)


@pytest.mark.slow
# the compiler looks at .grad of what it traces, and torch warns of that
@pytest.mark.filterwarnings("default:The .grad attribute of a Tensor:UserWarning")
def test_compiled_it_learns_the_same(frame, tiny):
    options = {**tiny, "encoder": "linear", "features": "window", "dropout": 0.0, "epochs": 1}
    one, other = (
        EVEForecaster(**{**options, "compile": compiled}).fit(frame) for compiled in (False, True)
    )
    # the draws of z are not those of eager torch, and do not reach the forecast
    np.testing.assert_allclose(
        values(one.predict(level=[80])), values(other.predict(level=[80])), rtol=1e-3, atol=1e-3
    )


def test_fitting_leaves_the_callers_random_state(frame, tiny):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    forecaster = EVEForecaster(**tiny | {"epochs": 1}).fit(frame, test_size=12)
    forecaster.sample(2)
    forecaster.evaluate(frame)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_fit_does_not_see_test_rows(fitted, frame, tiny):
    changed = frame.copy()
    changed.loc[changed.groupby("unique_id").cumcount() >= 240 - 48, "y"] = 1e6
    assert weights(EVEForecaster(**tiny).fit(changed, test_size=48)) == weights(fitted)


def test_fitting_leaves_the_frame_as_it_was(tiny, make_waves):
    frame = make_waves()
    EVEForecaster(**tiny | {"epochs": 1}).fit(frame).predict(frame)
    pd.testing.assert_frame_equal(frame, make_waves())


def test_epochs_are_told(frame, tiny):
    seen = []
    forecaster = EVEForecaster(**tiny).fit(frame, on_epoch=seen.append)
    assert [record.epoch for record in seen] == [1, 2]
    assert forecaster.outcome.epochs == 2
    assert forecaster.outcome.best_score == min(r.scores["val_joint_nll"] for r in seen)


def test_sizes_of_the_split(frame, tiny):
    forecaster = EVEForecaster(**tiny | {"epochs": 1})
    forecaster.fit(frame, train_size=100, val_size=30, test_size=20)
    assert any("unused" in note for note in forecaster.notes)
    assert forecaster.evaluate(frame)["windows"] == 2 * (20 - 6 + 1)
    with pytest.raises(DataError, match="too short"):
        forecaster.fit(frame, train_size=220, val_size=30)


def test_health_tells_of_every_unit(fitted):
    found = fitted.health()
    assert len(found.units) == 3
    assert sum(found.counts.values()) == 3
    assert "unknown" not in found.counts
    assert np.isfinite(found.units[["kl", "rate", "use", "dynamic_use"]].to_numpy()).all()


def test_a_plot_has_the_forecast_of_one_series(fitted):
    shown = [
        [float(y) for trace in fitted.plot(series, paths=3).data for y in trace.y if y == y]
        for series in ("s0", "s1", None)
    ]
    assert shown[0] == shown[2] != shown[1]
    mean = fitted.predict()["EVE"].iloc[-1]
    assert any(abs(y - mean) < 1e-6 for y in shown[1])
    assert len(fitted.plot(paths=3).data) - len(fitted.plot(paths=1).data) <= 2
    with pytest.raises(DataError, match=r"no series 'nobody'; there are 's0', 's1'"):
        fitted.plot("nobody")


def test_what_takes_a_fit_says_so(tiny, frame):
    forecaster = EVEForecaster(**tiny)
    assert "not fitted" in repr(forecaster)
    for ask in (
        forecaster.predict,
        forecaster.sample,
        forecaster.health,
        forecaster.plot,
        lambda: forecaster.aggregate("sum"),
        lambda: forecaster.evaluate(frame),
        lambda: forecaster.save("nowhere"),
    ):
        with pytest.raises(NotFittedError, match=r"call fit\(df\), or load a model"):
            ask()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon is 0"),
        ({"horizon": -1}, "horizon is -1"),
        ({"input_size": 0}, "input_size is 0"),
        ({"units": 0}, "units is 0, expected at least 1"),
        ({"latent_dim": 0}, "latent_dim is 0"),
        ({"hidden": 0}, "hidden is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"beta": -1.0}, "beta is -1.0"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"network": "mlp"}, "network is 'mlp'"),
        ({"control": "magic"}, "control is 'magic'"),
        ({"scale": "big"}, "scale is 'big'"),
        ({"prior": "flat"}, "prior is 'flat'"),
        ({"likelihood": "cauchy"}, "likelihood is 'cauchy'"),
        ({"location": "middle"}, "location is 'middle'"),
        ({"missing": "zero"}, "missing is 'zero'"),
        ({"duplicates": "drop"}, "duplicates is 'drop'"),
        ({"exogenous": "use"}, "exogenous is 'use'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"patience": -1}, "patience is -1"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"devices": 0}, "devices is 0"),
        ({"precision": "8"}, "precision is '8'"),
        ({"units": 4.0}, "units is 4.0, expected a whole number, at least 1"),
        ({"units": True}, "units is True, expected a whole number"),
        ({"hidden": 16.0}, "hidden is 16.0, expected a whole number"),
        ({"batch_size": 8.5}, "batch_size is 8.5, expected a whole number"),
        ({"epochs": 1.5}, "epochs is 1.5, expected a whole number"),
        ({"epochs": "two"}, "epochs is 'two', expected a whole number"),
        ({"devices": 1.5}, "devices is 1.5, expected a whole number"),
        ({"seed": "a"}, "seed is 'a', expected a whole number"),
        ({"seed": 2**63}, "seed is 9223372036854775808, expected .* from 0 to 9223372036854775807"),
        ({"learning_rate": "a"}, "learning_rate is 'a', expected a number"),
        ({"beta": "a"}, "beta is 'a', expected a number"),
        ({"dropout": "a"}, "dropout is 'a', expected a number"),
        ({"control_options": [1]}, "control settings are .1., expected a mapping"),
    ],
)
def test_wrong_options_are_refused_before_any_data(tiny, options, message):
    with pytest.raises(ValueError, match=message) as error:
        EVEForecaster(**tiny | options)
    assert "\n" not in str(error.value)


def test_whole_numbers_of_numpy_are_whole_numbers(tiny):
    names = ("horizon", "input_size", "units", "hidden", "epochs", "batch_size")
    given = {name: np.int64(tiny[name]) for name in names} | {"seed": np.int32(3)}
    config = EVEForecaster(**tiny | given).config
    assert all(type(getattr(config, name)) is int for name in given)
    assert config == EVEForecaster(**tiny | {"seed": 3}).config


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, d: f.predict(level=[0.8]), "expected per cent"),
        (lambda f, d: f.predict(level=None), "level is None, expected per cent"),
        (lambda f, d: f.predict(level=["80"]), "level is '80', expected per cent"),
        (lambda f, d: f.predict(level=0.8), "level is 0.8, expected per cent"),
        (lambda f, d: f.predict(level=[99.9999999, 99.99999999]), "both be called 100"),
        (lambda f, d: f.evaluate(d, step=1.5), "step is 1.5, expected a whole number"),
        (lambda f, d: f.plot(paths=-1), "paths is -1"),
        (lambda f, d: f.sample(1.5), "n is 1.5, expected a whole number"),
        (lambda f, d: f.sample("3"), "n is '3', expected a whole number"),
        (lambda f, d: f.sample(2, to="no/x.parquet"), "there is no folder 'no': make it"),
        (lambda f, d: f.sample(0), "n is 0"),
        (lambda f, d: f.aggregate("mode"), "statistic is 'mode'"),
        (lambda f, d: f.aggregate("sum", over=7), "7 steps, expected from 1 to the horizon of 6"),
        (lambda f, d: f.evaluate(d, step=0), "step is 0"),
        (lambda f, d: f.predict(d.assign(temperature=1.0)), "exogenous columns 'temperature'"),
        (lambda f, d: f.predict(d.rename(columns={"y": "value"})), "no column 'y'"),
        (lambda f, d: f.predict(d.to_numpy()), "expected a pandas or polars frame"),
        (lambda f, d: f.predict(d.head(0)), "no rows|empty"),
        (lambda f, d: f.predict(pd.concat([d, d.head(1)])), "duplicate|twice"),
        (lambda f, d: f.predict(d.assign(y=np.inf)), "infinite"),
        (lambda f, d: f.predict(d.assign(y="many")), "not a number|numbers"),
        (lambda f, d: f.fit(d, val_size=0), "no validation window"),
        (lambda f, d: f.fit(d, test_size=-1), "test_size is -1"),
        (lambda f, d: f.fit(d.groupby("unique_id").head(20)), "too short"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(fitted, frame, call, message):
    before = weights(fitted)
    with pytest.raises(ValueError, match=message) as error:
        call(fitted, frame)
    assert "\n" not in str(error.value)
    assert weights(fitted) == before


def test_a_panel_is_taken_as_it_is(fitted, frame):
    assert np.array_equal(values(fitted.predict(Panel.from_frame(frame))), values(fitted.predict()))
