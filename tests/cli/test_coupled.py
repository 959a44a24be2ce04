"""Series that share sources, from the command line."""

import io

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def coupled(tmp_path_factory, vneuron, small):
    """A run with two series whose noise is mostly the same, and its data."""
    folder = tmp_path_factory.mktemp("coupled")
    rng, step = np.random.default_rng(0), np.arange(300)
    common = rng.normal(size=300).cumsum()
    table = pd.DataFrame(
        {
            "date": pd.date_range("2026-01-01", periods=300, freq="h"),
            "north": 50 + common + 0.3 * rng.normal(size=300),
            "south": 20 + np.sin(step * 2 * np.pi / 24) + common + 0.3 * rng.normal(size=300),
        }
    )
    table.to_csv(folder / "wide.csv", index=False)
    options = ("--series", "coupled", "--encoder", "linear", "--features", "window")
    said = vneuron(
        "fit", folder / "wide.csv", *small, *options, "--no-baselines", "--out", folder / "run"
    )
    assert said.code == 0
    return said, folder


def test_fit_says_what_coupling_is_worth(coupled):
    said, folder = coupled
    assert "all series together, coupled (independent): joint NLL" in said.out
    assert (folder / "run" / "coupling.npz").exists()


def test_evaluate_has_the_scores(vneuron, coupled):
    folder = coupled[1]
    said = vneuron("evaluate", folder / "run", folder / "wide.csv", "--json")
    panel = said.json["panel"]
    assert panel["joint_nll"] < panel["joint_nll_independent"]
    assert panel["total_width_80"] > panel["total_width_80_independent"]


def test_a_total_over_series(vneuron, coupled):
    run = coupled[1] / "run"
    said = vneuron("forecast", run, "--aggregate", "sum", "--over", "3", "--across", "--quiet")
    assert said.code == 0
    found = pd.read_csv(io.StringIO(said.out))
    assert found["unique_id"].tolist() == ["total", "total"]
    each = vneuron("forecast", run, "--aggregate", "sum", "--over", "3", "--quiet")
    own = pd.read_csv(io.StringIO(each.out)).groupby("ds")["EVE"].sum()
    np.testing.assert_allclose(found["EVE"], own)


@pytest.mark.parametrize(
    "options", [[], ["--aggregate", "sum", "--paths", "3"], ["--aggregate", "sum", "--lower", "0"]]
)
def test_across_needs_an_aggregate_of_nothing_known(vneuron, coupled, options):
    said = vneuron("forecast", coupled[1] / "run", "--across", *options)
    assert said.code == 2
    assert "--across" in said.err


def test_across_needs_a_coupled_run(vneuron, fitted):
    said = vneuron("forecast", fitted.run, "--aggregate", "sum", "--across")
    assert said.code == 2
    assert "series='coupled'" in said.err
