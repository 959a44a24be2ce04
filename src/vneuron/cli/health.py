"""`vneuron health`: how a run's units are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import options
from .console import print_json

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["layer", "unit", "kl", "rate", "use", "dynamic_use", "outcome_information", "verdict"]


def run(
    run: options.RunPath,
    seed: options.Seed = None,
    device: options.Device = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Vitals and verdict of every unit; exit code 1 where a layer is sick."""
    from ..forecasting.comparison import health_facts
    from ..forecasting.store import read_model
    from ..training.run_folder import RunFolder

    judged = read_model(RunFolder.open(run), device=device, seed=seed).health()
    if json:
        print_json({**health_facts(judged), "units": judged.units.to_dict(orient="records")})
    elif not quiet:
        print_units(judged.units, str(judged))
    return 0 if judged.ok else 1


def print_units(units: pd.DataFrame, summary: str) -> None:
    """One row per unit, then the conclusion."""
    from rich.console import Console as Terminal
    from rich.table import Table

    table = Table(
        title="units; KL, rate and information in nats, use in nats per window",
        title_justify="left",
    )
    for name in COLUMNS:
        table.add_column(name.replace("_", " "), justify="left" if name == "verdict" else "right")
    for row in units[COLUMNS].itertuples(index=False):
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    terminal = Terminal()
    terminal.print(table)
    terminal.print(summary, highlight=False)
