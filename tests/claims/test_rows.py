"""A study can be stopped anywhere; what is there is not computed again."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from checkpoints import chosen, penalty, valid
from early_signal import draw
from study.blocks import fill, table
from study.corruption import CORRUPTIONS
from study.data_sets import find
from study.rows import UNFINISHED, Study


def test_rows_are_kept_and_not_made_again(tmp_path: Path) -> None:
    made = []

    def row() -> dict[str, object]:
        made.append(1)
        return {"mse": 1.0, "nan": float("nan"), "config": {"seed": 0}, "cpu_seconds": 1.0}

    for _ in range(2):
        study = Study("a study", tmp_path)
        study.run("ETTh1 k 2, equal N·k 0", row)
        study.run("ETTh1 k 4, equal N·k 0", row)
        assert study.finish() == 0
    frame = pd.read_parquet(tmp_path / "a study.parquet")
    assert len(made) == 2
    assert len(frame) == 2
    assert frame["nan"].isna().all()
    assert json.loads(frame["config"][0]) == {"seed": 0}
    assert not list(tmp_path.rglob("*.part"))


def test_keys_that_differ_are_kept_apart(tmp_path: Path) -> None:
    study = Study("s", tmp_path)
    for key in ("ETTh1 N·k 0", "ETTh1 N k 0"):
        study.run(key, lambda: {"cpu_seconds": 0.0})
    assert len(list((tmp_path / "s").glob("*.json"))) == 2


def test_time_that_is_up_leaves_runs_for_later(tmp_path: Path) -> None:
    study = Study("s", tmp_path, seconds=0.0)
    study.run("a", lambda: pytest.fail("was begun"))
    assert study.finish() == UNFINISHED


def test_draws_are_the_same_each_time_and_differ() -> None:
    assert draw(3) == draw(3)
    assert len({json.dumps(draw(n)) for n in range(40)}) == 40


def test_papers_rule_prefers_valid_epochs_then_the_smallest_penalty() -> None:
    good = {"outside": 0.3, "below": 0.2, "above": 0.1, "healthy": True}
    sick = {"outside": 0.9, "below": 0.1, "above": 0.8, "healthy": False}
    less = {**sick, "outside": 0.6, "above": 0.5}
    epochs = [
        {"epoch": 2, "val": 0.5, **good},
        {"epoch": 3, "val": 0.4, **sick},
        {"epoch": 4, "val": 0.6, **less},
    ]
    assert valid(epochs[0])
    assert not valid({**epochs[0], "epoch": 1})
    assert penalty(good) == 0.0
    assert chosen(epochs)["score"]["epoch"] == 3
    assert chosen(epochs)["band"]["epoch"] == chosen(epochs)["verdict"]["epoch"] == 2
    assert chosen(epochs[1:])["band"]["epoch"] == 4


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruption_changes_a_copy(kind: str) -> None:
    context = torch.randn(16, 64)
    before = context.clone()
    found = CORRUPTIONS[kind](context, torch.Generator().manual_seed(0))
    again = CORRUPTIONS[kind](context, torch.Generator().manual_seed(0))
    assert torch.equal(context, before)
    assert torch.equal(found, again)
    assert found.shape == context.shape
    assert not torch.equal(found, context)


def test_tables_between_marks_are_written_and_prose_stays() -> None:
    page = "a\n<!-- claims: x y -->\nold\n<!-- end -->\nb\n"
    assert fill(page, lambda name: f"[{name}]") == (
        "a\n<!-- claims: x y -->\n[x y]\n<!-- end -->\nb\n"
    )
    assert table(("a",), [("1",)]) == "| a |\n|---|\n| 1 |"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no ETTh1.csv or ETTh1.csv.gz below"):
        find(tmp_path, "ETTh1.csv")
