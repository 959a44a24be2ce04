"""`vneuron images report`: one HTML page from a run folder."""

from __future__ import annotations

import typer

from .. import options
from .options import ImageRun


def run(
    run: ImageRun,
    seed: options.Seed = None,
    device: options.Device = None,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Write report.html in the run folder, from what the folder holds; nothing is computed."""
    from ...report.page import write_report

    typer.echo(write_report(run))
    return 0
