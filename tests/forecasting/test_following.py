"""Intervals that follow recent errors: what moves them, what cannot, and what users are told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from vneuron import EVEForecaster
from vneuron.forecasting.comparison import read_field
from vneuron.forecasting.data.errors import DataError
from vneuron.forecasting.data.flat import FlatSeries
from vneuron.forecasting.data.place import Place
from vneuron.forecasting.data.split import RowRange
from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.following import DEFAULT, FollowedSpread, Rates, log_scale_score
from vneuron.forecasting.laws.mixture import MixtureTrajectory
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.recent_errors import RecentErrors, recent_errors
from vneuron.training.run_folder import RunFolder

L, H = 4, 6


def flat_of(
    values: list[np.ndarray],
    times: list[np.ndarray] | None = None,
    identity: list[int] | None = None,
) -> FlatSeries:
    """Series end to end; NaN is missing; stamps 0, 1, ... unless given."""
    y = np.concatenate(values)
    observed = ~np.isnan(y)
    stamps = [np.arange(len(own)) for own in values] if times is None else times
    return FlatSeries(
        torch.from_numpy(np.nan_to_num(y).astype(np.float32)),
        None if observed.all() else torch.from_numpy(observed),
        np.concatenate([[0], np.cumsum([len(own) for own in values])]),
        tuple(f"s{i}" for i in range(len(values))),
        times=torch.from_numpy(np.concatenate(stamps).astype(np.int64)),
        identity=None if identity is None else torch.tensor(identity),
    )


def standard(batch: WindowBatch, df: float | None = None) -> TrajectoryDistribution:
    """A forecast of nought with scale one, whatever the window."""
    shape = (len(batch.context), H)
    return TrajectoryDistribution(
        torch.zeros(shape), torch.ones(shape), None if df is None else torch.tensor(df)
    )


def followed(values, *, first=L, times=None, identity=None, rates=DEFAULT, df=None):
    flat = flat_of(values, times, identity)
    lengths = np.array([len(own) for own in values])
    rows = RowRange(np.full(len(values), first), lengths)
    return FollowedSpread.measure(lambda b: standard(b, df), flat, rows, L, H, rates)


def factor(found: FollowedSpread, time: int, series: int = 0) -> float:
    one = torch.tensor([time])
    return float(found.factor(Place(torch.tensor([series]), one, torch.ones_like(one))))


def noise(rows: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=rows)


@pytest.mark.parametrize("df", [None, 3.0, 7.0])
@pytest.mark.parametrize("x", [0.0, 0.7, -3.0])
def test_the_score_is_that_of_the_log_scale_over_its_information(df, x):
    law = stats.norm() if df is None else stats.t(df)

    def log_density(log_scale, y):
        return law.logpdf(y * np.exp(-log_scale)) - log_scale

    def slope(y):
        return (log_density(1e-5, y) - log_density(-1e-5, y)) / 2e-5

    information, _ = integrate.quad(lambda y: slope(y) ** 2 * law.pdf(y), -np.inf, np.inf)
    assert log_scale_score(np.array([x]), df)[0] == pytest.approx(slope(x) / information, rel=1e-4)


@pytest.mark.parametrize("df", [None, 4.0, 7.0, 100.0])
def test_no_single_error_moves_the_factor_far(df):
    found = log_scale_score(np.array([1e9, -1e9]), df)
    assert found == pytest.approx(3.5 if df == 4.0 else 5.0)


def test_a_spike_widens_no_more_than_a_bound():
    values = noise(200)
    values[150] = 1e9
    found = followed([values])
    assert factor(found, 150) < 1.3 * factor(found, 149)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("df", [None, 7.0])
def test_the_factor_goes_to_what_errors_are(true, df):
    draws = np.random.default_rng(3).standard_t(7, size=6000) if df else noise(6000, 3)
    # without forgetting, which holds a factor a little nearer to one
    found = followed([true * draws], df=df, rates=Rates(half_life=1e6, own_rate=0.0))
    late = np.mean([factor(found, t) for t in range(3000, 6000, 50)])
    assert late == pytest.approx(true, rel=0.06)


def test_forgetting_holds_the_factor_nearer_to_one():
    found = followed([noise(6000, 3, 2.5)], rates=Rates(half_life=2.0, own_rate=0.0))
    assert 1.1 < np.mean([factor(found, t) for t in range(3000, 6000, 50)]) < 2.2


def test_before_any_error_the_factor_is_one_and_after_the_last_it_stays():
    found = followed([noise(80, scale=5.0)], first=40)
    assert factor(found, 39) == 1.0
    assert factor(found, 79) > 1.0
    assert factor(found, 10**6) == factor(found, 79)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(20, 70),
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.integers(0, 1),
)
def test_only_what_is_known_by_then_counts(seed, time, other, where):
    values = [noise(80, seed, 2.0), noise(80, seed + 1)]
    changed = [own.copy() for own in values]
    changed[where][time + 1 :] = other
    before, after = followed(values), followed(changed)
    for series in (0, 1):
        assert factor(before, time, series) == factor(after, time, series)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([None, 5.0]))
def test_it_is_the_recursion_done_by_hand(seed, df):
    """Every origin, every target, one number at a time."""
    rng = np.random.default_rng(seed)
    values = [2.0 * rng.normal(size=50), rng.normal(size=40), rng.normal(size=50)]
    values[2][rng.random(50) < 0.2] = np.nan
    values[2][:L] = 0.0
    found = followed(values, df=df, identity=[2, 0, 1])
    level, beside = 0.0, [0.0, 0.0, 0.0]
    for t in range(50):
        means = {}
        for series, own in enumerate(values):
            # as many forecasts of this row as started before it, H of them at most
            starts = [s for s in range(L - 1, t) if t - s <= H]
            if t >= len(own) or np.isnan(own[t]) or not starts:
                continue
            x = np.full(len(starts), own[t]) / np.exp(level + beside[series])
            means[series] = log_scale_score(x.astype(np.float64), df).mean()
        if means:
            of_all = np.mean(list(means.values()))
            level = 0.5 ** (1 / (8 * H)) * level + 0.2 / H * of_all
            for series, mean in means.items():
                kept = 0.5 ** (1 / (2 * H)) * beside[series]
                beside[series] = kept + 0.1 / H * (mean - of_all)
        for series, at_fit in enumerate([2, 0, 1]):
            expected = np.exp(level + beside[series])
            assert factor(found, t, at_fit) == pytest.approx(expected, rel=1e-5)


def test_a_series_that_changes_alone_is_followed_alone():
    values = [noise(600, seed) for seed in range(4)]
    values[2][300:] *= 4.0
    found = followed(values)
    factors = [factor(found, 599, series) for series in range(4)]
    assert factors[2] > 1.5 * max(factors[0], factors[1], factors[3])


def test_a_series_new_to_the_fit_has_the_common_factor():
    values = [noise(300, 0, 3.0), noise(300, 1, 3.0), noise(300, 2, 0.5)]
    found = followed(values, identity=[1, 0, -1])
    assert factor(found, 299, -1) == np.exp(found.common[-1])
    assert factor(found, 299, 7) == np.exp(found.common[-1])
    assert factor(found, 299, 1) != factor(found, 299, -1)


def test_series_on_grids_of_their_own_are_followed_no_faster():
    rows = 3000
    same = [noise(rows, 0, 2.0), noise(rows, 1, 2.0)]
    apart = followed(same, times=[2 * np.arange(rows), 2 * np.arange(rows) + 1])
    together = followed(same)
    assert len(apart.stamps) > 1.9 * len(together.stamps)
    for row in (500, 1500, 2900):
        assert factor(apart, 2 * row + 1) == pytest.approx(factor(together, row), rel=0.15)


def test_rows_of_the_fit_do_not_count():
    values = noise(200, 0)
    values[:100] *= 100.0
    loud, quiet = followed([values], first=100), followed([noise(200, 0)], first=100)
    assert factor(loud, 199) == factor(quiet, 199)


@pytest.mark.parametrize("rows", [0, 1, L, L + 1])
def test_too_short_a_series_says_nothing(rows):
    found = followed([noise(rows), noise(60, 1, 4.0)])
    assert factor(found, 59, 1) > 1.0
    assert factor(found, 59, 0) == pytest.approx(np.exp(found.common[-1]), rel=0.3)


def test_nothing_to_follow_is_a_factor_of_one():
    found = followed([noise(L)])
    assert found.origins == 0
    assert factor(found, 10) == 1.0


def test_a_context_of_nothing_but_gaps_is_no_forecast():
    values = noise(60)
    values[:30] = np.nan
    assert (
        recent_errors(
            standard, flat_of([values]), RowRange(np.array([L]), np.array([60])), L, H
        ).stamps.min()
        > 30
    )


def test_errors_are_bounded_by_sparser_origins_and_then_by_fewer_series(monkeypatch):
    module = "vneuron.forecasting.recent_errors.MOST_ERRORS"

    def count(most: int) -> RecentErrors:
        monkeypatch.setattr(module, most)
        values = [noise(200, seed) for seed in range(10)]
        rows = RowRange(np.full(10, L), np.full(10, 200))
        return recent_errors(standard, flat_of(values), rows, L, H)

    every, sparse, few = count(10**6), count(5000), count(150)
    assert len(every.residual) > 10_000
    assert len(sparse.residual) <= 5000
    assert len(np.unique(sparse.series)) == 10
    assert len(few.residual) <= 150 * 1.5
    assert 1 < len(np.unique(few.series)) < 10
    assert few.stamps.max() == sparse.stamps.max() == 199


def test_series_without_times_cannot_be_followed():
    flat = FlatSeries(torch.zeros(20), None, np.array([0, 20]), ("a",))
    with pytest.raises(DataError, match="no times"):
        recent_errors(standard, flat, RowRange(np.array([L]), np.array([20])), L, H)


@pytest.mark.parametrize("df", [None, 5.0])
def test_a_wider_t_has_its_deviations_times_the_factor(df):
    generator = torch.Generator().manual_seed(0)
    law = TrajectoryDistribution(
        torch.randn(3, H, generator=generator, dtype=torch.float64),
        torch.rand(3, H, generator=generator, dtype=torch.float64) + 0.1,
        None if df is None else torch.tensor(df, dtype=torch.float64),
        torch.randn(H, 2, generator=generator, dtype=torch.float64),
        torch.rand(3, 2, generator=generator, dtype=torch.float64),
    )
    check_wider(law)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("df", [None, 5.0])
def test_a_wider_mixture_has_its_deviations_times_the_factor(df, weighted):
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 4, generator=generator, dtype=torch.float64).log_softmax(1)
    law = MixtureTrajectory(
        torch.randn(3, 4, H, generator=generator, dtype=torch.float64),
        torch.rand(3, H, generator=generator, dtype=torch.float64) + 0.1,
        None if df is None else torch.tensor(df, dtype=torch.float64),
        weights if weighted else None,
    )
    check_wider(law)


def check_wider(law):
    """Densities, quantiles and sums by a change of variables about the mean."""
    by = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    wide, mean = law.widen(by), torch.from_numpy(law.steps().mean())
    y = mean + torch.randn(3, H, dtype=torch.float64)
    there = mean + by[:, None] * (y - mean)
    torch.testing.assert_close(wide.joint_nll(there), law.joint_nll(y) + H * by.log())
    torch.testing.assert_close(wide.sd(), by[:, None] * law.sd())
    torch.testing.assert_close(wide.unit_share(), law.unit_share())
    np.testing.assert_allclose(wide.steps().mean(), mean)
    weights = torch.ones(H, dtype=torch.float64)
    own, wider = law.functional(weights), wide.functional(weights)
    expected = own.mean() + by.numpy() * (own.quantile(0.9) - own.mean())
    np.testing.assert_allclose(wider.quantile(0.9), expected)


# -- through the public API ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def louder(frame):
    """The fitted frame's rows, of which the held-out ones move three times as much."""
    changed = frame.copy()
    late = changed.groupby("unique_id").cumcount() >= 192
    centre = changed.groupby("unique_id")["y"].transform("mean")
    changed.loc[late, "y"] = centre + 3.0 * (changed["y"] - centre)
    return changed


def test_intervals_follow_and_means_stay(fitted, louder):
    plain, follower = fitted.predict(louder), fitted.following(louder)
    found = follower.predict(louder)
    pd.testing.assert_frame_equal(found[["unique_id", "ds"]], plain[["unique_id", "ds"]])
    for name in ("EVE", "EVE-median"):
        np.testing.assert_allclose(found[name], plain[name])
    by = follower.spread.set_index("unique_id")["spread"]
    assert (by > 1.05).all()
    ratio = (found["EVE-hi-80"] - found["EVE"]) / (plain["EVE-hi-80"] - plain["EVE"])
    np.testing.assert_allclose(ratio, found["unique_id"].map(by), rtol=1e-5)


def test_every_answer_has_that_spread(fitted, louder):
    follower = fitted.following(louder)
    by = follower.spread.set_index("unique_id")["spread"]
    plain, found = fitted.aggregate("sum", df=louder), follower.aggregate("sum")
    ratio = (found["EVE-hi-95"] - found["EVE"]) / (plain["EVE-hi-95"] - plain["EVE"])
    np.testing.assert_allclose(ratio, found["unique_id"].map(by), rtol=1e-5)
    few, many = fitted.sample(400, louder), follower.sample(400)
    spread = (
        many.groupby(["unique_id", "ds"])["y"].std() / few.groupby(["unique_id", "ds"])["y"].std()
    )
    expected = spread.index.get_level_values(0).map(by)
    np.testing.assert_allclose(spread, expected, rtol=1e-4)
    known = louder.groupby("unique_id").tail(1)
    known = known.assign(ds=known["ds"] + pd.Timedelta("1h"))
    given = fitted.condition(observed=known, df=louder).predict()
    widened = follower.condition(observed=known).predict()
    assert ((widened["EVE-hi-80"] - widened["EVE-lo-80"]).tail(5)
            > (given["EVE-hi-80"] - given["EVE-lo-80"]).tail(5)).all()  # fmt: skip


def test_it_goes_on_from_the_last_row(fitted, louder):
    follower = fitted.following(louder)
    pd.testing.assert_frame_equal(follower.predict(), follower.predict(louder))


def test_scores_are_better_where_the_spread_has_changed(fitted, louder):
    before, after = fitted.evaluate(louder), fitted.following(louder).evaluate(louder)
    assert after["mse"] == pytest.approx(before["mse"])
    assert after["windows"] == before["windows"]
    assert after["nll"] < before["nll"]
    assert before["coverage_80"] < after["coverage_80"] <= 0.85


def test_the_fitted_forecaster_stays_as_it_is(fitted, louder):
    before = fitted.predict(louder)
    fitted.following(louder)
    pd.testing.assert_frame_equal(fitted.predict(louder), before)
    assert (fitted.spread["spread"] == 1.0).all()


def test_without_newer_rows_intervals_are_as_fitted(fitted, frame):
    early = frame[frame.groupby("unique_id").cumcount() < 192]
    follower = fitted.following(early)
    assert (follower.spread["spread"] == 1.0).all()
    pd.testing.assert_frame_equal(follower.predict(), fitted.predict(early))


def test_following_twice_is_following_once(fitted, louder):
    once = fitted.following(louder)
    pd.testing.assert_frame_equal(once.following(louder).predict(), once.predict())


def test_it_is_not_saved_without_its_rows(fitted, louder, tmp_path):
    with pytest.raises(ValueError, match="save the fitted one"):
        fitted.following(louder).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_polars_in_polars_out(fitted, louder):
    pl = pytest.importorskip("polars")
    follower = fitted.following(pl.from_pandas(louder))
    assert isinstance(follower.spread, pl.DataFrame)
    assert follower.spread.columns == ["unique_id", "spread"]


def test_counts_have_no_spread_to_scale(make_waves, tiny):
    counts = make_waves(series=1).assign(y=lambda f: f["y"].abs().round())
    forecaster = EVEForecaster(**{**tiny, "likelihood": "negbinomial", "epochs": 1})
    forecaster.fit(counts, test_size=48)
    with pytest.raises(ValueError, match="counts have no spread"):
        forecaster.following(counts)


def test_the_reference_network_is_followed_too(frame, louder, tiny):
    forecaster = EVEForecaster(**{**tiny, "network": "reference", "units": 4, "epochs": 1})
    forecaster.fit(frame, test_size=48)
    follower = forecaster.following(louder)
    by = follower.spread["spread"].to_numpy()
    assert np.isfinite(by).all()
    assert (by != 1.0).all()
    found, plain = follower.predict(uncertainty=True), forecaster.predict(louder, uncertainty=True)
    ratio = found["EVE-noise-sd"] / plain["EVE-noise-sd"]
    np.testing.assert_allclose(ratio, np.repeat(by, 6), rtol=1e-5)


def test_all_networks_of_a_run_are_followed(vneuron_run, louder):
    field = read_field(RunFolder.open(vneuron_run))
    panel = field.eve.memory.context
    assert all(m.followed is not None for m in field.following(panel).models.values())
    assert all(m.followed is None for m in field.models.values())


@pytest.fixture(scope="module")
def vneuron_run(tmp_path_factory, frame, tiny):
    path = tmp_path_factory.mktemp("run") / "run"
    EVEForecaster(**tiny).fit(frame, test_size=48, run_dir=path)
    return path
