"""What the person at the terminal sees, and where nothing may be seen."""

import io

import pytest
from rich.console import Console
from small_task import SmallTask

from vneuron.training.config import TrainingConfig
from vneuron.training.loop import Trainer
from vneuron.training.progress import (
    BarProgress,
    LineProgress,
    SilentProgress,
    choose_progress,
)
from vneuron.training.record import EpochRecord

RECORD = EpochRecord("EVE", 2, 8, 2.0, 1.5, 0.5, 0.75, {"val_nll": 1.25}, True, 3.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def short(quiet):
    settings = {"epochs": 2, "batch_size": 16, "min_steps_per_epoch": 4, "device": "cpu"}
    return Trainer(TrainingConfig(**settings, quiet=quiet))


def test_the_kind_follows_from_quiet_and_the_stream():
    assert isinstance(choose_progress(True, Terminal()), SilentProgress)
    assert isinstance(choose_progress(False, Terminal()), BarProgress)
    assert isinstance(choose_progress(False, io.StringIO()), LineProgress)


def test_away_from_a_terminal_each_epoch_is_one_line_on_standard_error(capsys):
    short(quiet=False).fit(SmallTask(scores=[2.0, 3.0]))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 3
    assert lines[0].startswith("EVE 1/2  loss ")
    assert "KL " in lines[0]
    assert "alive 100%" in lines[0]
    assert "val_nll 2.000 *" in lines[0]
    assert "val_nll 3.000  " in lines[1]
    assert lines[2].startswith("EVE: ")
    assert "\x1b" not in err


def test_quiet_is_silent(capfd):
    short(quiet=True).fit(SmallTask())
    assert capfd.readouterr() == ("", "")


def test_the_bar_shows_epoch_numbers_score_and_time():
    stream = io.StringIO()
    progress = BarProgress(Console(file=stream, force_terminal=True, width=120))
    progress.start("EVE", epochs=3, steps=4, done=0)
    progress.advance(1, 4, {"loss": 2.0, "kl": 0.5, "alive": 1.0})
    progress.epoch(RECORD, "val_nll")
    progress.advance(3, 9, {"loss": 123456.0, "kl": 0.5, "alive": None})
    progress.close("EVE: done [not markup].")
    shown = stream.getvalue()
    for part in ("EVE 1/3", "loss 2.000", "KL 0.500", "alive 100%", "val_nll 1.250 *", "left"):
        assert part in shown
    assert "1.23e+05" in shown
    assert "EVE: done [not markup]." in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor comes back


def test_the_cursor_comes_back_after_an_error(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")

    def fail(task):
        raise LookupError

    with pytest.raises(LookupError):
        short(quiet=False).fit(SmallTask(at={6: fail}))
    shown = stream.getvalue()
    assert "EVE 1/2" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0


def test_a_name_is_taken_only_once():
    with pytest.raises(ValueError, match="'kl'"):
        EpochRecord("EVE", 1, 1, 1.0, 1.0, 1.0, None, {"val": 1.0}, True, 1.0, logs={"kl": 1.0})
    with pytest.raises(ValueError, match="'val'"):
        EpochRecord("EVE", 1, 1, 1.0, 1.0, 1.0, None, {"val": 1.0}, True, 1.0, logs={"val": 1.0})
