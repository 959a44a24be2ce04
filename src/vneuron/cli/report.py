"""`vneuron report`: one HTML page from a run folder."""

from __future__ import annotations

import typer

from . import options


def run(
    run: options.RunPath, quiet: options.Quiet = False, version: options.Version = False
) -> int:
    """Write report.html in the run folder, from what the folder holds."""
    from ..report.page import write_report

    typer.echo(write_report(run))
    return 0
