"""A forecaster whose series share sources, as users meet it."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting import EVEForecaster
from vneuron.forecasting.coupling_fit import learn_coupling
from vneuron.forecasting.data.errors import DataError
from vneuron.forecasting.data.windows import windows_between
from vneuron.forecasting.material import prepare
from vneuron.forecasting.origins import ABSENT, shared_origins, whole_windows
from vneuron.forecasting.reading import read_frame

HELD_OUT = 48


def shared_waves(series=3, rows=300, common=0.8, seed=0):
    """Daily waves; most of their noise is the same for all, with the last series' sign turned."""
    rng = np.random.default_rng(seed)

    def wander():
        return np.convolve(rng.normal(size=rows + 3), np.ones(4) / 2, "valid")

    step, shared, parts = np.arange(rows), wander(), []
    for number in range(series):
        sign = -1 if number == series - 1 else 1
        noise = sign * np.sqrt(common) * shared + np.sqrt(1 - common) * wander()
        y = 10.0 * number + (number + 1) * (np.sin(2 * np.pi * step / 24) + 0.3 * noise)
        times = pd.date_range("2026-01-01", periods=rows, freq="h")
        parts.append(pd.DataFrame({"unique_id": f"s{number}", "ds": times, "y": y}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def options(tiny):
    """Nothing is left to trials, and series share."""
    return {**tiny, "encoder": "linear", "features": "window", "series": "coupled"}


@pytest.fixture(scope="module")
def shared():
    return shared_waves()


@pytest.fixture(scope="module")
def together(options, shared, tmp_path_factory):
    """A coupled forecaster with a run folder; do not fit it again."""
    folder = tmp_path_factory.mktemp("coupled") / "run"
    return EVEForecaster(**options).fit(shared, test_size=HELD_OUT, run_dir=folder), folder


def matrix(frame):
    """[series, paths, steps] of sampled rows."""
    pivot = frame.pivot_table(index=["unique_id", "path"], columns="ds", values="y")
    return pivot.to_numpy().reshape(frame["unique_id"].nunique(), -1, pivot.shape[1])


def test_no_forecast_of_a_single_series_changes(options, shared, together):
    alone = EVEForecaster(**{**options, "series": "independent"}).fit(shared, test_size=HELD_OUT)
    ours, theirs = together[0].predict(uncertainty=True), alone.predict(uncertainty=True)
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    sums = together[0].aggregate("sum", over=3), alone.aggregate("sum", over=3)
    pd.testing.assert_frame_equal(*sums, check_exact=True)


def test_it_learns_what_the_series_share(together):
    found = together[0].model.coupling
    assert found.gain > 0.1
    between = found.loadings.noise @ found.loadings.noise.T
    assert between[0, 1] > 0.4
    assert between[0, 2] < -0.4


def test_it_learns_little_where_nothing_is_shared(options):
    rng = np.random.default_rng(0)
    white = shared_waves(rows=500)
    white["y"] = rng.normal(size=len(white))
    f = EVEForecaster(**options).fit(white, val_size=150, test_size=HELD_OUT)
    assert 0.0 <= f.model.coupling.gain < 0.02


def test_paths_belong_together(together):
    drawn = matrix(together[0].sample(1000)).sum(-1)
    correlation = np.corrcoef(drawn)
    assert correlation[0, 1] > 0.4
    assert correlation[0, 2] < -0.4


def test_the_same_seed_gives_the_same_paths(together):
    f = together[0]
    pd.testing.assert_frame_equal(f.sample(3, seed=4), f.sample(3, seed=4))
    assert not f.sample(3, seed=4).equals(f.sample(3, seed=5))


def test_totals_are_of_the_paths_of_sample(together):
    f = together[0]
    found = f.aggregate("sum", over=3, across={"s0": 1.0, "s2": -2.0}, level=[80], seed=7)
    assert found.columns.tolist()[:4] == ["unique_id", "ds", "ds_end", "EVE"]
    assert found["unique_id"].tolist() == ["total", "total"]
    kept = f.model.memory.context
    frame = kept.to_frame()
    drawn = matrix(f.sample(2000, frame[frame["unique_id"] != "s1"], seed=7))
    total = (drawn[0] - 2 * drawn[1]).reshape(2000, 2, 3).sum(-1)
    low, high = np.quantile(total, [0.1, 0.9], axis=0)
    np.testing.assert_allclose(found["EVE-lo-80"], low)
    np.testing.assert_allclose(found["EVE-hi-80"], high)
    own = f.aggregate("sum", over=3).pivot_table(index="unique_id", columns="ds", values="EVE")
    np.testing.assert_allclose(found["EVE"], own.loc["s0"] - 2 * own.loc["s2"])


@pytest.mark.parametrize("statistic", ["sum", "mean", "max", "min", "ramp"])
def test_every_statistic_of_all_series(together, statistic):
    found = together[0].aggregate(statistic, across=True, level=[80, 95])
    assert len(found) == 1
    row = found.iloc[0]
    assert row["EVE-lo-95"] < row["EVE-lo-80"] < row["EVE-median"] < row["EVE-hi-80"]


def test_a_total_of_one_series_is_its_own_law(together):
    f = together[0]
    one = f.aggregate("sum", across={"s1": 1.0}, level=[80]).iloc[0]
    own = f.aggregate("sum", level=[80]).set_index("unique_id").loc["s1"]
    assert one["EVE"] == pytest.approx(own["EVE"])
    width = own["EVE-hi-80"] - own["EVE-lo-80"]
    assert abs(one["EVE-hi-80"] - own["EVE-hi-80"]) < 0.1 * width  # 5 standard errors of a quantile


def test_scores_of_all_series_together(together, shared):
    found = together[0].evaluate(shared)["panel"]
    assert found["joint_nll"] < found["joint_nll_independent"] - 0.1
    assert found["energy"] < found["energy_independent"]
    for name in ("total_coverage_80", "total_path_coverage_80"):
        assert 0.0 <= found[name] <= 1.0
    # the third, largest series goes against the others, which makes the total more certain
    assert found["total_width_80"] < found["total_width_80_independent"]


def test_it_is_kept_with_the_run_and_the_model(together, shared, tmp_path):
    f, run = together
    f.save(tmp_path / "model")
    for folder in (run, tmp_path / "model"):
        again = EVEForecaster.load(folder)
        assert again.config.series == "coupled"
        pd.testing.assert_frame_equal(again.sample(4), f.sample(4))
        pd.testing.assert_frame_equal(
            again.aggregate("max", across=True), f.aggregate("max", across=True)
        )


def test_it_does_not_outlive_the_run_that_is_overwritten(options, shared, together, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(together[1], run)
    alone = EVEForecaster(**options | {"series": "independent"})
    alone.fit(shared, test_size=HELD_OUT, run_dir=run, overwrite=True)
    assert not (run / "coupling.npz").exists()
    with pytest.raises(ValueError, match="series='coupled'"):
        EVEForecaster.load(run).aggregate("sum", across=True)


def test_a_run_that_stopped_before_it_learned_is_gone_on_with(options, shared, together, tmp_path):
    run = tmp_path / "run"
    EVEForecaster(**options).fit(shared, test_size=HELD_OUT, run_dir=run)
    (run / "coupling.npz").unlink()
    with pytest.raises(ValueError, match="resume"):
        EVEForecaster.load(run).aggregate("sum", across=True)
    f = EVEForecaster(**options).fit(shared, test_size=HELD_OUT, run_dir=run, resume=True)
    pd.testing.assert_frame_equal(f.sample(4), together[0].sample(4))


def test_the_order_of_series_does_not_matter(together, shared):
    f = together[0]
    turned = pd.concat([shared[shared["unique_id"] == name] for name in ("s2", "s0", "s1")])
    for frame in (shared, turned):
        panel = read_frame(frame, f.config)
        loadings = f.model.coupling.of(f.model.memory.identity(panel))
        between = loadings.noise @ loadings.noise.T
        at = [panel.ids.index(name) for name in ("s0", "s1", "s2")]
        expected = f.model.coupling.loadings.noise @ f.model.coupling.loadings.noise.T
        torch.testing.assert_close(between[at][:, at], expected)
    ours, theirs = f.evaluate(shared)["panel"], f.evaluate(turned)["panel"]
    assert ours["joint_nll"] == pytest.approx(theirs["joint_nll"])


def test_a_series_new_to_the_fit_shares_nothing(together, shared):
    new = shared[shared["unique_id"] == "s0"].assign(unique_id="new")
    drawn = matrix(together[0].sample(1000, pd.concat([shared, new]))).sum(-1)
    assert abs(np.corrcoef(drawn)[0, 1:]).max() < 0.16  # 5 standard errors


def test_a_total_with_a_series_new_to_the_fit_is_refused(together, shared):
    f = together[0]
    new = shared[shared["unique_id"] == "s0"].assign(unique_id="new")
    both = pd.concat([shared, new])
    with pytest.raises(DataError, match="'new' were not in the fit.*too narrow.*leave them out"):
        f.aggregate("sum", across=True, df=both)
    with pytest.raises(DataError, match="not in the fit"):
        f.aggregate("sum", across={"s0": 1.0, "new": 1.0}, df=both)
    known = f.aggregate("sum", across=dict.fromkeys(("s0", "s1", "s2"), 1.0), df=both)
    pd.testing.assert_frame_equal(known, f.aggregate("sum", across=True, df=shared))
    assert len(f.aggregate("sum", across={"new": 1.0}, df=both)) == 1  # nothing to share


def test_series_that_end_apart_share_nothing(together, shared):
    f = together[0]
    last = shared["ds"].max()
    short = shared[(shared["unique_id"] != "s1") | (shared["ds"] < last)]
    drawn = matrix_by_series(f.sample(1000, short))
    correlation = np.corrcoef([each.sum(-1) for each in drawn])
    assert abs(correlation[0, 1]) < 0.16
    assert correlation[0, 2] < -0.4
    with pytest.raises(DataError, match="end at different stamps"):
        f.aggregate("sum", across=True, df=short)
    assert len(f.aggregate("sum", across={"s0": 1, "s2": 1}, df=short)) == 1


def matrix_by_series(frame):
    return [
        own.pivot_table(index="path", columns="ds", values="y").to_numpy()
        for _, own in frame.groupby("unique_id")
    ]


def test_series_of_different_lengths(options, shared):
    late = shared[(shared["unique_id"] != "s1") | (shared["ds"] >= "2026-01-03")]
    f = EVEForecaster(**options).fit(late, test_size=HELD_OUT)
    assert f.model.coupling.gain > 0.1
    found = f.evaluate(late)["panel"]
    assert found["joint_nll"] < found["joint_nll_independent"]


def test_missing_values(options, shared):
    holes = shared.copy()
    holes.loc[holes.sample(20, random_state=0).index, "y"] = np.nan
    f = EVEForecaster(**{**options, "missing": "mask"}).fit(holes, test_size=HELD_OUT)
    assert f.model.coupling.gain > 0.1
    assert np.isfinite(f.evaluate(holes)["panel"]["joint_nll"])


def test_polars_frames_stay_polars(options, shared):
    polars = pytest.importorskip("polars")
    f = EVEForecaster(**options).fit(polars.from_pandas(shared), test_size=HELD_OUT)
    found = f.aggregate("sum", across=True)
    assert isinstance(found, polars.DataFrame)
    assert found["unique_id"].to_list() == ["total"]


def test_one_series_is_refused(options, shared):
    one = shared[shared["unique_id"] == "s0"]
    with pytest.raises(DataError, match="1 series, expected 2"):
        EVEForecaster(**options).fit(one, test_size=HELD_OUT)


def test_series_that_never_overlap_are_refused(options, shared):
    apart = shared.copy()
    for number in (1, 2):
        apart.loc[apart["unique_id"] == f"s{number}", "ds"] += pd.Timedelta(days=100 * number)
    with pytest.raises(DataError, match="overlap in time"):
        EVEForecaster(**options).fit(apart, test_size=HELD_OUT)


@pytest.mark.parametrize(
    "other", [{"network": "reference"}, {"likelihood": "negbinomial"}, {"series": "tied"}]
)
def test_options_that_it_does_not_go_with(options, other):
    with pytest.raises(ValueError, match="series is|expected one of"):
        EVEForecaster(**{**options, **other})


@pytest.mark.parametrize(
    ("across", "said"),
    [
        ({"s9": 1.0}, "does not hold"),
        ({"s0": np.nan}, "finite"),
        ({"s0": 0.0}, "not 0"),
        ({}, "not 0"),
        ({"s0": "x"}, "finite"),
        ({"s0": None}, "finite"),
        (["s0"], "expected True"),
        (1, "expected True"),
        ("s0", "expected True"),
        (None, "expected True"),
    ],
)
def test_weights_that_mean_nothing(together, across, said):
    with pytest.raises(DataError, match=said):
        together[0].aggregate("sum", across=across)


def test_a_total_of_independent_series_is_refused(fitted):
    with pytest.raises(ValueError, match="series='coupled'"):
        fitted.aggregate("sum", across=True)


@pytest.mark.parametrize(("units", "noise"), [(True, False), (False, True)])
def test_one_kind_of_source_alone(together, options, shared, units, noise):
    f = together[0]
    material = prepare(read_frame(shared, f.config), f.config, test_size=HELD_OUT)
    told = material.train, material.validation
    found = learn_coupling(f.model, *told, units=units, noise=noise)
    assert bool(found.loadings.units.any()) == units
    assert bool(found.loadings.noise.any()) == noise
    assert found.gain <= f.model.coupling.gain + 0.02


def test_many_series_learn_by_parts(options):
    """More series than a step takes, and than validation looks at."""
    many = shared_waves(series=36, rows=160)
    f = EVEForecaster(**{**options, "epochs": 1}).fit(many, test_size=24)
    loadings = f.model.coupling.loadings.noise
    assert len(loadings) == 36
    assert (loadings[0] @ loadings[1:-1].T > 0.2).all()


def test_origins_are_of_the_same_stamp(shared, options):
    late = shared[(shared["unique_id"] != "s1") | (shared["ds"] >= "2026-01-03")]
    f = EVEForecaster(**options)
    material = prepare(read_frame(late, f.config), f.config, test_size=HELD_OUT)
    windows = material.train
    origins = shared_origins(windows, 1000)
    times = material.panel.times[windows.cutoffs]
    for row in origins:
        assert len(set(times[row[row != ABSENT]])) == 1
    assert (origins[0] == ABSENT).sum() == 1
    assert (origins[-1] != ABSENT).all()
    assert len(shared_origins(windows, 5)) == 5


def test_windows_with_gaps_are_left_out(shared, options):
    holes = shared.copy()
    holes.loc[(holes["unique_id"] == "s1") & (holes["ds"] == "2026-01-05"), "y"] = np.nan
    config = EVEForecaster(**{**options, "missing": "mask"}).config
    material = prepare(read_frame(holes, config), config, test_size=HELD_OUT)
    windows = windows_between(material.flat, material.split.train, 24, 6)
    whole = whole_windows(windows, shared_origins(windows, 1000))
    assert (whole[:, 1] == ABSENT).sum() == 6
    kept = torch.from_numpy(whole[whole != ABSENT])
    observed = windows.gather(kept).target_observed
    assert observed is not None
    assert observed.all()
