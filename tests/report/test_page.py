"""The page stands alone, says what the run holds, and treats names as text."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from vneuron.report.health import health_rows
from vneuron.report.page import write_report
from vneuron.report.scores import METRICS, best_models, display, score_table
from vneuron.report.summary import added_by_units, headline, title
from vneuron.report.windows import window_data
from vneuron.training.run_folder import RunFolder, RunFolderError

SECTIONS = [
    "forecasts",
    "calibration",
    "scores",
    "units",
    "health",
    "training",
    "provenance",
]
VOID = {"meta", "link", "img", "br", "hr", "input"}
CUTS = {
    "no vitals": ["vitals.parquet"],
    "no metrics": ["metrics.json"],
    "no forecasts": ["forecasts.parquet"],
    "no events": ["events.jsonl"],
    "interrupted": ["vitals.parquet", "metrics.json", "forecasts.parquet"],
    "configuration only": ["vitals.parquet", "metrics.json", "forecasts.parquet", "events.jsonl"],
}


class Page(HTMLParser):
    """What a browser would build: elements by tag and id, text by section, scripts."""

    def __init__(self, html):
        super().__init__()
        self.stack, self.tags, self.ids, self.links = [], [], [], []
        self.scripts, self.texts, self.styles = [], {}, ""
        self.feed(html)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        assert not any(name.startswith("on") for name in attributes), attributes
        if "id" in attributes:
            self.ids.append(attributes["id"])
        self.links += [attributes[k] for k in ("src", "href", "action", "data") if k in attributes]
        if tag == "script":
            self.scripts.append((attributes, ""))
        if tag not in VOID:
            self.stack.append((tag, attributes.get("id")))

    def handle_endtag(self, tag):
        assert self.stack.pop()[0] == tag

    def handle_data(self, data):
        tag = self.stack[-1][0] if self.stack else ""
        if tag == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif tag == "style":
            self.styles += data
        else:
            for _, name in self.stack:
                self.texts[name] = self.texts.get(name, "") + data

    def data(self, name):
        """The JSON of a script element by its id, or of a figure by its place."""
        (text,) = [t for a, t in self.scripts if name in (a.get("id"), a.get("data-for"))]
        return json.loads(text)

    @property
    def figures(self):
        return [a["data-for"] for a, _ in self.scripts if "data-for" in a]


def report(path):
    return Page(write_report(path).read_text("utf-8"))


@pytest.fixture(scope="module")
def whole(make_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole")
    make_run(path)
    return path


@pytest.fixture(scope="module")
def page(whole):
    return report(whole)


# -- the whole page ----------------------------------------------------------------------------


def test_all_sections_and_places_are_there(page):
    sections = [name for name in page.ids if name in SECTIONS]
    assert sections == SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert set(page.figures) <= set(page.ids)
    assert set(page.figures) == {
        "fan",
        "reliability",
        "path-reliability",
        "pit",
        "vital-kl",
        "vital-energy",
        "vital-alive",
        "vital-beta",
        "map-verdict",
        "map-kl",
        "map-use",
        "map-energy",
        "map-beta",
        "loss",
        "val-joint-nll",
    }
    assert "No " not in "".join(page.texts[name] for name in SECTIONS)


def test_nothing_is_asked_from_the_network(whole, page):
    html = (whole / "report.html").read_text("utf-8")
    assert all(link.startswith("#") for link in page.links)
    assert {"link", "iframe", "object", "embed", "base", "form"}.isdisjoint(page.tags)
    assert "url(" not in page.styles
    assert "@import" not in page.styles
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html).group(1)
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    own = [text for attributes, text in page.scripts if attributes or "Plotly.react" in text]
    libraries = [text for text in (t for _, t in page.scripts) if len(text) > 4_000_000]
    assert len(libraries) == 1
    assert not any("http" in text for text in own if text not in libraries)


def test_first_screen_has_facts_and_headline(page):
    top = page.texts["top"]
    assert "ETTh1" in top
    for text in ("17,420", "48 steps", "336 steps", "−.022", "best other: lowrank −.001, better"):
        assert text in top


def test_series_and_windows_can_be_chosen(page):
    series = page.data("window-data")
    assert [entry["name"] for entry in series] == ["OT", "HUFL", "LULL"]
    assert [len(entry["windows"]) for entry in series] == [3, 3, 3]
    window = series[0]["windows"][0]
    assert window["cutoff"] == "2018-02-01"
    assert window["times"]["n"] == len(window["y"])
    assert len(window["columns"]["EVE"]) == len(window["y"]) - window["history"]
    used = {c for trace in page.data("fan")["data"] for c in trace["meta"]["columns"]}
    assert used - {"y"} == set(window["columns"])


def test_scores_are_in_the_table_in_both_units(page):
    text = page.texts["scores"]
    for word in [m.title for m in METRICS] + ["seasonal_naive", ".360", "25.39", "2,804", "–"]:
        assert word in text


def test_units_health_tells_static_from_dynamic(page):
    text = page.texts["health"]
    assert "beyond a static low-rank head" in text
    assert "living" in text
    assert "static factor" in text


def test_provenance_says_how_to_make_it_again(page):
    text = page.texts["provenance"]
    assert "sorted 3 unsorted rows of series OT" in text
    compile(text[text.index("import vneuron") :], "snippet", "exec")
    assert "horizon=48," in text
    assert "val_size=2880" in text


def test_a_recorded_command_is_quoted_for_the_shell(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    config = run.read_json("config.json")
    run.write_json("config.json", config | {"command": ["vneuron", "fit", "my data.csv"]})
    assert "vneuron fit 'my data.csv'" in report(run.path).texts["provenance"]


def test_the_page_stays_light_with_many_series_and_units(make_run, tmp_path):
    names = tuple(f"MT_{i:03d}" for i in range(40))
    run = make_run(tmp_path / "run", series=names, units=128, epochs=30, windows=6)
    page = report(run.path)
    assert (run.path / "report.html").stat().st_size < 8e6
    series = page.data("window-data")
    assert [entry["name"] for entry in series] == list(names)
    assert "more windows are in forecasts.parquet" in page.texts["forecasts"]
    assert page.texts["health-table"].count("living") > 20


def test_a_second_report_replaces_the_first_and_the_run_still_verifies(whole):
    before = (whole / "report.html").read_bytes()
    write_report(whole)
    assert (whole / "report.html").read_bytes() == before
    RunFolder.open(whole).verify()


# -- partial runs ------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
def test_partial_runs_say_what_is_missing(make_run, tmp_path, cut):
    run = make_run(tmp_path / "run", windows=1, epochs=2)
    for name in CUTS[cut]:
        (run.path / name).unlink()
    (run.path / "checksums.json").unlink()
    page = report(run.path)
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert set(page.figures) <= set(page.ids)
    expected = {
        "vitals.parquet": ("units", "No vitals were written"),
        "metrics.json": ("scores", "No scores"),
        "forecasts.parquet": ("forecasts", "No forecasts to show"),
        "events.jsonl": ("training", "No epoch was completed"),
    }
    for name, (section, sentence) in expected.items():
        assert (sentence in page.texts[section]) == (name in CUTS[cut])


def test_no_baselines(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    metrics = run.read_json("metrics.json")
    metrics["test"] = {"EVE": metrics["test"]["EVE"] | {"raw": None, "joint_nll": None}}
    del metrics["calibration"]
    run.write_json("metrics.json", metrics)
    page = report(run.path)
    assert "no baselines" in page.texts["scores"]
    assert "no other model defines it" in page.texts["top"]
    assert "not known here" in page.texts["health"]
    assert "No calibration" in page.texts["calibration"]


def test_interrupted_and_unfinished_runs_are_called_so(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    assert 'role="status"' not in write_report(run.path).read_text("utf-8")
    lines = (run.path / "events.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "events.jsonl").write_bytes(b"".join(lines[:-1]))
    assert "has not reached its end" in report(run.path).texts["top"]
    for event, fields, words in (
        ("interrupted", {"epoch": 2}, "This run was interrupted"),
        ("resume", {"epoch": 1}, "has not reached its end"),
        ("stop", {"reason": "diverged", "model": "twin"}, "Training diverged (twin)"),
    ):
        with run.events() as events:
            events.write(event, **fields)
        assert words in report(run.path).texts["top"]


def test_use_never_measured(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    vitals = run.read_parquet("vitals.parquet")
    unknown = {"use": np.nan, "dynamic_use": np.nan, "verdict": "unknown"}
    run.write_parquet("vitals.parquet", vitals.assign(**unknown))
    page = report(run.path)
    assert "Use was not measured" in page.texts["units"]
    assert "8 unknown" in page.texts["health"]
    assert "map-use" not in page.figures


def test_what_bands_and_memories_add(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    vitals = run.read_parquet("vitals.parquet")
    more = dict.fromkeys(("band_low", "original_band_low"), 0.01)
    more |= dict.fromkeys(("band_high", "original_band_high"), 0.5)
    more |= {"drift": 0.1, "phi": 0.9, "persistence": 0.8, "transition_share": 0.3}
    run.write_parquet("vitals.parquet", vitals.assign(**more))
    share = {"variance": 0.62, "likelihood": 0.41, "spread_nats": 5.25, "window_nats": 0.5}
    metrics = run.read_json("metrics.json")
    run.write_json("metrics.json", {**metrics, "latent_share": share})
    page = report(run.path)
    figures = {"band", "vital-drift", "vital-phi", "vital-persistence", "vital-transition_share"}
    assert figures <= set(page.figures)
    assert "carry 62% of the predictive variance and 41%" in page.texts["health"]
    share["likelihood"] = None
    run.write_json("metrics.json", {**metrics, "health": {"latent_share": share}})
    assert "unknown part of the likelihood on validation" in report(run.path).texts["health"]


def test_several_layers(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    vitals = run.read_parquet("vitals.parquet")
    both = pd.concat([vitals, vitals.assign(layer="second")], ignore_index=True)
    run.write_parquet("vitals.parquet", both)
    page = report(run.path)
    assert "second" in page.texts["health-table"]
    assert "of 2 layers the maps show units" in page.texts["units"]


def test_damaged_and_foreign_folders_are_refused(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    (run.path / "metrics.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"metrics\.json: changed"):
        write_report(run.path)
    assert not (run.path / "report.html").exists()
    with pytest.raises(RunFolderError, match="not a run"):
        write_report(tmp_path)


# -- names are text ----------------------------------------------------------------------------

NASTY = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "a&amp;\"b'\u2028{{ 7 * 7 }}",
)


def test_names_are_text(make_run, tmp_path, page):
    run = make_run(tmp_path / "run", series=NASTY, windows=1)
    config = run.read_json("config.json")
    config["data"] |= {"path": f"data/{NASTY[1]}.csv", "notes": list(NASTY), "freq": NASTY[0]}
    config["model"]["network"] = NASTY[1]
    config |= {"vneuron": NASTY[0], "created": NASTY[0]}
    run.write_json("config.json", config)
    metrics = run.read_json("metrics.json")
    for name in NASTY:
        metrics["test"][name] = metrics["test"]["linear"]
        metrics["calibration"][name] = metrics["calibration"]["linear"]
    run.write_json("metrics.json", metrics)
    vitals = run.read_parquet("vitals.parquet")
    run.write_parquet("vitals.parquet", vitals.assign(layer=NASTY[1], verdict=NASTY[0]))
    with run.events() as events:
        events.write("epoch", model=NASTY[1], epoch=1, loss=0.5, val_joint_nll=0.5)

    nasty = report(run.path)  # the parser refuses handlers and unbalanced elements
    assert "img" not in nasty.tags
    assert len(nasty.scripts) == len(page.scripts)
    assert [entry["name"] for entry in nasty.data("window-data")] == list(NASTY)
    for name in NASTY:
        assert name in nasty.texts["series"]
        assert name in nasty.texts["provenance"]
        assert name in nasty.texts["score-table"]
    for name in nasty.figures:
        assert "<script>" not in json.dumps(nasty.data(name))


# -- parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.3597, ".360"),
        (-0.0221, "−.022"),
        (0.99972, "1.000"),
        (1.2943, "1.294"),
        (25.394, "25.39"),
        (123456.7, "123,457"),
        (0, ".000"),
        (3e-7, "3e−7"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (None, "–"),
        ("x", "–"),
    ],
)
def test_numbers_as_printed(value, text):
    assert display(value) == text


def test_the_best_is_marked_by_what_ideal_means():
    by_key = {metric.key: metric for metric in METRICS}
    scores = {"a": {"mse": 0.2, "coverage_80": 0.95}, "b": {"mse": 0.3, "coverage_80": 0.78}}
    scores["c"] = {"mse": None, "coverage_80": None}
    assert best_models(scores, by_key["mse"]) == {"a"}
    assert best_models(scores, by_key["coverage_80"]) == {"b"}
    assert best_models({"c": scores["c"]}, by_key["mse"]) == set()
    scores["d"] = {"mse": 0.20001}
    assert best_models(scores, by_key["mse"]) == {"a", "d"}


def test_raw_and_scaled_cells_are_marked_apart():
    table = score_table({"a": {"mse": 1.0, "raw": {"mse": 5.0}}, "b": {"mse": 2.0}})
    first = table[0]["cells"][0]
    assert (first["scaled"], first["raw"]) == (
        {"text": "1.000", "best": True},
        {"text": "5.000", "best": True},
    )
    assert table[1]["cells"][0]["raw"] == {"text": "–", "best": False}


def test_headline_is_honest_both_ways():
    rows = {
        "EVE": {"crps": 0.3, "joint_nll": 0.5, "path_coverage_80": 0.5},
        "linear": {"crps": 0.2, "joint_nll": 0.5005, "path_coverage_80": 0.3},
    }
    cards = headline(rows)
    assert [card["tone"] for card in cards] == ["bad", "plain", "good"]
    assert "worse" in cards[0]["note"]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (-0.05, "gain .050 nats per step (4.800 per window)"),
        (0.001, "nothing measurable"),
        (0.1, "static low-rank head is better by .100"),
        (None, "not known here"),
    ],
)
def test_what_units_add_is_said_plainly(own, words):
    scores = {"EVE": {"joint_nll": own}, "lowrank": {"joint_nll": 0.0}}
    assert words in added_by_units(scores, 96)


def test_title_is_the_data_or_the_only_series():
    assert title({}, {"path": "a/b.c/ETTh1.csv"}) == "ETTh1"
    assert title({}, {"path": r"C:\data\sales"}) == "sales"
    assert title({}, {"series": ["OT"]}) == "OT"
    assert title({"horizon": 96}, {"series": ["a", "b"]}) == "Forecast, 96 steps"


def forecast_rows(ds, **columns):
    n = len(ds)
    base = {
        "unique_id": 7,
        "cutoff": ds[n // 2 - 1],
        "ds": ds,
        "step": np.arange(n) - n // 2 + 1,
        "y": np.linspace(0, 1000, n),
        "EVE": np.where(np.arange(n) >= n // 2, 1.23456, np.nan),
    }
    return pd.DataFrame(base | columns)


def test_times_are_compact_where_even_and_local():
    even = pd.date_range("2024-03-30 22:00", periods=8, freq="h", tz="Europe/Berlin")
    window = window_data(forecast_rows(even)).series[0]["windows"][0]
    # The clocks change in between: local stamps are then not even, and are listed.
    assert len(window["times"]["numbers"]) == 8
    assert window["times"]["numbers"][0] == pd.Timestamp("2024-03-30 22:00").value // 10**6
    months = window_data(forecast_rows(pd.date_range("2024-01-01", periods=6, freq="MS")))
    assert len(months.series[0]["windows"][0]["times"]["numbers"]) == 6
    days = window_data(forecast_rows(pd.date_range("2024-01-01", periods=6)))
    times = days.series[0]["windows"][0]["times"]
    assert (times["step"], times["n"], times["dates"]) == (86_400_000, 6, True)
    integers = window_data(forecast_rows(np.arange(10, 20)))
    times = integers.series[0]["windows"][0]["times"]
    assert (times["start"], times["step"], times["dates"]) == (10, 1, False)
    text = window_data(forecast_rows(np.array(list("abcd"))))
    assert text.series[0]["windows"][0]["times"] == {"list": list("abcd")}


def test_window_numbers_are_rounded_below_a_pixel_and_gaps_are_null():
    rows = forecast_rows(np.arange(10))
    rows.loc[0, "y"] = np.nan
    rows.loc[9, "y"] = np.inf
    window = window_data(rows).series[0]["windows"][0]
    assert window["y"][0] is None
    assert window["y"][-1] is None
    known = rows["y"].to_numpy()[1:-1]
    np.testing.assert_allclose(window["y"][1:-1], known, atol=np.ptp(known) / 2000)
    np.testing.assert_allclose(window["columns"]["EVE"], 1.23456, atol=np.ptp(known) / 2000)
    json.dumps(window, allow_nan=False)


def test_the_budget_takes_the_first_window_of_each_series_first():
    rows = [
        forecast_rows(np.arange(10)).assign(unique_id=name, cutoff=cutoff)
        for name in "ab"
        for cutoff in (1, 2, 3)
    ]
    whole = window_data(pd.concat(rows))
    size = len(json.dumps(whole.series[0]["windows"][0]))
    part = window_data(pd.concat(rows), budget=size * 2)
    assert [len(entry["windows"]) for entry in part.series] == [2, 1]
    assert part.left_out == 3


def test_health_rows_use_the_last_known_numbers(make_run, tmp_path):
    vitals = make_run(tmp_path / "run").read_parquet("vitals.parquet")
    last = vitals["epoch"] == vitals["epoch"].max()
    expected = vitals.loc[last].set_index("unit")
    vitals.loc[last & (vitals["unit"] == 0), ["use", "dynamic_use"]] = np.nan
    before = vitals.query("epoch == 10 and unit == 0").iloc[0]
    rows = {row["unit"]: row for row in health_rows(vitals)}
    assert rows[0]["use"]["value"] == before["use"]
    assert rows[1]["use"]["value"] == expected.loc[1, "use"]
    assert rows[1]["kl"]["value"] == expected.loc[1, "kl"]
    largest = max(row["use"]["value"] for row in rows.values())
    for row in rows.values():
        parts = row["parts"]
        share = parts["static"] + parts["dynamic"]
        assert share == pytest.approx(100 * row["use"]["value"] / largest, abs=0.11)
