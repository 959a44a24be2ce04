"""`vneuron evaluate`: a run's models on the rows after its fit."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from . import options
from .console import Console, print_json, print_panel, print_scores


def run(
    run: options.RunPath,
    data: options.DataPath,
    step: Annotated[int, typer.Option(help="Rows between windows.")] = 1,
    update: Annotated[
        bool,
        typer.Option("--update", help="Write the scores and a new report into the run folder."),
    ] = False,
    follow: options.Follow = False,
    id_col: options.IdCol = None,
    time_col: options.TimeCol = None,
    target: options.Target = None,
    freq: options.Freq = None,
    missing: options.Missing = None,
    duplicates: options.Duplicates = None,
    exogenous: options.Exogenous = None,
    delimiter: options.Delimiter = None,
    seed: options.Seed = None,
    device: options.Device = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Score the run's models on its test rows of DATA; target and scaling are the fit's."""
    from ..forecasting.comparison import read_field, score_field, write_results
    from ..forecasting.data.errors import DataError
    from ..report.page import write_report
    from ..training.run_folder import RunFolder
    from .remembered import read_like

    if follow and update:
        raise ValueError(
            "--update writes what the run's models score as they were fitted, --follow as they "
            "are scaled since: give one of them"
        )
    started = time.monotonic()
    console = Console(quiet=quiet)
    table = read_like(
        run,
        data,
        id_col=id_col,
        time_col=time_col,
        target=target,
        freq=options.parse_frequency(freq),
        missing=missing,
        duplicates=duplicates,
        exogenous=exogenous,
        delimiter=delimiter,
    )
    console.notes(table.notes)
    folder = RunFolder.open(run)
    found = read_field(folder, device=device, seed=seed)
    if follow:
        found = found.following(table.panel)
        console.followed(found.eve)
    console.notes(found.eve.notes_on(table.panel, scored=True))
    metrics = score_field(found, table.panel, step=step, say=console.say)
    if not metrics["windows"]:
        raise DataError(
            f"{data}: holds no whole window after the rows that {run} was fitted on; give data "
            "that go on beyond them"
        )
    if update:
        write_results(folder, found, metrics, table.panel)
        console.say(f"report: {write_report(run)}")
    if json:
        shown = ("test", "windows", "health", "latent_share", "panel")
        result = {name: metrics[name] for name in shown}
        print_json({**result, "seconds": round(time.monotonic() - started, 2), "run": str(run)})
    else:
        print_scores(metrics["test"], metrics["windows"])
        print_panel(metrics["panel"])
    return 0
