"""`vneuron forecast`: a run in, forecasts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .console import Console

if TYPE_CHECKING:
    from ..forecasting.forecaster import EVEForecaster


def run(
    run: options.RunPath,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="Newer or other series to forecast on, at least input-size rows each; the run's "
            "own if not given.",
        ),
    ] = None,
    level: options.Levels = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, .csv or .parquet; standard output if not given."),
    ] = None,
    uncertainty: Annotated[
        bool,
        typer.Option("--uncertainty", help="Add noise and unit deviations, and novelty."),
    ] = False,
    paths: Annotated[
        int | None,
        typer.Option(
            help="Write so many joint sample paths in place of intervals; into a .parquet file "
            "they go as they are drawn, however many series there are."
        ),
    ] = None,
    aggregate: Annotated[
        str | None, typer.Option(help="Forecast the sum, mean, max, min or ramp over blocks.")
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(help="Length of a block: steps, or a duration such as 24h; the horizon."),
    ] = None,
    time_col: options.TimeCol = None,
    target: options.Target = None,
    freq: options.Freq = None,
    missing: options.Missing = None,
    duplicates: options.Duplicates = None,
    exogenous: options.Exogenous = None,
    delimiter: options.Delimiter = None,
    seed: options.Seed = None,
    device: options.Device = None,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Forecast the next steps of the run's series, or of those in DATA."""
    from ..forecasting.forecaster import EVEForecaster
    from .remembered import read_like

    console = Console(quiet=quiet)
    if out is not None:
        _check_out(out)
    forecaster = EVEForecaster.load(run, device=device)  # type: ignore[arg-type]  # the config checks it
    frame = None
    if data is not None:
        table = read_like(
            run,
            data,
            time_col=time_col,
            target=target,
            freq=options.parse_frequency(freq),
            missing=missing,
            duplicates=duplicates,
            exogenous=exogenous,
            delimiter=delimiter,
        )
        console.notes(table.notes)
        frame = table.panel
    levels = tuple(level or (80, 95))
    if paths is not None and out is not None and out.suffix == ".parquet":
        chosen = forecaster.config.seed if seed is None else seed
        rows = forecaster.sample(paths, frame, seed=chosen, to=out)
        console.say(f"{rows:,} rows written to {out}")
        return 0
    found = _forecast(forecaster, frame, levels, uncertainty, paths, aggregate, over, seed)
    _write(found, out)
    if out is not None:
        console.say(f"{len(found):,} rows written to {out}")
    return 0


def _forecast(
    forecaster: EVEForecaster,
    frame: Any,
    levels: tuple[float, ...],
    uncertainty: bool,
    paths: int | None,
    aggregate: str | None,
    over: str | None,
    seed: int | None,
) -> Any:
    seed = forecaster.config.seed if seed is None else seed
    if paths is not None:
        return forecaster.sample(paths, frame, seed=seed)
    if aggregate is not None:
        span = int(over) if over is not None and over.isdigit() else over
        statistic: Any = aggregate
        return forecaster.aggregate(statistic, span, level=levels, df=frame, seed=seed)
    return forecaster.predict(frame, level=levels, uncertainty=uncertainty)


def _check_out(out: Path) -> None:
    if out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out is {out}: give a name that ends in .csv or .parquet")
    if not out.absolute().parent.is_dir():
        raise ValueError(f"--out is {out}: there is no folder {out.absolute().parent}; make it")


def _write(frame: Any, out: Path | None) -> None:
    """Write a frame as a whole, or print it as CSV."""
    import io

    from ..training.atomic import write_atomic

    native = frame.to_pandas() if hasattr(frame, "to_pandas") else frame
    if out is None:
        typer.echo(native.to_csv(index=False), nl=False)
        return
    buffer = io.BytesIO()
    if out.suffix == ".csv":
        native.to_csv(buffer, index=False)
    else:
        native.to_parquet(buffer, index=False)
    write_atomic(out, buffer.getvalue())
