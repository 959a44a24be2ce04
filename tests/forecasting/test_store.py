"""Models on disk: what is loaded is what was saved, and a resumed fit is the uninterrupted one."""

import json
import os
import signal

import numpy as np
import pytest
import safetensors.torch

from vneuron.forecasting import DataError, EVEForecaster
from vneuron.forecasting.store import read_config
from vneuron.training.outcome import StopReason
from vneuron.training.run_folder import RunFolder, RunFolderError


def files(path):
    return {
        str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()
    }


def bits(forecaster):
    return {n: v.numpy().tobytes() for n, v in forecaster.model.network.state_dict().items()}


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model"
    fitted.save(path)
    return path


def test_what_is_loaded_is_what_was_saved(fitted, saved, frame):
    again = EVEForecaster.load(saved)
    assert bits(again) == bits(fitted)
    assert again.config == fitted.model.config
    assert again.predict(uncertainty=True).equals(fitted.predict(uncertainty=True))
    assert again.predict(frame).equals(fitted.predict(frame))
    assert again.sample(3, seed=4).equals(fitted.sample(3, seed=4))
    assert again.aggregate("max", over=3).equals(fitted.aggregate("max", over=3))
    assert again.evaluate(frame) == fitted.evaluate(frame)
    assert again.notes == fitted.notes
    assert again.health().units.equals(fitted.health().units)
    assert "fitted" in repr(again)


def test_saving_a_loaded_model_writes_the_same(saved, tmp_path):
    EVEForecaster.load(saved).save(tmp_path / "copy")
    first, second = files(saved), files(tmp_path / "copy")
    assert first.keys() == second.keys()
    for name in first:
        if name not in ("config.json", "checksums.json"):  # the time of writing
            assert first[name] == second[name], name


def test_an_earlier_save_is_replaced_if_asked_to(fitted, saved, make_waves, tiny, tmp_path):
    folder = tmp_path / "model"
    fitted.save(folder)
    other = EVEForecaster(**tiny | {"epochs": 1}).fit(make_waves(series=1))
    before = files(folder)
    with pytest.raises(
        RunFolderError, match="earlier run or model; choose another folder, or pass"
    ):
        other.save(folder)
    assert files(folder) == before
    other.save(folder, overwrite=True)
    assert EVEForecaster.load(folder).predict().equals(other.predict())
    assert other.model.widening is None  # of one short series nothing is told, and nothing stays
    assert files(folder).keys() == files(saved).keys() - {"widening.npz"}


def test_a_folder_holds_no_code(saved):
    known = {"json", "safetensors", "parquet", "npz"}
    assert {name.rpartition(".")[2] for name in files(saved)} <= known
    for path in saved.glob("*.npz"):
        np.load(path, allow_pickle=False)


def test_a_model_can_be_moved(saved, tmp_path, fitted):
    saved.rename(tmp_path / "elsewhere")
    try:
        assert EVEForecaster.load(tmp_path / "elsewhere").predict().equals(fitted.predict())
    finally:
        (tmp_path / "elsewhere").rename(saved)


def test_a_loaded_forecaster_can_be_fitted_again(saved, frame, fitted):
    again = EVEForecaster.load(saved, quiet=True)
    assert bits(again.fit(frame, test_size=48)) == bits(fitted)


@pytest.mark.parametrize(
    "name", ["config.json", "series.parquet", "context.parquet", "checkpoints/best.safetensors"]
)
@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_damage_is_told_in_one_line(saved, tmp_path, name, harm):
    for file, data in files(saved).items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(data)
    if harm == "missing":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(files(saved)[name][:-3] + b"!!\n")
    with pytest.raises(RunFolderError) as error:
        EVEForecaster.load(tmp_path)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_nothing_to_load(tmp_path):
    with pytest.raises(RunFolderError, match="no such folder"):
        EVEForecaster.load(tmp_path / "absent")
    with pytest.raises(RunFolderError, match="not a run"):
        EVEForecaster.load(tmp_path)


def test_saving_refuses_a_folder_that_holds_something(fitted, saved, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunFolderError, match="not empty"):
        fitted.save(tmp_path)
    with pytest.raises(RunFolderError, match="holds an earlier run"):
        fitted.save(saved)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_options_of_another_version_are_named(saved, tmp_path):
    config = json.loads((saved / "config.json").read_text())
    config["model"]["quantum"] = 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"options \['quantum'\] that this version does not know"):
        read_config(RunFolder.open(tmp_path))


def test_runs_from_before_units_had_features_of_their_own_have_none(saved, tmp_path):
    config = json.loads((saved / "config.json").read_text())
    assert config["model"].pop("unit_features") == "own"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_config(RunFolder.open(tmp_path)).unit_features == "shared"


# -- run folders -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(frame, tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    forecaster = EVEForecaster(**tiny | {"epochs": 3})
    return path, forecaster.fit(frame, test_size=48, run_dir=path)


def test_a_run_is_a_model_too(whole, fitted, tiny):
    path, forecaster = whole
    again = EVEForecaster.load(path)
    assert bits(again) == bits(forecaster)
    assert again.predict().equals(forecaster.predict())
    config = RunFolder.open(path).read_json("config.json")
    assert config["seed"] == 0
    assert config["model"]["horizon"] == tiny["horizon"]
    assert config["data"]["series"] == ["s0", "s1"]
    assert config["data"]["test_size"] == 48
    mean, sd = config["data"]["scaling"]["s1"]
    assert (mean, sd) == (forecaster.model.memory.scaling.mean[1],
                          forecaster.model.memory.scaling.sd[1])  # fmt: skip


class InterruptedAfter:
    """Ctrl-C once an epoch is over."""

    def __init__(self, epoch):
        self.epoch = epoch

    def __call__(self, record):
        if record.epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_resumed_fit_is_the_uninterrupted_one(whole, frame, tiny, tmp_path, epoch):
    path, expected = whole
    options = tiny | {"epochs": 3}
    run = tmp_path / "run"
    stopped = EVEForecaster(**options)
    stopped.fit(frame, test_size=48, run_dir=run, on_epoch=InterruptedAfter(epoch))
    assert stopped.outcome.reason is StopReason.INTERRUPTED
    assert np.isfinite(stopped.predict()["EVE"]).all()
    resumed = EVEForecaster(**options).fit(frame, test_size=48, run_dir=run, resume=True)
    assert resumed.outcome.reason is StopReason.COMPLETED
    assert bits(resumed) == bits(expected)
    first, second = files(path), files(run)
    assert first.keys() == second.keys()
    for name in first:
        if name.endswith(".safetensors"):
            one, other = (safetensors.torch.load(f[name]) for f in (first, second))
            assert {n: v.numpy().tobytes() for n, v in one.items()} == {
                n: v.numpy().tobytes() for n, v in other.items()
            }, name
        if name.endswith(".parquet"):
            assert first[name] == second[name], name
    assert not any(".tmp" in name or "/." in name for name in second)


def test_resuming_with_other_options_or_data_is_refused(whole, frame, tiny):
    path, _ = whole
    before = files(path)
    options = tiny | {"epochs": 3}
    with pytest.raises(ValueError, match="was started with units = 3, now 4"):
        EVEForecaster(**options | {"units": 4}).fit(frame, test_size=48, run_dir=path, resume=True)
    for change in (
        {"test_size": 40},
        {"df": frame.assign(y=frame["y"] + 1)},
        {"df": frame[frame["unique_id"] == "s0"]},
    ):
        arguments = {"df": frame, "test_size": 48} | change
        with pytest.raises(DataError, match="other data or another split"):
            EVEForecaster(**options).fit(**arguments, run_dir=path, resume=True)
    assert files(path) == before


def test_an_earlier_run_is_only_replaced_if_told(whole, frame, tiny, tmp_path):
    run = tmp_path / "run"
    EVEForecaster(**tiny | {"epochs": 1}).fit(frame, run_dir=run)
    before = files(run)
    with pytest.raises(RunFolderError, match="holds an earlier run"):
        EVEForecaster(**tiny | {"epochs": 1}).fit(frame, run_dir=run)
    assert files(run) == before
    other = EVEForecaster(**tiny | {"epochs": 1, "seed": 1})
    other.fit(frame, run_dir=run, overwrite=True)
    assert bits(EVEForecaster.load(run)) == bits(other)


@pytest.mark.parametrize(
    "change",
    [
        {"df": "no frame"},
        {"val_size": 0},
        {"test_size": 1000},
        {"train_size": 5},
        {"resume": True, "overwrite": True},
        {"resume": True, "run_dir": None},
    ],
)
def test_a_fit_that_cannot_be_leaves_no_folder(frame, tiny, tmp_path, change):
    arguments = {"df": frame, "run_dir": tmp_path / "a" / "run"} | change
    with pytest.raises(ValueError, match=r"."):
        EVEForecaster(**tiny).fit(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_that_breaks_before_its_first_epoch_leaves_no_folder(
    frame, tiny, tmp_path, monkeypatch
):
    def broken(self, module):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("vneuron.forecasting.task.TrajectoryTask.validate", broken)
    with pytest.raises(RuntimeError, match="disk is full"):
        EVEForecaster(**tiny).fit(frame, run_dir=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
