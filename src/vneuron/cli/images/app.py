"""The verbs below `vneuron images`."""

from __future__ import annotations

import typer

from . import encode, fit, report, score

app = typer.Typer(
    help="Sparse codes of images by iterative inference: fit, encode, score, report.",
    no_args_is_help=True,
)
for verb in (fit, encode, score, report):
    app.command(name=verb.__name__.rpartition(".")[2])(verb.run)
