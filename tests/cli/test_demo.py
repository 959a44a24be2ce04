"""`vneuron demo`: real series from a dependency, a table, and a report; seconds, no download."""

import pytest

pytest.importorskip("statsmodels", reason="the demonstration's data ship with statsmodels")


def test_the_demonstration(vneuron, place):
    said = vneuron("demo", "--json", "--device", "cpu")
    assert said.code == 0, said.err
    assert said.out.count("\n") == 1
    found = said.json
    assert found["run"] == "runs/demo"
    assert (place / "runs" / "demo" / "report.html").exists()
    scores = found["test"]
    assert {"EVE", "twin", "seasonal_naive"} <= scores.keys()
    # what the page claims: better points than repeating seasons, and dependence that is worth it
    assert scores["EVE"]["crps"] < scores["seasonal_naive"]["crps"]
    assert scores["EVE"]["joint_nll"] < scores["twin"]["joint_nll"] - 0.1
    assert 0.6 < scores["EVE"]["path_coverage_80"] < 0.95
    # where it stands is .160 and -.778; a change of training that passed every other test once
    # left .183 and -.671, and this is between
    assert scores["EVE"]["crps"] < 0.172
    assert scores["EVE"]["joint_nll"] < -0.72
    assert "masked" in said.err  # gaps are real, and told


def test_without_statsmodels_it_names_the_extra(vneuron, place, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "statsmodels.datasets", None)
    said = vneuron("demo")
    assert said.code == 2
    assert "pip install 'vneuron[demo]'" in said.err
    assert list(place.iterdir()) == []
