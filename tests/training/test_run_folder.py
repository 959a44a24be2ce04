"""The run folder: whole files, checksums, and runs that never began leave no trace."""

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest

from vneuron.training.atomic import write_atomic
from vneuron.training.run_folder import RunFolder, RunFolderError
from vneuron.training.vitals_table import VITALS_COLUMNS, VitalsTable


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def finished_run(path, mark="first"):
    with RunFolder.create(path) as run:
        run.write_json("config.json", {"vneuron": "0.1.0", "mark": mark})
        run.write_bytes("checkpoints/last.safetensors", mark.encode())
        run.keep()
        run.write_json("metrics.json", {"mark": mark})
    return run


def failing_run(path, error=ZeroDivisionError, *, checkpoint=False, **options):
    with RunFolder.create(path, **options) as run:
        run.write_json("config.json", {"vneuron": "0", "mark": "second"})
        with run.events() as events:
            events.write("start")
        if checkpoint:
            run.write_bytes("checkpoints/last.safetensors", b"x")
            run.keep()
        raise error


def one_line(error):
    return "\n" not in str(error.value)


# -- creating ----------------------------------------------------------------------------------


def test_create_makes_parents_and_takes_an_empty_folder(tmp_path):
    run = RunFolder.create(tmp_path / "a" / "b")
    assert run.path.is_dir()
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty")


def test_create_refuses_foreign_files_unless_told(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match=r"thesis\.tex.*overwrite=True") as error:
        RunFolder.create(tmp_path)
    assert one_line(error)
    with RunFolder.create(tmp_path, overwrite=True) as run:
        run.write_json("config.json", {"vneuron": "0"})
        run.write_bytes("checkpoints/last.safetensors", b"x")
        run.keep()
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_create_never_takes_foreign_files_of_a_runs_names(tmp_path):
    (tmp_path / "config.json").write_text('{"other": "program"}')
    with pytest.raises(RunFolderError, match="another folder"):
        RunFolder.create(tmp_path, overwrite=True)
    assert json.loads((tmp_path / "config.json").read_text()) == {"other": "program"}


def test_create_refuses_an_earlier_run_unless_told(tmp_path):
    finished_run(tmp_path)
    with pytest.raises(RunFolderError, match=r"earlier run.*overwrite=True"):
        RunFolder.create(tmp_path)
    assert RunFolder.open(tmp_path).read_json("metrics.json") == {"mark": "first"}


def test_create_refuses_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="is a file"):
        RunFolder.create(tmp_path / "file")


# -- failing early -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_failure_before_the_first_checkpoint_leaves_nothing(tmp_path, kind):
    with pytest.raises(kind):
        failing_run(tmp_path / "runs" / "one", kind)
    assert names(tmp_path) == []


def test_a_failure_keeps_a_folder_that_was_there(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(ZeroDivisionError):
        failing_run(tmp_path, overwrite=True)
    assert names(tmp_path) == ["note.txt"]


def test_a_failure_after_the_first_checkpoint_keeps_the_run(tmp_path):
    with pytest.raises(ZeroDivisionError):
        failing_run(tmp_path / "run", checkpoint=True)
    assert RunFolder.open(tmp_path / "run").has_checkpoint


def test_a_failed_overwrite_brings_the_earlier_run_back(tmp_path):
    finished_run(tmp_path)
    before = names(tmp_path)
    with pytest.raises(ZeroDivisionError):
        failing_run(tmp_path, overwrite=True)
    assert names(tmp_path) == before
    run = RunFolder.open(tmp_path)
    run.verify()
    assert run.read_json("config.json")["mark"] == "first"


def test_an_overwrite_that_gets_going_replaces_the_earlier_run(tmp_path):
    finished_run(tmp_path)
    with RunFolder.create(tmp_path, overwrite=True) as run:
        run.write_json("config.json", {"vneuron": "0", "mark": "second"})
        run.write_bytes("checkpoints/last.safetensors", b"second")
        run.keep()
    assert names(tmp_path) == [
        "checkpoints",
        "checkpoints/last.safetensors",
        "checksums.json",
        "config.json",
    ]


def test_after_a_kill_the_next_create_brings_the_earlier_run_back(tmp_path):
    finished_run(tmp_path)
    RunFolder.create(tmp_path, overwrite=True).write_json("config.json", {"vneuron": "killed"})
    with pytest.raises(RunFolderError, match="earlier run"):
        RunFolder.create(tmp_path)
    assert RunFolder.open(tmp_path).read_json("config.json")["mark"] == "first"


def test_a_kill_amid_putting_away_loses_nothing(tmp_path):
    run = finished_run(tmp_path)
    moving = tmp_path / ".previous-run-moving"
    moving.mkdir()
    (tmp_path / "checkpoints").rename(moving / "checkpoints")
    with pytest.raises(RunFolderError, match="earlier run"):
        RunFolder.create(tmp_path)
    run.verify()
    assert not moving.exists()


def test_a_run_killed_before_its_first_checkpoint_is_replaced(tmp_path):
    RunFolder.create(tmp_path / "run").write_json("config.json", {"vneuron": "killed"})
    run = RunFolder.create(tmp_path / "run")
    assert names(run.path) == ["checkpoints"]


def test_a_run_whose_checkpoints_were_deleted_is_not_replaced(tmp_path):
    finished_run(tmp_path)
    (tmp_path / "checkpoints" / "last.safetensors").unlink()
    with pytest.raises(RunFolderError, match="earlier run"):
        RunFolder.create(tmp_path)


# -- opening and checking ----------------------------------------------------------------------


def test_open_says_what_is_wrong(tmp_path):
    with pytest.raises(RunFolderError, match="no such folder"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match="not a run"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "checkpoints/last.safetensors"])
@pytest.mark.parametrize("damage", ["change", "delete", "cut"])
def test_damage_is_named_in_one_line_with_a_cure(tmp_path, name, damage):
    run = finished_run(tmp_path)
    path = tmp_path / name
    data = path.read_bytes()
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(RunFolderError, match=name) as error:
        run.verify()
    assert one_line(error)
    assert any(cure in str(error.value) for cure in ("restore", "another checkpoint", "evaluate"))


def test_a_damaged_configuration_is_reported_as_such(tmp_path):
    finished_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"config\.json: changed"):
        RunFolder.open(tmp_path).read_json("config.json")


def test_damaged_checksums_say_so(tmp_path):
    run = finished_run(tmp_path)
    (tmp_path / "checksums.json").write_text("[]")
    with pytest.raises(RunFolderError, match=r"checksums\.json.*delete it"):
        run.read_json("config.json")


def test_unlisted_files_of_the_wrong_kind_say_so(tmp_path):
    run = finished_run(tmp_path)
    (tmp_path / "vitals.parquet").write_bytes(b"not parquet")
    (tmp_path / "other.json").write_bytes(b"{")
    with pytest.raises(RunFolderError, match="not Parquet") as error:
        run.read_parquet("vitals.parquet")
    assert one_line(error)
    with pytest.raises(RunFolderError, match="not JSON"):
        run.read_json("other.json")


@pytest.mark.parametrize("name", ["../outside.json", "/etc/passwd", ""])
def test_names_stay_inside(tmp_path, name):
    run = finished_run(tmp_path / "run")
    with pytest.raises(RunFolderError, match="inside the run"):
        run.write_bytes(name, b"x")
    with pytest.raises(RunFolderError, match="inside the run"):
        run.read_bytes(name)


def kill_before(monkeypatch, name):
    """Whoever writes the file `name` dies before it."""

    def write(path, data):
        if path.name == name:
            raise SystemExit
        write_atomic(path, data)

    monkeypatch.setattr("vneuron.training.checksums.write_atomic", write)


def test_a_kill_between_checksum_and_file_leaves_a_valid_run(tmp_path, monkeypatch):
    run = finished_run(tmp_path)

    kill_before(monkeypatch, "metrics.json")
    with pytest.raises(SystemExit):
        run.write_json("metrics.json", {"mark": "new"})
    run.verify()
    assert run.read_json("metrics.json") == {"mark": "first"}


def test_two_kills_in_the_same_place_leave_a_valid_run(tmp_path, monkeypatch):
    run = finished_run(tmp_path)

    kill_before(monkeypatch, "metrics.json")
    for mark in ("second", "third"):
        with pytest.raises(SystemExit):
            run.write_json("metrics.json", {"mark": mark})
        run.verify()
        assert run.read_json("metrics.json") == {"mark": "first"}


def test_a_file_that_is_replaced_while_it_is_read_is_not_damaged(tmp_path, monkeypatch):
    run = finished_run(tmp_path)
    writer = RunFolder.open(run.path)
    read = RunFolder._checksums

    def replaced_before_the_list_is_read(self):
        monkeypatch.setattr(RunFolder, "_checksums", read)
        writer.write_json("metrics.json", {"mark": "new"})
        return read(self)

    monkeypatch.setattr(RunFolder, "_checksums", replaced_before_the_list_is_read)
    assert run.read_json("metrics.json") == {"mark": "first"}
    assert run.read_json("metrics.json") == {"mark": "new"}


def test_a_kill_between_a_new_file_and_its_checksum_leaves_a_valid_run(tmp_path, monkeypatch):
    run = finished_run(tmp_path)

    kill_before(monkeypatch, "checksums.json")
    with pytest.raises(SystemExit):
        run.write_json("extra.json", {"mark": "new"})
    run.verify()
    assert run.read_json("extra.json") == {"mark": "new"}


# -- values ------------------------------------------------------------------------------------


def test_json_is_standard_whatever_comes_in(tmp_path):
    run = finished_run(tmp_path)
    value = {
        "nan": float("nan"),
        "inf": np.float32("-inf"),
        "array": np.array([[1.5, np.nan]]),
        "when": pd.Timestamp("2024-01-01"),
        "path": tmp_path,
        "text": "ø </script>",
        3: (True, None, np.int64(4)),
    }
    run.write_json("metrics.json", value)

    def refuse(token):
        raise AssertionError(token)

    assert json.loads((tmp_path / "metrics.json").read_text("utf-8"), parse_constant=refuse) == {
        "nan": None,
        "inf": None,
        "array": [[1.5, None]],
        "when": "2024-01-01T00:00:00",
        "path": str(tmp_path),
        "text": "ø </script>",
        "3": [True, None, 4],
    }


def test_json_refuses_what_has_no_plain_form(tmp_path):
    run = finished_run(tmp_path)
    with pytest.raises(ValueError, match=r"metrics\.json\.model is a object"):
        run.write_json("metrics.json", {"model": object()})
    run.verify()


def test_parquet_round_trip(tmp_path):
    run = finished_run(tmp_path)
    frame = pd.DataFrame(
        {
            "unique_id": ["<script>", "b"],
            "ds": pd.to_datetime(["2024-01-01", "2024-01-02"]).astype("datetime64[ns]"),
            "y": [0.1, np.nan],
            "ok": [True, False],
        },
        index=[7, 3],
    )
    run.write_parquet("forecasts.parquet", frame)
    pd.testing.assert_frame_equal(
        run.read_parquet("forecasts.parquet"), frame.reset_index(drop=True), check_dtype=False
    )


def test_a_pickle_is_data_not_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    run = finished_run(tmp_path / "run")
    for name, read in (("metrics.json", run.read_json), ("vitals.parquet", run.read_parquet)):
        (run.path / name).write_bytes(pickle.dumps(Trap()))
        (run.path / "checksums.json").unlink(missing_ok=True)
        with pytest.raises(RunFolderError):
            read(name)
    assert not (tmp_path / "sprung").exists()


def test_a_failed_write_leaves_the_old_file_and_no_temporary(tmp_path, monkeypatch):
    run = finished_run(tmp_path)
    before = names(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run.write_json("metrics.json", {"mark": "new"})
    monkeypatch.undo()
    assert names(tmp_path) == before
    run.verify()


def test_kill_minus_nine_amid_writes_leaves_whole_files(tmp_path):
    script = textwrap.dedent(
        f"""
        from vneuron.training.run_folder import RunFolder
        run = RunFolder.create({str(tmp_path / "run")!r})
        run.write_json("config.json", {{"vneuron": "0"}})
        for i in range(10**6):
            run.write_json("metrics.json", {{"i": i, "fill": ["x" * 1000] * 2000}})
            if i == 3:
                print("going", flush=True)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "going\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    run = RunFolder.open(tmp_path / "run")
    run.verify()
    assert len(run.read_json("metrics.json")["fill"]) == 2000
    run.sweep()
    assert not [n for n in names(run.path) if n.rpartition("/")[2].startswith(".")]


# -- vitals ------------------------------------------------------------------------------------


def vitals(epoch, **changes):
    row = dict.fromkeys(VITALS_COLUMNS, 0.5)
    row |= {"model": "EVE", "layer": "units", "epoch": epoch, "unit": np.arange(3)}
    return row | {"alive": [True, True, False], "active": True, "verdict": "living"} | changes


def test_vitals_grow_by_epoch_and_take_old_rows_back(tmp_path):
    run = RunFolder.create(tmp_path)
    table = VitalsTable(run)
    for epoch in (1, 2, 3):
        table.append(vitals(epoch, kl=np.full(3, epoch)))
        table.save()
    rows = run.read_parquet("vitals.parquet")
    resumed = VitalsTable(run)
    resumed.append(rows[rows["epoch"] <= 2])
    resumed.append(vitals(3, kl=np.full(3, 3)))
    resumed.save()
    pd.testing.assert_frame_equal(run.read_parquet("vitals.parquet"), table.frame())
    assert len(VitalsTable(run).frame()) == 0


def test_vitals_refuse_other_columns(tmp_path):
    table = VitalsTable(RunFolder.create(tmp_path))
    row = vitals(1, extra=1)
    del row["rate"]
    with pytest.raises(ValueError, match=r"\['rate'\] missing and \['extra'\] unknown"):
        table.append(row)
