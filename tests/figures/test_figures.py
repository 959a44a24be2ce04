"""Figures show the numbers they were given, and names cannot smuggle markup into them."""

import json

import numpy as np
import pandas as pd
import pytest

from vneuron.figures.band_occupancy import band_occupancy
from vneuron.figures.fan import fan_chart, interval_levels, path_columns
from vneuron.figures.heat_map import unit_heat_map
from vneuron.figures.layer_lines import layer_lines
from vneuron.figures.mosaic import atlas, grey, png
from vneuron.figures.pit import pit_histogram
from vneuron.figures.raster import raster
from vneuron.figures.reliability import reliability_curve
from vneuron.figures.step_curves import step_curves
from vneuron.figures.style import model_colors, translucent
from vneuron.figures.trade_off import trade_off_curve
from vneuron.figures.training_curves import training_curves
from vneuron.figures.verdict_map import verdict_colors, verdict_map
from vneuron.vitals import Verdict

HISTORY, HORIZON = 6, 4


@pytest.fixture
def window():
    rows = HISTORY + HORIZON
    future = np.arange(rows) >= HISTORY
    mean = np.where(future, np.arange(rows, dtype=float), np.nan)
    frame = pd.DataFrame(
        {
            "ds": pd.date_range("2024-01-01", periods=rows, freq="h"),
            "y": np.arange(rows) + 0.5,
            "EVE": mean,
        }
    )
    for level, width in ((80, 1.0), (95, 2.0), (50, 0.5)):
        frame[f"EVE-lo-{level}"] = mean - width
        frame[f"EVE-hi-{level}"] = mean + width
    for path in (1, 2, 10):
        frame[f"EVE-path-{path}"] = mean + path
    return frame


def trace(figure, name):
    (found,) = [t for t in figure.data if t.name == name and t.showlegend is not False]
    return found


def numbers(values):
    return np.asarray(values, dtype=float)


def test_column_readers(window):
    assert interval_levels(window.columns, "EVE") == ["95", "80", "50"]
    assert interval_levels(window.columns, "other") == []
    assert interval_levels(pd.Index(["EVE-lo-80", "EVE-lo-99.5", "EVE-hi-99.5"]), "EVE") == ["99.5"]
    assert path_columns(window.columns, "EVE") == ["EVE-path-1", "EVE-path-2", "EVE-path-10"]


def test_fan_nests_intervals_and_keeps_every_number(window):
    figure = fan_chart(window)
    names = [t.name for t in figure.data if t.showlegend is not False]
    assert names == ["95%", "80%", "50%", "sample paths", "one path", "mean", "observed"]
    bounds = figure.data[:6]
    assert [t.fill for t in bounds] == [None, "tonexty"] * 3
    for low, high in zip(bounds[::2], bounds[1::2], strict=True):
        assert low.meta["columns"][0].replace("-lo-", "-hi-") == high.meta["columns"][0]
        np.testing.assert_array_equal(numbers(low.y), window[low.meta["columns"][0]])
        np.testing.assert_array_equal(numbers(high.y), window[high.meta["columns"][0]])
    np.testing.assert_array_equal(numbers(trace(figure, "mean").y), window["EVE"])
    np.testing.assert_array_equal(numbers(trace(figure, "observed").y), window["y"])


def test_fan_paths_are_separated_by_gaps(window):
    paths = trace(fan_chart(window), "sample paths")
    y = numbers(paths.y).reshape(3, -1)
    assert np.isnan(y[:, -1]).all()
    np.testing.assert_array_equal(y[2, :-1], window["EVE-path-10"])
    assert len(paths.x) == len(paths.y)


def test_fan_limits_history_but_not_the_forecast(window):
    shown = trace(fan_chart(window, history=2), "observed")
    np.testing.assert_array_equal(numbers(shown.y), window["y"].iloc[HISTORY - 2 :])
    assert len(trace(fan_chart(window[["ds", "y"]], history=2), "observed").y) == 2


def test_fan_of_little_is_little(window):
    assert [t.name for t in fan_chart(window[["ds", "EVE"]]).data] == ["mean"]
    assert len(fan_chart(window[["ds"]]).data) == 0
    with pytest.raises(ValueError, match="'ds' among them"):
        fan_chart(window.drop(columns="ds"))


def test_reliability_keeps_gaps_and_the_ideal():
    figure = reliability_curve({"EVE": ([0.1, 0.5], [0.2, None]), "b": ([0.1], [0.1])})
    assert trace(figure, "EVE").y == (0.2, None)
    assert trace(figure, "ideal").x == trace(figure, "ideal").y == (0, 1)


def test_pit_bins_fill_the_unit_interval():
    bars = pit_histogram([0.1, 0.2, 0.3, 0.4]).data[0]
    np.testing.assert_allclose(numbers(bars.x), [0.125, 0.375, 0.625, 0.875])
    with pytest.raises(ValueError, match="0 bins"):
        pit_histogram([])


@pytest.fixture
def vitals():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [["a", "b"], range(1, 5), range(10)], names=["layer", "epoch", "unit"]
    )
    frame = index.to_frame(index=False)
    return frame.assign(kl=rng.gamma(1, 1, len(frame)), alive=rng.random(len(frame)) < 0.5)


def test_layer_lines_are_medians_and_shares(vitals):
    figure = layer_lines(vitals, "kl")
    expected = [np.median(vitals.query("layer == 'b' and epoch == @e")["kl"]) for e in range(1, 5)]
    np.testing.assert_allclose(numbers(trace(figure, "b").y), expected)
    low, high = figure.data[0], figure.data[1]
    assert (numbers(low.y) <= numbers(high.y)).all()
    share = trace(layer_lines(vitals, "alive"), "a")
    expected = [vitals.query("layer == 'a' and epoch == @e")["alive"].mean() for e in range(1, 5)]
    np.testing.assert_allclose(numbers(share.y), expected)
    with pytest.raises(ValueError, match="no column 'use'"):
        layer_lines(vitals, "use")


def test_heat_map_rows_are_units_by_their_last_value(vitals):
    one = vitals[vitals["layer"] == "a"].copy()
    one.loc[one["epoch"] == 2, "kl"] = np.nan
    one.loc[(one["epoch"] == 4) & (one["unit"] == 3), "kl"] = np.nan
    heat = unit_heat_map(one, "kl").data[0]
    assert list(heat.x) == [1, 3, 4]
    wide = one.pivot_table(index="unit", columns="epoch", values="kl")
    for row, unit in zip(heat.z, [int(name) for name in heat.customdata[:, 0]], strict=True):
        np.testing.assert_allclose(row, wide.loc[unit].to_numpy(), rtol=1e-6)
    last = wide.ffill(axis=1)[4]
    assert [int(name) for name in heat.customdata[:, 0]] == list(last.sort_values().index)
    with pytest.raises(ValueError, match="no column 'use'"):
        unit_heat_map(one, "use")


def test_training_curves_mark_the_lowest_known():
    figure = training_curves({"EVE": ([1, 2, 3], [None, 0.2, 0.3])}, title="nll", mark_lowest=True)
    assert figure.data[1].x == (2,)
    figure = training_curves({"EVE": ([1], [None])}, title="nll", mark_lowest=True)
    assert len(figure.data) == 1


def test_names_are_text_not_markup(vitals):
    bad = '<a href="https://x.y">b</a>'
    figures = [
        reliability_curve({bad: ([0.5], [0.5])}),
        training_curves({bad: ([1], [1.0])}, title="loss"),
        layer_lines(vitals.assign(layer=bad), "kl"),
        unit_heat_map(vitals[vitals["layer"] == "a"].assign(unit=bad), "kl"),
    ]
    for figure in figures:
        assert "<a" not in figure.to_json().replace("\\u003c", "<")
        assert "&lt;a" in figure.to_json().replace("\\u0026", "&")


def test_figures_are_plain_json(window):
    json.loads(fan_chart(window).to_json())


def test_colors_are_stable_and_differ():
    colors = model_colors(["EVE", "mine", "linear", "yours"])
    assert model_colors(["yours", "EVE"])["EVE"] == colors["EVE"]
    assert len(set(colors.values())) == 4
    assert translucent("#000000", 1) == "rgba(0, 0, 0, 1)"


def test_every_verdict_has_a_colour_of_its_own():
    assert verdict_colors.keys() == {verdict.value for verdict in Verdict}
    assert len(set(verdict_colors.values())) == len(verdict_colors)


def test_the_verdict_map_holds_each_verdict_in_its_place():
    rows = [(1, 0, "unknown"), (1, 1, "unknown"), (1, 2, "exploding"), (2, 0, "dead")]
    rows += [(2, 1, "living"), (2, 2, "<b>new</b>")]
    vitals = pd.DataFrame(rows, columns=["epoch", "unit", "verdict"])
    (trace,) = verdict_map(vitals).data
    names = list(trace.colorbar.ticktext)
    assert names == ["living", "unknown", "dead", "exploding", "&lt;b&gt;new&lt;/b&gt;"]
    found = {
        (int(epoch), str(trace.customdata[i][j])): names[trace.z[i][j]]
        for i in range(3)
        for j, epoch in enumerate(trace.x)
    }
    expected = {(e, str(u)): v.replace("<", "&lt;").replace(">", "&gt;") for e, u, v in rows}
    assert found == expected
    assert [row[0] for row in trace.customdata] == ["2", "0", "1"], "what ends well is on top"
    assert len(trace.colorscale) == 2 * len(names)


def test_band_occupancy_tells_the_band_that_moved_from_the_one_that_was_set():
    vitals = pd.DataFrame(
        {
            "epoch": [1, 1, 1, 2, 2, 2],
            "energy": [0.5, 1.5, 2.5, 2.5, 2.5, 4.0],
            "band_low": [1.0] * 3 + [2.0] * 3,
            "band_high": [2.0] * 3 + [3.0] * 3,
            "original_band_low": 1.0,
            "original_band_high": 2.0,
        }
    )
    shares = {t.name: numbers(t.y).round(3).tolist() for t in band_occupancy(vitals).data}
    assert shares["below"] == [0.333, 0.0]
    assert shares["inside"] == [0.333, 0.667]
    assert shares["above"] == [0.333, 0.333]
    assert shares["inside, original band"] == [0.333, 0.0]
    assert shares["above, original band"] == [0.333, 1.0]
    assert {t.line.dash for t in band_occupancy(vitals).data} == {"solid", "dot"}


@pytest.mark.parametrize("figure", [verdict_map, band_occupancy])
def test_a_missing_column_is_named(figure):
    with pytest.raises(ValueError, match="no column 'epoch'|no column 'unit'"):
        figure(pd.DataFrame({"kl": [1.0]}))


def test_the_whole_range_runs_from_the_smallest_to_the_largest():
    vitals = pd.DataFrame(
        {
            "layer": "units",
            "epoch": [1, 1, 1, 2, 2, 2, 3, 3, 3],
            "unit": [0, 1, 2] * 3,
            "beta": [0.01, 0.1, 1.0, 0.02, 0.2, 2.0, np.nan, np.nan, np.nan],
        }
    )
    low, high, mean = layer_lines(vitals, "beta", whole_range=True).data
    assert numbers(low.y) == pytest.approx([0.01, 0.02])
    assert numbers(high.y) == pytest.approx([1.0, 2.0])
    assert numbers(mean.y) == pytest.approx([0.37, 0.74])
    assert layer_lines(vitals, "beta", whole_range=True).layout.yaxis.type == "log"


# -- pictures and curves of image models -------------------------------------------------------


def read_png(data):
    from io import BytesIO

    from PIL import Image

    return np.asarray(Image.open(BytesIO(data)))


def test_another_library_reads_our_png():
    rng = np.random.default_rng(0)
    grey_levels = rng.integers(0, 256, (7, 5), dtype=np.uint8)
    np.testing.assert_array_equal(read_png(png(grey_levels)), grey_levels)
    with_opacity = rng.integers(0, 256, (7, 5, 2), dtype=np.uint8)
    np.testing.assert_array_equal(read_png(png(with_opacity)), with_opacity)
    with pytest.raises(ValueError, match="uint8"):
        png(grey_levels.astype(float))


def test_an_atlas_scales_each_picture_by_itself():
    pictures = np.zeros((5, 2, 3))
    pictures[1, 0, 0], pictures[2, 1, 2] = 0.01, -40.0
    sheet = atlas(pictures, columns=3)
    assert sheet.shape == (2 * 3 - 1, 3 * 4 - 1, 2)
    assert sheet[0, 4, 0] == 255  # the largest of picture 1 is white
    assert sheet[1, 10, 0] == 0  # that of picture 2 takes away: black
    assert sheet[0, 0, 0] == 128  # nothing is mid-grey
    opacity = sheet[..., 1]
    assert (opacity[2] == 0).all()
    assert (opacity[:, 3] == 0).all()
    assert (opacity[3:, 8:] == 0).all()  # the sixth place is empty
    with pytest.raises(ValueError, match="at least 1"):
        atlas(pictures, columns=0)


def test_grey_levels_stay_within_bounds():
    np.testing.assert_array_equal(
        grey([np.nan, -9, 0, 1, 9, np.inf], 0, 1), [0, 0, 0, 255, 255, 255]
    )
    assert grey([3.0], 2.0, 2.0)[0] == 128


def test_a_raster_has_the_busiest_on_top():
    activity = np.array([[5.0, 0.0, 1.0], [4.0, 1.0, 0.0]])
    (trace,) = raster(activity, [9, 2, 4], title="spikes").data
    np.testing.assert_array_equal(trace.z, activity.T[::-1])
    assert trace.customdata[-1][0] == "9"
    assert trace.zmin == 0
    (signed,) = raster(-activity, [9, 2, 4], title="activity").data
    assert (signed.zmin, signed.zmax) == (-5.0, 5.0)


def test_a_trade_off_marks_its_own_price():
    points = [{"price": p, "r2_pooled": 1 - p, "active": 1 / p} for p in (0.1, 0.2, 0.4)]
    figure = trade_off_curve(points, rate="active", rate_title="a", parameter="beta", own=0.2)
    assert list(figure.data[0].x) == sorted(1 / p for p in (0.1, 0.2, 0.4))
    assert list(figure.data[0].marker.size) == [7, 12, 7]


def test_curves_over_steps_keep_every_number():
    figure = step_curves([1, 2, 8], {"a": [0.1, None, 0.3], "b": [1, 2, 3]}, title="t", own=2)
    assert figure.data[0].y == (0.1, None, 0.3)
    assert figure.layout.shapes[0].x0 == 2
    assert figure.layout.showlegend
