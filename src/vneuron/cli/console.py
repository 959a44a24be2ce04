"""What the commands say, and where: results on standard output, all else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..forecasting.data.rows import Floats
    from ..forecasting.model import FittedModel

COLUMNS = {
    "mse": "MSE",
    "crps": "CRPS",
    "nll": "NLL",
    "coverage_80": "in 80%",
    "joint_nll": "joint NLL",
    "path_crps": "path CRPS",
    "path_coverage_80": "path in 80%",
    "energy": "energy",
}

PANEL = {
    "joint_nll": "joint NLL per step and series",
    "energy": "energy",
    "total_coverage_80": "total in 80%",
    "total_path_coverage_80": "its path in 80%",
}

TABLE_WIDTH = 100
"""A narrower terminal wraps lines, which loses less than cutting numbers does."""


class Console:
    """Messages for people, which `--quiet` silences, and results for whoever asked.

    Args:
        quiet: say nothing but results and errors.

    Example:
        >>> Console(quiet=True).say("reading")
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, text: str) -> None:
        """One line on standard error."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    def notes(self, notes: Iterable[str]) -> None:
        """What was assumed about the data, and what was done to it."""
        for note in notes:
            self.say(f"note: {note}")

    def followed(self, model: FittedModel) -> None:
        """How far the next forecasts are moved and scaled by recent errors, and by how many."""
        followed = model.followed
        if followed is None or not followed.forecasts:
            self.say("note: no row has come since the fit: forecasts are as fitted")
            return
        shift, spread = model.next_followed()
        moved = f"moved by {_range(shift)} scales" if shift.any() else "not moved"
        self.say(
            f"next forecasts: spread × {_range(spread)}, {moved}, by {followed.forecasts:,} "
            "forecasts since the fit"
        )


def _range(values: Floats) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output; numbers that are not finite become null."""
    from ..training.plain import plain

    print(json.dumps(plain(dict(value)), allow_nan=False, ensure_ascii=False))  # noqa: T201


def print_scores(scores: Mapping[str, Mapping[str, Any]], windows: int) -> None:
    """A table of models and scores on standard output; the best of each column is marked."""
    from rich import box
    from rich.console import Console as Terminal
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("model", no_wrap=True)
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for name in scores:
        cells = [_cell(scores, name, key) for key in COLUMNS]
        table.add_row(name, *cells, style="bold" if name == "EVE" else "")
    terminal = Terminal(width=max(Terminal().width, TABLE_WIDTH))
    terminal.print(f"{windows:,} test windows; training standard deviations, nats per step")
    terminal.print(table)


def print_panel(scores: Mapping[str, float] | None) -> None:
    """One line on standard output: what coupling is worth, where series are coupled."""
    if scores is None:
        return
    both = {name: (scores[name], scores[f"{name}_independent"]) for name in PANEL}
    said = ", ".join(
        f"{PANEL[name]} {own:.3f} ({alone:.3f})" for name, (own, alone) in both.items()
    )
    print(f"all series together, coupled (independent): {said}")  # noqa: T201


def _cell(scores: Mapping[str, Mapping[str, Any]], name: str, key: str) -> str:
    value = scores[name].get(key)
    if value is None:
        return "–"
    known = [own[key] for own in scores.values() if own.get(key) is not None]
    target = {"coverage_80": 0.8, "path_coverage_80": 0.8}.get(key)
    best = min(known) if target is None else min(known, key=lambda v: abs(v - target))
    return f"[green]{value:.3f}[/green]" if value == best else f"{value:.3f}"
