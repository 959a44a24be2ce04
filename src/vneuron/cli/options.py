"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"vneuron {version('vneuron')}")
        raise typer.Exit


def parse_frequency(text: str | None) -> str | int | None:
    """A frequency from the command line: whole numbers are steps of an integer time column."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else text


def parse_size(text: str | None) -> int | float | None:
    """A number of rows, or, with a point, a share of each series.

    Raises:
        ValueError: neither.
    """
    if text is None:
        return None
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise ValueError(
            f"size is {text!r}: give rows, such as 2880, or a share, such as 0.1"
        ) from None


def parse_departure(text: str) -> Literal["auto"] | float:
    """A share from 0 to 1, or "auto"; the configuration checks its range.

    Raises:
        ValueError: neither.

    Example:
        >>> parse_departure("auto"), parse_departure("0.5")
        ('auto', 0.5)
    """
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"departure is {text!r}, expected 'auto' or from 0 to 1.") from None


def parse_numbers(texts: list[str] | None) -> dict[str, float] | None:
    """Settings given as NAME=NUMBER; None where there are none.

    Raises:
        ValueError: one is something else.

    Example:
        >>> parse_numbers(["target=0.03"])
        {'target': 0.03}
    """
    found: dict[str, float] = {}
    for text in texts or []:
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = int(number) if number.strip().isdigit() else float(number)
        except ValueError:
            raise ValueError(f"{text!r}: give NAME=NUMBER, such as target=0.03") from None
    return found or None


def parse_settings(texts: list[str] | None) -> dict[str, Any]:
    """Options given as NAME=VALUE: numbers, true, false, none, or text.

    Raises:
        ValueError: one is something else.

    Example:
        >>> parse_settings(["epochs=4", "network=reference"])
        {'epochs': 4, 'network': 'reference'}
    """
    found: dict[str, Any] = {}
    words = {"true": True, "false": False, "none": None}
    for text in texts or []:
        name, mark, raw = text.partition("=")
        value = raw.strip()
        if not mark or not name.strip() or not value:
            raise ValueError(f"{text!r}: give NAME=VALUE, such as epochs=4")
        try:
            number: Any = int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            number = words.get(value.lower(), value)
        found[name.strip().replace("-", "_")] = number
    return found


DATA = "Input"
MODEL = "Model"
RUN = "Run"

Version = Annotated[
    bool,
    typer.Option("--version", callback=show_version, is_eager=True, help="Print the version."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]
Follow = Annotated[
    bool,
    typer.Option(
        "--follow",
        help="Scale, and where it pays move, forecasts by what those since the fit have missed "
        "by; DATA must hold the rows since.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of weights, batches and draws.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `fit` wrote.")]
DataPath = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="CSV (also .gz) or Parquet. Long with columns unique_id, ds, y; else wide, a date "
        "column and one column per series.",
    ),
]
IdCol = Annotated[
    str | None,
    typer.Option(
        help="The column of a long file that says which series a row is of; unique_id if not "
        "given.",
        rich_help_panel=DATA,
    ),
]
TimeCol = Annotated[
    str | None,
    typer.Option(help="The time column; guessed if not given.", rich_help_panel=DATA),
]
Target = Annotated[
    list[str] | None,
    typer.Option(
        help="Column to forecast; may be repeated. All numeric columns if not given.",
        rich_help_panel=DATA,
    ),
]
Freq = Annotated[
    str | None,
    typer.Option(
        help="Step between rows: a pandas alias such as h, 15min, D, W, MS, or a whole number; "
        "guessed if not given.",
        rich_help_panel=DATA,
    ),
]
Missing = Annotated[
    str | None,
    typer.Option(
        help="Missing values and gaps: error, interpolate, or mask (leave them out of the "
        "likelihood).",
        rich_help_panel=DATA,
    ),
]
Duplicates = Annotated[
    str | None,
    typer.Option(help="Repeated time stamps: error, first, last or mean.", rich_help_panel=DATA),
]
Exogenous = Annotated[
    str | None,
    typer.Option(help="Further columns of a long file: error or ignore.", rich_help_panel=DATA),
]
Delimiter = Annotated[
    str | None,
    typer.Option(help="Of a text file; a comma if not given.", rich_help_panel=DATA),
]
Levels = Annotated[
    list[float] | None,
    typer.Option("--level", help="Central interval in per cent; may be repeated."),
]
TrainSize = Annotated[
    str | None,
    typer.Option(
        help="Rows of each series to train on, from the first; with a point, a share. All "
        "that validation and test leave if not given.",
        rich_help_panel=DATA,
    ),
]
ValSize = Annotated[
    str | None,
    typer.Option(
        help="Rows after those, for choosing the best epoch; 10% if not given.",
        rich_help_panel=DATA,
    ),
]
TestSize = Annotated[
    str | None,
    typer.Option(
        help="Rows after those, for the scores; 10% if not given, 0 for none. Rows beyond are "
        "unused.",
        rich_help_panel=DATA,
    ),
]
