"""Workers, parents and servers that are killed: nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.trial import FrozenTrial
from small_search import SMALL, SPACE, Postgres, free_port

import vneuron as vn
from vneuron.autopilot.leases import MAX_ATTEMPTS, Owner, reclaim
from vneuron.autopilot.pruner import PROGRESS
from vneuron.autopilot.storage import open_storage
from vneuron.autopilot.study import open_study


def dead_process() -> dict[str, object]:
    """The signature of a process that has been."""
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    return {"host": Owner().host, "pid": child.pid, "started": "1", "at": time.time()}


@pytest.fixture(params=["sqlite", "journal"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    url = f"sqlite:///{tmp_path}/s.db" if request.param == "sqlite" else f"journal:{tmp_path}/s.log"
    return open_study(url, "s", vn.AutoPilot(6, 12, space=SPACE, **SMALL).plan)[0]


def test_a_dead_workers_trial_is_tried_again_with_the_same_options(study: optuna.Study) -> None:
    trial = study.ask()
    units = trial.suggest_categorical("units", [2, 4])
    trial.set_user_attr(PROGRESS, {"owner": dead_process(), "total": 3, "epochs": []})
    assert reclaim(study, Owner()) == [trial.number]
    again = study.ask()
    assert again.number != trial.number
    assert again.suggest_categorical("units", [2, 4]) == units
    assert again.user_attrs["retry_of"] == trial.number
    assert study.trials[trial.number].state is optuna.trial.TrialState.FAIL


def test_a_living_workers_trial_is_left_alone(study: optuna.Study) -> None:
    trial = study.ask()
    owner = Owner()
    trial.set_user_attr(PROGRESS, {"owner": owner.sign(), "total": 3, "epochs": []})
    assert reclaim(study, owner) == []
    elsewhere = owner.sign() | {"host": "another", "at": time.time() - 30}
    trial.set_user_attr(PROGRESS, {"owner": elsewhere, "total": 3, "epochs": []})
    assert reclaim(study, owner) == []
    trial.set_user_attr(PROGRESS, {"owner": elsewhere | {"at": 0.0}, "total": 3, "epochs": []})
    assert reclaim(study, owner) == [trial.number]


def test_a_configuration_that_kills_its_workers_is_given_up(study: optuna.Study) -> None:
    for _ in range(MAX_ATTEMPTS):
        trial = study.ask()
        trial.suggest_categorical("units", [2, 4])
        trial.set_user_attr(PROGRESS, {"owner": dead_process(), "total": 3, "epochs": []})
        reclaim(study, Owner())
    waiting = [t for t in study.trials if t.state is optuna.trial.TrialState.WAITING]
    assert waiting == []


def start(folder: Path, data: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vneuron", "autopilot", str(data), "-H", "6", "-L", "12"]
    for name, value in (SMALL | {"epochs": 20, "patience": 0}).items():
        command += ["--set", f"{name}={value}"]
    space = folder.parent / "space.yaml"
    space.write_text(json.dumps(SPACE))
    command += ["--space", str(space), "--steps", "10", "--seeds", "0", "--out", str(folder)]
    return subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def data(frame: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False)
    return path


def running(url: str, other_than: int = 0, seconds: float = 180.0) -> FrozenTrial:
    """A trial that has begun to learn, of another process than one that is known."""
    end = time.monotonic() + seconds
    storage = open_storage(url)
    try:
        while time.monotonic() < end:
            for trial in _begun(storage):
                if pid_of(trial) != other_than:
                    return trial
            time.sleep(0.1)
    finally:
        _close(storage)
    pytest.fail("no trial began")


def _appears(folder: Path) -> str:
    """The address of a search's storage, once there is one: opening it would make it."""
    end = time.monotonic() + 120
    while not (folder / "search.json").exists() and time.monotonic() < end:
        time.sleep(0.1)
    return f"sqlite:///{folder}/study.db"


def _begun(storage: optuna.storages.BaseStorage) -> list[FrozenTrial]:
    try:
        study = optuna.load_study(study_name="autopilot", storage=storage)
    except KeyError:
        return []
    found = study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
    return [trial for trial in found if trial.user_attrs.get(PROGRESS, {}).get("epochs")]


def _close(storage: optuna.storages.BaseStorage) -> None:
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def pid_of(trial: FrozenTrial) -> int:
    return int(trial.user_attrs[PROGRESS]["owner"]["pid"])


@pytest.mark.slow
def test_kill_9_of_a_worker_loses_nothing(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    parent = start(folder, data, "--trials", "5", "--workers", "2", "--json")
    lost = running(_appears(folder))
    os.kill(pid_of(lost), signal.SIGKILL)
    out, err = parent.communicate(timeout=300)
    assert parent.returncode == 0, err
    result = json.loads(out)
    assert result["trials"] >= 5
    trials = pd.read_parquet(folder / "trials.parquet")
    retries = trials[trials["retry_of"] == lost.number]
    assert len(retries) == 1
    assert retries.iloc[0]["state"] in ("complete", "pruned")
    assert vn.EVEForecaster.load(result["run"]).config.horizon == 6


@pytest.mark.slow
def test_kill_9_of_the_parent_loses_nothing(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    url = f"sqlite:///{folder}/study.db"
    parent = start(folder, data, "--trials", "5", "--workers", "2")
    worker = pid_of(running(_appears(folder)))
    parent.kill()
    parent.communicate()
    for _ in range(600):  # workers see that they are alone and give their trial back
        if not Path(f"/proc/{worker}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{worker}").exists()
    before = optuna.load_study(study_name="autopilot", storage=url).trials
    again = start(folder, data, "--trials", "5", "--workers", "2", "--resume", "--json")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert json.loads(out)["trials"] >= 5
    after = optuna.load_study(study_name="autopilot", storage=url).trials
    kept = [t.number for t in before if t.state is optuna.trial.TrialState.COMPLETE]
    assert all(after[n].values == before[n].values for n in kept)  # noqa: PD011


@pytest.mark.slow
def test_two_hosts_on_one_postgresql_that_is_killed(
    data: Path, tmp_path: Path, postgres: Postgres
) -> None:
    shared = ["--storage", postgres.url, "--trials", "6"]
    leader = start(tmp_path / "one", data, *shared, "--json")
    first = pid_of(running(postgres.url))
    other = start(tmp_path / "two", data, *shared, "--join")
    running(postgres.url, other_than=first)
    postgres.kill()
    time.sleep(1.0)
    postgres.start()
    out, err = leader.communicate(timeout=300)
    assert leader.returncode == 0, err
    _, other_err = other.communicate(timeout=300)
    assert other.returncode == 0, other_err
    result = json.loads(out)
    assert result["trials"] >= 6
    storage = open_storage(postgres.url)
    try:
        trials = optuna.load_study(study_name="autopilot", storage=storage).trials
    finally:
        _close(storage)
    done = [trial for trial in trials if trial.state.is_finished() and PROGRESS in trial.user_attrs]
    assert len({pid_of(trial) for trial in done}) == 2


def test_a_proxy_is_a_storage(tmp_path: Path) -> None:
    """Optuna's gRPC proxy in front of SQLite, in a process of its own."""
    pytest.importorskip("grpc", reason="no gRPC: pip install '.[grpc]'")
    port = free_port()
    serve = (
        "import optuna, sys\n"
        "storage = optuna.storages.RDBStorage(sys.argv[1])\n"
        "optuna.storages.run_grpc_proxy_server(storage, host='127.0.0.1', port=int(sys.argv[2]))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", serve, f"sqlite:///{tmp_path}/s.db", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        plan = vn.AutoPilot(6, 12, space=SPACE, **SMALL).plan
        study, stored = open_study(f"grpc://127.0.0.1:{port}", "s", plan)
        assert stored == plan
        trial = study.ask()
        trial.set_user_attr(PROGRESS, {"owner": dead_process(), "total": 3, "epochs": []})
        trial.suggest_categorical("units", [2, 4])
        assert reclaim(study, Owner()) == [trial.number]
    finally:
        server.kill()
        server.wait()
