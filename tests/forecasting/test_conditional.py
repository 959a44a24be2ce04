"""`condition`: what users give, in their frames and units, and what comes back."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from vneuron.forecasting import EVEForecaster


@pytest.fixture(scope="module")
def ahead(fitted):
    """The forecast's own frame: two series, six steps."""
    return fitted.predict(level=[80])


def observed_of(ahead, steps=2, shift=0.5):
    first = ahead.groupby("unique_id", sort=False).head(steps)
    return first[["unique_id", "ds"]].assign(y=first["EVE"] + shift)


def rest_of(frame, steps=2):
    return frame.groupby("unique_id", sort=False).tail(6 - steps).reset_index(drop=True)


def width(frame):
    return (frame["EVE-hi-80"] - frame["EVE-lo-80"]).to_numpy()


def test_observed_steps_are_certain_and_the_others_follow(fitted, ahead):
    given = observed_of(ahead)
    known = fitted.condition(observed=given)
    found = known.predict(level=[80])
    assert list(found.columns) == list(ahead.columns)
    first = found.groupby("unique_id", sort=False).head(2)
    for column in ("EVE", "EVE-lo-80", "EVE-hi-80"):
        np.testing.assert_allclose(first[column], given["y"])
    # units tie neighbouring steps together, so what came above the forecast lifts what follows
    third = found.groupby("unique_id").nth(2)["EVE"].to_numpy()
    assert (third > ahead.groupby("unique_id").nth(2)["EVE"].to_numpy()).all()


def test_answers_agree_with_each_other(fitted, ahead):
    known = fitted.condition(observed=observed_of(ahead), total={"s0": 3.0})
    sums = known.aggregate("sum", level=[80])
    assert sums["EVE"][0] == pytest.approx(3.0)
    assert width(sums)[0] == pytest.approx(0.0, abs=1e-5)
    assert width(sums)[1] > 0.1
    paths = known.sample(400, seed=1)
    by_path = paths.groupby(["unique_id", "path"])["y"].sum()
    np.testing.assert_allclose(by_path["s0"], 3.0)
    found = known.predict(level=[80])
    means = paths.groupby(["unique_id", "ds"])["y"]
    error = means.std() / np.sqrt(400) + 1e-9
    assert (np.abs(means.mean().to_numpy() - found["EVE"]) < 4.5 * error.to_numpy()).all()
    peak = known.aggregate("max", over=3, level=[80])
    assert len(peak) == 4
    assert len(known.plot("s1").data) > 0


def test_sums_over_spans_as_aggregate_writes_them(fitted):
    blocks = fitted.aggregate("sum", over=3)
    spans = blocks[["unique_id", "ds", "ds_end"]].assign(y=blocks["EVE"] + 1.0)
    again = fitted.condition(total=spans).aggregate("sum", over=3)
    np.testing.assert_allclose(again["EVE"], blocks["EVE"] + 1.0)
    whole = fitted.condition(total=7.5).aggregate("sum")
    np.testing.assert_allclose(whole["EVE"], 7.5)


def test_weighted_sums(fitted):
    weights = np.array([[1.0, -1.0, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5, 0]])
    paths = fitted.condition(linear=(weights, [0.25, 1.0])).sample(3)
    y = paths["y"].to_numpy().reshape(2, 3, 6)
    np.testing.assert_allclose(y @ weights.T, np.broadcast_to([0.25, 1.0], (2, 3, 2)))


def test_in_parts_or_at_once(fitted, ahead):
    both = observed_of(ahead, 3)
    at_once = fitted.condition(observed=both).predict()
    parts = fitted.condition(observed=both.iloc[::3]).condition(observed=both).predict()
    pd.testing.assert_frame_equal(at_once, parts)


def test_what_lies_impossibly_far_off_tells_no_more_than_the_limit(fitted, ahead):
    far = observed_of(ahead, shift=1e4)
    found = fitted.condition(observed=far)
    rest = rest_of(found.predict(level=[80]))
    free, law = rest_of(ahead), rest_of(fitted.condition(observed=far, outlier=np.inf).predict())
    # the law itself takes the others along, thousands off and as wide
    assert (law["EVE"] - free["EVE"]).max() > 100
    assert np.abs(rest["EVE"] - free["EVE"]).max() < 20
    assert (width(rest) < 20 * width(free)).all()
    np.testing.assert_allclose(found.predict()["EVE"][:2], far["y"][:2])
    # as if they lay at the limit, and no further than those that lie still further off
    path = found.before[0].path
    at = (path.loc + 8.0 * path.scale)[:, :2].numpy().ravel()
    limit = fitted.condition(observed=far.assign(y=at), outlier=np.inf, scale_weight=0.1)
    pd.testing.assert_frame_equal(rest, rest_of(limit.predict(level=[80])))
    further = fitted.condition(observed=observed_of(ahead, shift=1e7)).predict(level=[80])
    pd.testing.assert_frame_equal(rest, rest_of(further))
    # in parts as at once: far off is measured from the forecast with nothing known
    parts = fitted.condition(observed=far.iloc[::2]).condition(observed=far).predict(level=[80])
    pd.testing.assert_frame_equal(parts, found.predict(level=[80]))
    (note,) = found.notes
    assert note.startswith("4 observed values further than 8 scales from the forecast tell ")
    assert f"first series 's0', step 1 of the forecast: {far['y'][0]:.9g} is " in note
    assert fitted.condition(observed=far, outlier=np.inf).notes == ()
    given = observed_of(ahead)
    assert fitted.condition(observed=given).notes == ()
    pd.testing.assert_frame_equal(
        fitted.condition(observed=given).predict(),
        fitted.condition(observed=given, outlier=np.inf, scale_weight=0.1).predict(),
    )


@pytest.mark.parametrize("scales", [0.0, -1.0, np.nan])
def test_a_limit_has_to_be_positive(fitted, scales):
    with pytest.raises(ValueError, match=r"outlier is .*, expected the positive number of scales"):
        fitted.condition(total=3.0, outlier=scales)


def test_bounds_hold_and_are_judged(fitted, ahead):
    low, high = ahead["EVE"].min() - 2.0, ahead["EVE"].max() + 0.2
    known = fitted.condition(observed=observed_of(ahead, 1, -0.1), bounds=(low, high), seed=3)
    paths = known.sample(500)
    assert paths["y"].between(low, high).all()
    chances = known.probability()
    assert list(chances.columns) == ["unique_id", "probability", "effective_draws"]
    assert ((chances["probability"] > 0) & (chances["probability"] <= 1)).all()
    found = known.predict(level=[80])
    assert found["EVE-hi-80"].max() <= high
    again = fitted.condition(observed=observed_of(ahead, 1, -0.1), bounds=(low, high), seed=3)
    pd.testing.assert_frame_equal(found, again.predict(level=[80]))
    # the probability is that of drawing such paths without the bounds
    free = fitted.condition(observed=observed_of(ahead, 1, -0.1)).sample(4000)
    inside = free["y"].between(low, high).groupby([free["unique_id"], free["path"]]).all()
    share = inside.groupby("unique_id").mean().to_numpy()
    expected = chances["probability"].to_numpy()
    error = np.sqrt(share * (1 - share) * (1 / 4000 + 1 / 2000))
    assert (np.abs(share - expected) < 4.5 * error + 0.01).all()


def test_bounds_by_step_leave_others_open(fitted, ahead):
    one = ahead.iloc[[2]][["unique_id", "ds"]].assign(lower=ahead["EVE"][2], upper=np.nan)
    known = fitted.condition(bounds=one)
    y = known.sample(1000).pivot_table(index="path", columns=["unique_id", "ds"], values="y")
    assert y.iloc[:, 2].min() >= ahead["EVE"][2]
    assert y.iloc[:, 8].min() < ahead["EVE"][8]
    assert known.probability()["probability"].tolist() == pytest.approx([0.5, 1.0], abs=0.06)


def test_polars_in_and_out(make_waves, tiny):
    f = EVEForecaster(**tiny).fit(pl.from_pandas(make_waves()), test_size=48)
    ahead = f.predict()
    given = ahead.head(2).select("unique_id", "ds", pl.col("EVE").alias("y"))
    known = f.condition(observed=given, bounds=(-100.0, None))
    assert isinstance(known.predict(uncertainty=True), pl.DataFrame)
    assert known.probability().columns == ["unique_id", "probability", "effective_draws"]
    assert known.aggregate("ramp").height == 2


def test_one_series_needs_no_id(make_waves, tiny):
    f = EVEForecaster(**tiny).fit(make_waves(series=1), test_size=48)
    given = observed_of(f.predict()).drop(columns="unique_id")
    assert f.condition(observed=given).predict()["EVE"][0] == given["y"][0]


def test_newer_series(fitted, make_waves):
    newer = make_waves(rows=300, seed=4)
    ahead = fitted.predict(newer)
    known = fitted.condition(observed=observed_of(ahead), df=newer).predict()
    assert (known["ds"] == ahead["ds"]).all()
    assert known["EVE"][0] == pytest.approx(ahead["EVE"][0] + 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing to condition on"),
        ({"observed": 3}, "observed is a int, expected a pandas or polars frame"),
        ({"observed": pd.DataFrame({"ds": [1]})}, "no column 'unique_id', 'y' but 'ds'"),
        ({"total": {"s9": 1.0}}, "total names series 's9', which is not forecast"),
        ({"bounds": (5.0, 1.0)}, "the bounds are 5 to 1"),
        ({"bounds": (None, 1.0), "total": {"s1": 7.0}}, "a sum is known to be 7.*to 6"),
        ({"bounds": (1.0,)}, "bounds holds 1 parts"),
        ({"bounds": (np.nan, 5.0)}, "bounds is .nan, 5.0., expected numbers"),
        ({"total": np.nan}, "series 's0': a total is nan"),
        ({"total": {"s1": np.inf}}, "series 's1': a total is inf"),
        ({"linear": (np.ones((1, 5)), [1.0])}, "linear holds weights .*expected .sums, 6."),
        ({"linear": (np.full((1, 6), np.nan), [1.0])}, "not finite"),
        ({"linear": (np.ones((2, 6)), [1.0, 1.0])}, "says nothing new"),
        ({"linear": (np.ones((2, 6)), [1.0, 2.0])}, "contradicts.*a sum is 2, .*to be 1: correct"),
        ({"linear": (np.zeros((1, 6)), [5.0])}, "weights are all 0 is said to be 5"),
        ({"linear": 3}, "linear is 3, expected a pair of arrays"),
        ({"linear": ("a", [1.0])}, "linear is .'a', .* expected a pair"),
        ({"bounds": (np.inf, None)}, "the bounds are inf to inf"),
        ({"bounds": (None, -np.inf)}, "the bounds are -inf to -inf"),
        ({"bounds": (np.zeros(6), 3)}, "bounds is .array.*expected numbers.*a frame"),
        ({"bounds": ("a", None)}, "bounds is .'a'.*expected numbers"),
        ({"total": {"s0": None}}, "total of series 's0' is None, expected a number"),
        ({"bounds": (1e6, None)}, "series 's0'.*probability below 1e-12"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(fitted, given, message):
    with pytest.raises(ValueError, match=message):
        fitted.condition(**given)


def test_a_step_that_is_told_twice_is_refused(fitted, ahead):
    given = observed_of(ahead)
    twice = pd.concat([given, given.tail(1).assign(y=0.0)])
    with pytest.raises(
        ValueError, match="series 's1', 2026-01-11T01:00:00: observed holds .*twice"
    ):
        fitted.condition(observed=twice)
    bounds = twice.rename(columns={"y": "lower"})
    with pytest.raises(ValueError, match="bounds holds this step twice"):
        fitted.condition(bounds=bounds)


def test_what_contradicts_an_earlier_fact_is_told_with_both_values(fitted, ahead):
    known = fitted.condition(total=30.0)
    with pytest.raises(ValueError, match="a sum is 40, .*to be 30: correct"):
        known.condition(total=40.0)
    with pytest.raises(ValueError, match="says nothing new"):
        known.condition(total=30.0)
    given = observed_of(ahead)
    parts = np.array([[1.0, 1.0, 0, 0, 0, 0]])
    sums = given.groupby("unique_id")["y"].sum().to_numpy()[:, None]
    for facts in (given, given.head(2)):  # the second series may still have any sum
        with pytest.raises(ValueError, match="an equality contradicts what is known"):
            fitted.condition(observed=facts).condition(linear=(parts, sums + 1.0))
    with pytest.raises(ValueError, match="series 's0', step 1 of the forecast: observed is 9.*was"):
        fitted.condition(observed=given).condition(observed=given.assign(y=9.0))


def test_messages_show_the_series_own_clock(make_waves, tiny):
    frame = make_waves(series=1)
    frame["ds"] = frame["ds"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    f = EVEForecaster(**tiny | {"epochs": 1}).fit(frame)
    given = f.predict()[["ds"]].assign(y=1.0)
    with pytest.raises(ValueError, match=r"2026-01-11T09:00:00\+09:00: observed holds"):
        f.condition(observed=pd.concat([given, given.head(1)]))


def test_an_infinite_observation_is_refused(fitted, ahead):
    seen = ahead[["unique_id", "ds"]].head(2).assign(y=[1.0, np.inf])
    with pytest.raises(ValueError, match="observed is inf, expected a number"):
        fitted.condition(observed=seen)


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"])
def test_text_is_read_by_the_steps_of_the_forecast(fitted, ahead, form):
    seen = ahead[["unique_id", "ds"]].head(1).assign(y=1.0)
    given = seen.assign(ds=seen["ds"].dt.strftime(form))
    pd.testing.assert_frame_equal(
        fitted.condition(observed=given).predict(), fitted.condition(observed=seen).predict()
    )


def test_stamps_that_are_no_steps_are_refused(fitted, ahead, frame):
    with pytest.raises(ValueError, match="is no step of the forecast, which goes from 2026-01-11"):
        fitted.condition(observed=frame)
    given = observed_of(ahead)
    with pytest.raises(ValueError, match="another kind .datetime, zone UTC"):
        fitted.condition(observed=given.assign(ds=given["ds"].dt.tz_localize("UTC")))
    with pytest.raises(ValueError, match="bounds has columns.*expected lower or upper"):
        fitted.condition(bounds=given)
    with pytest.raises(ValueError, match="total has column 'ds' alone"):
        fitted.condition(total=given)
    spans = given.assign(ds_end=given["ds"].min())
    with pytest.raises(ValueError, match="total, row 1.*ds_end not before ds"):
        fitted.condition(total=spans)
    with pytest.raises(ValueError, match="the bounds are 100 to inf, the value"):
        fitted.condition(observed=given, bounds=(100.0, None))
    whole = ahead[["unique_id", "ds"]].assign(y=1.0)
    with pytest.raises(ValueError, match="every step of the sum known to be 3 is observed"):
        fitted.condition(observed=whole, total=3.0)


def test_the_reference_network_says_so(make_waves, tiny):
    options = tiny | {"network": "reference", "units": 8, "epochs": 1}
    f = EVEForecaster(**options).fit(make_waves(series=1), test_size=48)
    with pytest.raises(ValueError, match="one multivariate t.*Mixture.*network 'reference'"):
        f.condition(total=1.0)
