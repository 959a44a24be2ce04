"""A search from beginning to end: what it leaves, and that nothing is lost on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from small_search import SMALL, SPACE

import vneuron as vn
from vneuron.autopilot.budget import Budget
from vneuron.autopilot.storage import open_storage, shown
from vneuron.training.run_folder import RunFolder


def pilot(**options: object) -> vn.AutoPilot:
    settings = {"trials": 4, "seeds": 2, "steps": 4, "space": SPACE, "quiet": True}
    return vn.AutoPilot(6, 12, **(settings | SMALL | options))


@pytest.fixture(scope="module")
def searched(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("search")
    return pilot().fit(frame, run_dir=folder / "s"), folder / "s"


def test_the_winner_is_an_ordinary_run(searched, frame: pd.DataFrame) -> None:
    found, folder = searched
    forecaster = vn.EVEForecaster.load(folder / "best")
    assert forecaster.config.as_dict() == found.result["best"]
    assert forecaster.evaluate(frame)["crps"] > 0
    assert found.forecaster.health().counts
    RunFolder.open(folder / "best").verify()
    assert (folder / "best" / "report.html").is_file()


def test_the_result_says_what_was_found(searched) -> None:
    found, folder = searched
    result = json.loads((folder / "result.json").read_text())
    assert {"best", "pareto", "run", "trials", "seconds"} <= found.result.keys()
    assert result["trials"] == 4
    assert result["chosen"]["trial"] in [entry["trial"] for entry in result["pareto"]]
    assert result["comparison"]["seeds"] == 2
    assert result["comparison"]["windows"] == "test"
    assert {"winner", "twin"} <= result["comparison"]["scores"].keys()


def test_the_default_configuration_is_the_first_trial(searched) -> None:
    found, _ = searched
    first = found.trials.iloc[0]
    assert first["default"]
    assert json.loads(first["options"])["units"] == 4


def test_every_trial_keeps_its_curve_and_its_vitals(searched) -> None:
    found, _ = searched
    epochs = json.loads(found.trials.iloc[0]["epochs"])
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert {"score", "seconds", "kl", "active", "out_of_band", "faults"} <= epochs[0].keys()


def test_the_page_needs_no_network(searched) -> None:
    _, folder = searched
    page = (folder / "autopilot.html").read_text()
    assert 'http-equiv="Content-Security-Policy"' in page
    assert "<script src" not in page
    assert "vneuron fit" in page


def test_the_reproduce_command_trains_the_same_model(searched, frame: pd.DataFrame) -> None:
    from typer.main import get_command

    from vneuron.cli.app import app as command

    _, folder = searched
    words = json.loads((folder / "result.json").read_text())["reproduce"]
    data = folder / "data.csv"
    frame.to_csv(data, index=False)
    again = folder / "again"
    words = [*words[1:], "--out", str(again), "--no-baselines", "--quiet"]
    words[words.index("DATA")] = str(data)
    assert get_command(command).main(words, standalone_mode=False) == 0
    one, other = (
        vn.EVEForecaster.load(place).predict(frame).to_numpy()[:, 2:].astype(float)
        for place in (folder / "best", again)
    )
    assert (one == other).all()


def test_the_same_seed_searches_the_same(searched, frame: pd.DataFrame, tmp_path: Path) -> None:
    found, _ = searched
    again = pilot(seeds=0).fit(frame, run_dir=tmp_path / "s")
    columns = ["state", "options", "joint_nll", "parameters"]
    assert again.trials[columns].equals(found.trials[columns])


def test_a_study_goes_on_where_it_stopped(frame: pd.DataFrame, tmp_path: Path) -> None:
    before = pilot(trials=2, seeds=0).fit(frame, run_dir=tmp_path / "s").trials["options"]
    more = pilot(trials=4, seeds=0).fit(frame, run_dir=tmp_path / "s", resume=True)
    after = more.trials["options"]
    assert after.iloc[:2].equals(before)
    assert after.nunique() == 4  # going on draws nothing again
    assert more.result["trials"] == 4


def test_a_study_in_the_way_is_not_overwritten(frame: pd.DataFrame, tmp_path: Path) -> None:
    pilot(trials=1, seeds=0).fit(frame, run_dir=tmp_path / "s")
    with pytest.raises(ValueError, match="holds a study 'autopilot' already"):
        pilot(trials=1, seeds=0).fit(frame, run_dir=tmp_path / "s")
    with pytest.raises(ValueError, match="was begun with epochs = 3, now 2"):
        pilot(trials=1, epochs=2).fit(frame, run_dir=tmp_path / "s", resume=True)
    other = frame.assign(y=frame["y"] + 1.0)
    with pytest.raises(ValueError, match="was begun with data"):
        pilot(trials=1).fit(other, run_dir=tmp_path / "s", resume=True)


@pytest.mark.parametrize(
    ("storage", "message"), [("foo:bar", "foo:bar: expected sqlite"), (None, "holds a study")]
)
def test_the_storage_is_checked_before_anything_is_tried(
    searched,
    frame: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    storage: str | None,
    message: str,
) -> None:
    def tried(*_: object, **__: object) -> None:
        raise AssertionError("the data were prepared first")

    monkeypatch.setattr("vneuron.autopilot.search.prepare", tried)
    with pytest.raises(ValueError, match=message):
        pilot(storage=storage).fit(frame, run_dir=searched[1])


def test_folds_are_judged_together(frame: pd.DataFrame, tmp_path: Path) -> None:
    found = pilot(trials=1, folds=2, seeds=0).fit(frame, run_dir=tmp_path / "s")
    alone = pilot(trials=1, folds=1, seeds=0).fit(frame, run_dir=tmp_path / "t")
    assert found.trials["joint_nll"][0] != alone.trials["joint_nll"][0]
    epochs = [json.loads(f.trials["epochs"][0]) for f in (found, alone)]
    scores = [[epoch["score"] for epoch in curve] for curve in epochs]
    assert scores[0] == scores[1]  # the first fold is the search without folds


def test_time_is_kept_and_leaves_a_model(frame: pd.DataFrame, tmp_path: Path) -> None:
    found = pilot(trials=None, time=8.0, seeds=1).fit(frame, run_dir=tmp_path / "s")
    assert found.result["trials"] >= 1
    assert vn.EVEForecaster.load(found.result["run"]).config.horizon == 6


def test_the_first_trial_is_awaited(frame: pd.DataFrame, tmp_path: Path) -> None:
    found = pilot(trials=None, time=0.01, seeds=1).fit(frame, run_dir=tmp_path / "s")
    assert found.result["states"] == {"complete": 1, "pruned": 0, "failed": 0}
    assert any("longer than --time" in note for note in found.result["notes"])
    assert vn.EVEForecaster.load(found.result["run"]).config.horizon == 6


def test_workers_await_the_first_trial_too(frame: pd.DataFrame, tmp_path: Path) -> None:
    searching = pilot(trials=None, time=0.01, seeds=1, workers=2)
    found = searching.fit(frame, run_dir=tmp_path / "s")
    assert found.result["states"]["complete"] >= 1
    assert vn.EVEForecaster.load(found.result["run"]).config.horizon == 6


@pytest.mark.parametrize("goal", ["lexicographic", "quality"])
@pytest.mark.parametrize("pruner", ["hyperband", "vitals"])
def test_other_goals(frame: pd.DataFrame, tmp_path: Path, goal: str, pruner: str) -> None:
    found = pilot(goal=goal, pruner=pruner, seeds=0, objectives=["crps"]).fit(
        frame, run_dir=tmp_path / "s"
    )
    assert len(found.result["pareto"]) >= 1


def test_a_function_is_a_space(frame: pd.DataFrame, tmp_path: Path) -> None:
    found = pilot(
        space=lambda trial: {"units": trial.suggest_int("units", 2, 3)}, trials=2, seeds=0
    )
    assert found.fit(frame, run_dir=tmp_path / "s").result["best"]["units"] in (2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ["parameters"]}, "expected a quality first"),
        ({"goal": "best"}, "goal is 'best'"),
        ({"pruner": "median"}, "with several objectives"),
        ({"sampler": "grid"}, "sampler is 'grid'"),
        ({"folds": 0}, "folds is 0"),
        ({"trials": 0}, "trials is 0"),
        ({"time": -1.0}, "time is -1.0"),
        ({"workers": 0}, "workers is 0"),
        ({"colour": "red"}, "option 'colour'"),
        ({"space": {"unit": [1]}}, "unit is no option"),
        ({"epochs": 0}, "epochs is 0"),
    ],
)
def test_options_are_checked_before_any_data_is_read(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pilot(**options)


def test_a_function_cannot_be_sent_to_other_processes(frame: pd.DataFrame, tmp_path: Path) -> None:
    found = pilot(space=lambda trial: {"units": 2}, workers=2)
    with pytest.raises(ValueError, match="put it into a file"):
        found.fit(frame, run_dir=tmp_path / "s")


def test_an_unfitted_pilot_says_so() -> None:
    with pytest.raises(ValueError, match="has not been run"):
        _ = pilot().result
    with pytest.raises(ValueError, match="expected at least one"):
        Budget()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://x", "expected sqlite"),
        ("journal:/nowhere/at/all.log", "no folder"),
        ("grpc://host", "give grpc://HOST:PORT"),
        ("postgresql://ada:secret@127.0.0.1:1/x", r"ada:\*\*\*@.*nothing answers there"),
    ],
)
def test_a_storage_that_is_none_is_named(url: str, message: str) -> None:
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg")
    with pytest.raises(ValueError, match=message):
        open_storage(url)
    assert "secret" not in shown(url)
