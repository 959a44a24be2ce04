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
from vneuron.forecasting.following.following import DEFAULT, Following, Rates
from vneuron.forecasting.following.level import LevelRates, location_score
from vneuron.forecasting.following.recent_errors import RecentErrors, recent_errors
from vneuron.forecasting.following.spread import SpreadRates, log_scale_score
from vneuron.forecasting.laws.mixture import MixtureTrajectory
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
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
    return Following.measure(lambda b: standard(b, df), flat, rows, L, H, rates)


STILL = LevelRates(evidence=np.inf)
"""Levels that never move."""


def at(found: Following, time: int, series: int = 0) -> tuple[float, float]:
    one = torch.tensor([time])
    shift, spread = found.at(Place(torch.tensor([series]), one, torch.ones_like(one)))
    return float(shift[0]), float(spread[0])


def factor(found: Following, time: int, series: int = 0) -> float:
    return at(found, time, series)[1]


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
    rates = Rates(STILL, SpreadRates(half_life=1e6, own_rate=0.0))
    found = followed([true * draws], df=df, rates=rates)
    late = np.mean([factor(found, t) for t in range(3000, 6000, 50)])
    assert late == pytest.approx(true, rel=0.06)


def test_forgetting_holds_the_factor_nearer_to_one():
    rates = Rates(STILL, SpreadRates(half_life=2.0, own_rate=0.0))
    found = followed([noise(6000, 3, 2.5)], rates=rates)
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
    values = [noise(80, seed, 2.0) + 2.0, noise(80, seed + 1)]
    changed = [own.copy() for own in values]
    changed[where][time + 1 :] = other
    before, after = followed(values), followed(changed)
    for series in (0, 1):
        assert at(before, time, series) == at(after, time, series)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from([None, 5.0]), st.sampled_from([-np.inf, 0.02, np.inf])
)
def test_it_is_the_recursion_done_by_hand(seed, df, evidence):
    """Every origin, every target, one number at a time."""
    rng = np.random.default_rng(seed)
    values = [1.0 + 2.0 * rng.normal(size=50), rng.normal(size=40), rng.normal(size=50) - 2.0]
    values[2][rng.random(50) < 0.2] = np.nan
    values[2][:L] = 0.0
    identity = [1, -1, 0]
    rates = Rates(LevelRates(evidence=evidence))
    found = followed(values, df=df, identity=identity, rates=rates)
    law = stats.norm() if df is None else stats.t(df)
    level, gain, common, beside = [0.0] * 3, 0.0, 0.0, [0.0] * 3
    known, used = {}, {}  # levels by origin and series, as they were known, and as they were used
    for t in range(L - 1, 50):
        scores, gains, spreads = {}, {}, {}
        for series, own in enumerate(values):
            # as many forecasts of this row as started before it, H of them at most
            starts = [s for s in range(L - 1, t) if t - s <= H]
            starts = [s for s in starts if not np.isnan(own[s - L + 1 : s + 1]).all()]
            if t >= len(own) or np.isnan(own[t]) or not starts:
                continue
            y = np.float64(np.float32(own[t]))
            scores[series] = location_score(np.array([y - level[series]]), df)[0]
            then = np.array([known[s, series] for s in starts])
            gains[series] = np.clip(law.logpdf(y - then) - law.logpdf(y), -5, 5).mean()
            moved = np.array([y - used[s, series] for s in starts])
            x = moved / np.exp(common + beside[series])
            spreads[series] = log_scale_score(x, df).mean()
        for series, score in scores.items():
            if identity[series] >= 0:
                level[series] = 0.5 ** (1 / (4 * H)) * level[series] + 0.3 / H * score
        told = [gains[series] for series in gains if identity[series] >= 0]
        if told:
            gain = 0.5 ** (1 / (8 * H)) * gain + np.mean(told) / H
        if spreads:
            of_all = np.mean(list(spreads.values()))
            common = 0.5 ** (1 / (8 * H)) * common + 0.2 / H * of_all
            for series, own_score in spreads.items():
                kept = 0.5 ** (1 / (2 * H)) * beside[series]
                beside[series] = kept + 0.1 / H * (own_score - of_all)
        for series in range(3):
            known[t, series] = level[series]
            used[t, series] = level[series] if gain > evidence else 0.0
        for series in (0, 2):
            shift, spread = at(found, t, identity[series])
            assert shift == pytest.approx(used[t, series], rel=1e-5, abs=1e-6)
            assert spread == pytest.approx(np.exp(common + beside[series]), rel=1e-5)


@pytest.mark.parametrize("df", [None, 3.0, 7.0])
@pytest.mark.parametrize("x", [0.0, 0.7, -1.5])
def test_the_level_moves_by_the_score_of_the_location_over_its_information(df, x):
    law = stats.norm() if df is None else stats.t(df)

    def slope(y):
        return -(law.logpdf(y + 1e-5) - law.logpdf(y - 1e-5)) / 2e-5

    information, _ = integrate.quad(lambda y: slope(y) ** 2 * law.pdf(y), -np.inf, np.inf)
    expected = np.clip(slope(x) / information, -2, 2)
    assert location_score(np.array([x]), df)[0] == pytest.approx(expected, rel=1e-4)


def test_errors_on_one_side_move_forecasts():
    values = noise(600)
    values[200:] += 3.0
    found = followed([values])
    assert at(found, 199)[0] == 0.0
    assert 1.3 < at(found, 599)[0] < 2.2  # 1.9, where what is learned and forgotten balance
    # what was one-sided is moved, and not taken for spread
    assert factor(found, 599) + 0.2 < factor(followed([values], rates=Rates(STILL)), 599)


def test_levels_that_come_and_go_are_left_alone():
    waves = 1.5 * np.sin(np.arange(1200) * np.pi / (2 * H))
    found = followed([noise(1200) + waves])
    assert all(at(found, t)[0] == 0.0 for t in range(100, 1200, 50))
    eager = followed([noise(1200) + waves], rates=Rates(LevelRates(evidence=-np.inf)))
    assert np.std([at(eager, t)[0] for t in range(100, 1200, 50)]) > 0.1


def test_a_series_new_to_the_fit_is_not_moved():
    values = [noise(300, seed) + 4.0 for seed in range(2)]
    found = followed(values, identity=[0, -1])
    assert at(found, 299, 0)[0] > 1.0
    assert at(found, 299, -1)[0] == 0.0


def test_a_series_that_changes_alone_is_followed_alone():
    values = [noise(600, seed) for seed in range(4)]
    values[2][300:] *= 4.0
    found = followed(values)
    factors = [factor(found, 599, series) for series in range(4)]
    assert factors[2] > 1.5 * max(factors[0], factors[1], factors[3])


def test_a_series_new_to_the_fit_has_the_common_factor():
    values = [noise(300, 0, 3.0), noise(300, 1, 3.0), noise(300, 2, 0.5)]
    found = followed(values, identity=[1, 0, -1])
    assert factor(found, 299, -1) == np.exp(found.spread.common[-1])
    assert factor(found, 299, 7) == np.exp(found.spread.common[-1])
    assert factor(found, 299, 1) != factor(found, 299, -1)


def test_series_on_grids_of_their_own_are_followed_no_faster():
    rows = 3000
    same = [noise(rows, 0, 2.0), noise(rows, 1, 2.0)]
    apart = followed(same, times=[2 * np.arange(rows), 2 * np.arange(rows) + 1])
    together = followed(same)
    assert len(apart.spread.stamps) > 1.9 * len(together.spread.stamps)
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
    assert factor(found, 59, 0) == pytest.approx(np.exp(found.spread.common[-1]), rel=0.3)


def test_nothing_to_follow_is_a_factor_of_one():
    found = followed([noise(L)])
    assert found.forecasts == 0
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
    module = "vneuron.forecasting.following.recent_errors.MOST_ERRORS"

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


@pytest.mark.parametrize("change", ["shift", "widen"])
def test_a_law_that_is_made_of_others_is_left_alone(fitted, frame, change):
    known = frame.groupby("unique_id").tail(1)
    known = known.assign(ds=known["ds"] + pd.Timedelta("1h"))
    path = fitted.condition(observed=known).exact[0].path
    with pytest.raises(ValueError, match="cannot be moved or widened"):
        getattr(path, change)(torch.ones(len(path)))


def check_wider(law):
    """Densities, quantiles and sums by a change of variables about the mean."""
    moved, by = law.shift(torch.tensor([0.0, 1.0, -2.0])), torch.tensor([[0.0], [1.0], [-2.0]])
    deviation = 1.0 if law.df is None else (law.df / (law.df - 2.0)).sqrt()
    y, step = law.sample(1)[:, 0], by * law.sd() / deviation
    torch.testing.assert_close(moved.joint_nll(y + step), law.joint_nll(y))
    torch.testing.assert_close(moved.point(), law.point() + step)
    torch.testing.assert_close(moved.sd(), law.sd())
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


@pytest.fixture(scope="module")
def higher(frame):
    """The fitted frame's rows, of which the held-out ones are higher by a standard deviation."""
    changed = frame.copy()
    late = changed.groupby("unique_id").cumcount() >= 192
    changed.loc[late, "y"] += changed.groupby("unique_id")["y"].transform("std")
    return changed


def widths(found, level=80):
    return found[f"EVE-hi-{level}"] - found[f"EVE-lo-{level}"]


def test_forecasts_are_moved_and_scaled_as_is_said(fitted, louder):
    plain, follower = fitted.predict(louder), fitted.following(louder)
    found, said = follower.predict(louder), follower.followed.set_index("unique_id")
    pd.testing.assert_frame_equal(found[["unique_id", "ds"]], plain[["unique_id", "ds"]])
    assert (said["spread"] > 1.05).all()
    by = found["unique_id"].map(said["spread"])
    np.testing.assert_allclose(widths(found) / widths(plain), by, rtol=1e-5)
    df = fitted.model.network.df().item()
    scale = widths(plain) / 2 / stats.t(df).ppf(0.9)
    moved = found["unique_id"].map(said["shift"]) * scale
    for name in ("EVE", "EVE-median"):
        np.testing.assert_allclose(found[name], plain[name] + moved, rtol=1e-4)


def test_every_answer_is_scaled(fitted, louder):
    follower = fitted.following(louder)
    by = follower.followed.set_index("unique_id")["spread"]
    plain, found = fitted.aggregate("sum", df=louder), follower.aggregate("sum")
    ratio = widths(found, 95) / widths(plain, 95)
    np.testing.assert_allclose(ratio, found["unique_id"].map(by), rtol=1e-5)
    few, many = fitted.sample(400, louder), follower.sample(400)
    keys = ["unique_id", "ds"]
    spread = many.groupby(keys)["y"].std() / few.groupby(keys)["y"].std()
    expected = spread.index.get_level_values(0).map(by)
    np.testing.assert_allclose(spread, expected, rtol=1e-4)
    known = louder.groupby("unique_id").tail(1)
    known = known.assign(ds=known["ds"] + pd.Timedelta("1h"))
    given = fitted.condition(observed=known, df=louder).predict()
    widened = follower.condition(observed=known).predict()
    assert (widths(widened).tail(5) > widths(given).tail(5)).all()


def test_forecasts_move_where_series_have_risen(fitted, higher):
    # the window is centred on its own level: what is left of the rise are errors on one side
    before, after = fitted.evaluate(higher), fitted.following(higher).evaluate(higher)
    assert after["windows"] == before["windows"]
    assert after["nll"] < before["nll"]


def test_it_goes_on_from_the_last_row(fitted, louder):
    follower = fitted.following(louder)
    pd.testing.assert_frame_equal(follower.predict(), follower.predict(louder))


def test_scores_are_better_where_the_spread_has_changed(fitted, louder):
    before, after = fitted.evaluate(louder), fitted.following(louder).evaluate(louder)
    assert after["windows"] == before["windows"]
    assert after["nll"] < before["nll"]
    assert before["coverage_80"] < after["coverage_80"] <= 0.85


def test_the_fitted_forecaster_stays_as_it_is(fitted, louder):
    before = fitted.predict(louder)
    fitted.following(louder)
    pd.testing.assert_frame_equal(fitted.predict(louder), before)
    assert (fitted.followed["spread"] == 1.0).all()
    assert (fitted.followed["shift"] == 0.0).all()


def test_without_newer_rows_intervals_are_as_fitted(fitted, frame):
    early = frame[frame.groupby("unique_id").cumcount() < 192]
    follower = fitted.following(early)
    assert (follower.followed["spread"] == 1.0).all()
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
    assert isinstance(follower.followed, pl.DataFrame)
    assert follower.followed.columns == ["unique_id", "shift", "spread"]


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
    by = follower.followed["spread"].to_numpy()
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
