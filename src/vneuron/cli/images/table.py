"""Scores of codes as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

COLUMNS = {
    "step": "steps",
    "r2_pooled": "R²",
    "r2_pooled_map": "R², mean code",
    "mse": "MSE",
    "zeros": "zeros",
    "distance": "distance",
    "population_sparsity": "population sp.",
    "lifetime_sparsity": "lifetime sp.",
    "change": "‖Δu‖",
}


def print_steps(rows: Iterable[Mapping[str, Any]], images: int) -> None:
    """One row for each number of steps, on standard output."""
    from rich import box
    from rich.console import Console as Terminal
    from rich.table import Table

    from ..console import TABLE_WIDTH

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in COLUMNS))
    terminal = Terminal(width=max(Terminal().width, TABLE_WIDTH))
    terminal.print(f"{images:,} images; R² over all their pixels, of sampled codes and of means")
    terminal.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None or value != value else f"{value:.3f}"
