"""The event log: append-only, torn ends tolerated, cut back on resume."""

import json
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.training.events import EventWriter, read_events


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def epochs(path):
    return [event["epoch"] for event in read_events(path)]


def test_events_are_readable_at_once_in_order(path):
    assert read_events(path) == []
    with EventWriter(path) as events:
        for epoch in range(3):
            events.write("epoch", epoch=epoch, loss=np.float32(0.5), alive=torch.tensor(0.25))
            assert epochs(path) == list(range(epoch + 1))
    event = read_events(path)[0]
    assert event.pop("time").endswith("+00:00")
    assert event == {"event": "epoch", "epoch": 0, "loss": 0.5, "alive": 0.25}


def test_undefined_numbers_are_null_and_text_stays_on_one_line(path):
    with EventWriter(path) as events:
        events.write("note", loss=float("nan"), text="a\nb\u2028c")
    assert len(path.read_bytes().splitlines()) == 1
    event = read_events(path)[0]
    assert event["loss"] is None
    assert event["text"] == "a\nb\u2028c"


def test_refused_events_leave_no_part(path):
    with EventWriter(path) as events:
        with pytest.raises(ValueError, match="model is a object"):
            events.write("start", model=object())
        events.write("start")
    assert [event["event"] for event in read_events(path)] == ["start"]


@given(cut=st.integers(0, 400))
def test_any_cut_leaves_whole_events_that_can_be_continued(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    with EventWriter(path) as events:
        for epoch in range(4):
            events.write("epoch", epoch=epoch, name="série")
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    whole = data.count(b"\n")
    assert epochs(path) == list(range(whole))
    with EventWriter(path) as events:
        events.write("epoch", epoch=whole)
    assert epochs(path) == list(range(whole + 1))


def test_resume_cuts_what_came_after_the_checkpoint(path):
    with EventWriter(path) as events:
        events.write("epoch", epoch=1)
        mark = events.position()
        assert mark == path.stat().st_size
        events.write("epoch", epoch=2)
    with EventWriter(path, position=mark) as events:
        events.write("epoch", epoch=20)
    assert epochs(path) == [1, 20]
    with EventWriter(path, position=10**6):
        assert epochs(path) == [1, 20]
    with EventWriter(path, position=mark + 5):
        assert epochs(path) == [1]
    with EventWriter(path, position=0):
        assert epochs(path) == []


def test_negative_position_is_refused(path):
    with pytest.raises(ValueError, match="-1 is negative"):
        EventWriter(path, position=-1)


def test_a_damaged_line_inside_is_named(path):
    path.write_bytes(b'{"event": "a"}\n{"event"\n{"event": "b"}\n')
    with pytest.raises(ValueError, match="line 2"):
        read_events(path)
    path.write_bytes(b'{"event": "a"}\n3\n')
    with pytest.raises(ValueError, match="line 2"):
        read_events(path)


def test_kill_minus_nine_loses_no_written_event(path):
    script = textwrap.dedent(
        f"""
        from vneuron.training.events import EventWriter
        events = EventWriter({str(path)!r})
        for i in range(10**7):
            events.write("step", step=i)
            print(i, flush=True)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    for _ in range(50):
        acknowledged = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    steps = [event["step"] for event in read_events(path)]
    assert len(steps) > acknowledged
    assert steps == list(range(len(steps)))
    with EventWriter(path) as events:
        events.write("interrupted")
    assert json.loads(path.read_bytes().splitlines()[-1])["event"] == "interrupted"
