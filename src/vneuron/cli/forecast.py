"""`vneuron forecast`: a run in, forecasts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .console import Console

if TYPE_CHECKING:
    from ..forecasting.conditional import ConditionalForecast
    from ..forecasting.data.frame import Panel
    from ..forecasting.forecaster import EVEForecaster


KNOWN = "What is known of the horizon"


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
    across: Annotated[
        bool,
        typer.Option(
            "--across",
            help="With --aggregate: of the sum of all series, in place of each; needs a run that "
            "was fitted with --series coupled.",
        ),
    ] = False,
    observed: Annotated[
        Path | None,
        typer.Option(
            help="File of values that have come since: the forecast is contracted on them.",
            rich_help_panel=KNOWN,
        ),
    ] = None,
    total: Annotated[
        str | None,
        typer.Option(
            help="Known sum of each series over the horizon; or a file of sums over spans: "
            "unique_id, ds, ds_end, y.",
            rich_help_panel=KNOWN,
        ),
    ] = None,
    lower: Annotated[
        float | None,
        typer.Option(help="No step falls below it.", rich_help_panel=KNOWN),
    ] = None,
    upper: Annotated[
        float | None,
        typer.Option(help="No step rises above it.", rich_help_panel=KNOWN),
    ] = None,
    scale_weight: Annotated[
        float | None,
        typer.Option(
            help="From 0 to 1, how far these may narrow or widen the rest; .1 unless given, and "
            "1 is the model's law.",
            rich_help_panel=KNOWN,
        ),
    ] = None,
    outlier: Annotated[
        float | None,
        typer.Option(
            help="Observed values further than so many scales from their forecast tell other "
            "steps no more than that; 8 unless given, inf for the model's law.",
            rich_help_panel=KNOWN,
        ),
    ] = None,
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
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Forecast the next steps of the run's series, or of those in DATA."""
    from ..forecasting.forecaster import EVEForecaster
    from .remembered import read_like

    console = Console(quiet=quiet)
    _check_out(out)
    told = {"scale_weight": scale_weight, "outlier": outlier}
    trust: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    _check_known((observed, total, lower, upper), across, aggregate, paths, trust)
    _check_alone(paths, aggregate, over, uncertainty)
    forecaster = EVEForecaster.load(run, device=device)  # type: ignore[arg-type]  # the config checks it
    form: dict[str, Any] = {
        "id_col": id_col,
        "time_col": time_col,
        "target": target,
        "freq": options.parse_frequency(freq),
        "duplicates": duplicates,
        "exogenous": exogenous,
        "delimiter": delimiter,
    }
    table = None if data is None else read_like(run, data, missing=missing, **form)
    frame = None if table is None else table.panel
    console.notes(() if table is None else table.notes)
    levels = tuple(level or (80, 95))
    if follow:
        forecaster = _following(forecaster, frame, console)
        frame = None
    seed = forecaster.config.seed if seed is None else seed
    panel = forecaster.model.memory.context if frame is None else frame
    horizon = forecaster.config.horizon
    facts = (observed, total, lower, upper)
    console.notes(forecaster.model.notes_on(panel))
    known = _known(run, facts, panel, horizon, (id_col, time_col, delimiter))
    if known:
        given = forecaster.condition(**known, **trust, df=frame, seed=seed)
        console.notes(given.notes)
        if "bounds" in known:
            chance = float(given.probability()["probability"].min())
            console.say(f"the bounds hold with probability {chance:.3g} in the least likely series")
        found = _forecast(given, {}, levels, uncertainty, paths, aggregate, over, seed)
    elif paths is not None and out is not None and out.suffix == ".parquet":
        rows = forecaster.sample(paths, frame, seed=seed, to=out)
        console.say(f"{rows:,} rows written to {out}")
        return 0
    else:
        newer = {"df": frame, "across": True} if across else {"df": frame}
        found = _forecast(forecaster, newer, levels, uncertainty, paths, aggregate, over, seed)
    _write(found, out)
    if out is not None:
        console.say(f"{len(found):,} rows written to {out}")
    return 0


def _following(forecaster: EVEForecaster, newer: Panel | None, console: Console) -> EVEForecaster:
    """The forecaster as it follows recent errors, with a word on how far."""
    if newer is None:
        raise ValueError("--follow compares forecasts since the fit with what came: give DATA too")
    follower = forecaster.following(newer)
    console.followed(follower.model)
    return follower


def _forecast(
    forecast: EVEForecaster | ConditionalForecast,
    newer: dict[str, Any],
    levels: tuple[float, ...],
    uncertainty: bool,
    paths: int | None,
    aggregate: str | None,
    over: str | None,
    seed: int,
) -> Any:
    if paths is not None:
        return forecast.sample(paths, seed=seed, **newer)
    if aggregate is not None:
        span = int(over) if over is not None and over.isdigit() else over
        statistic: Any = aggregate
        return forecast.aggregate(statistic, span, level=levels, seed=seed, **newer)
    return forecast.predict(level=levels, uncertainty=uncertainty, **newer)


def _known(
    run: Path,
    facts: tuple[Path | None, str | None, float | None, float | None],
    panel: Panel,
    horizon: int,
    form: tuple[str | None, str | None, str | None],
) -> dict[str, Any]:
    """What is known of the horizon, as `condition` takes it; `form` names columns and delimiter."""
    from .remembered import read_observed_like

    observed, total, lower, upper = facts
    id_col, time_col, delimiter = form
    known: dict[str, Any] = {}
    if observed is not None:
        if not observed.is_file():
            raise ValueError(f"--observed is {observed}: there is no such file")
        known["observed"] = read_observed_like(
            run,
            observed,
            panel,
            horizon,
            id_col=id_col,
            time_col=time_col,
            delimiter=delimiter,
        )
    if total is not None:
        known["total"] = _total(run, total, panel, horizon, id_col, delimiter)
    if lower is not None or upper is not None:
        known["bounds"] = (lower, upper)
    return known


def _total(
    run: Path,
    text: str,
    panel: Panel,
    horizon: int,
    id_col: str | None,
    delimiter: str | None,
) -> Any:
    """A number, or a file of sums over spans."""
    from .remembered import read_totals_like

    try:
        return float(text)
    except ValueError:
        path = Path(text)
    if not path.is_file():
        raise ValueError(f"--total is {text}, neither a number nor a file: give one of them")
    return read_totals_like(run, path, panel, horizon, id_col=id_col, delimiter=delimiter)


def _check_alone(
    paths: int | None, aggregate: str | None, over: str | None, uncertainty: bool
) -> None:
    """Refuse options of which one would be left out without a word."""
    asked = {
        "--paths": paths is not None,
        "--aggregate": aggregate is not None,
        "--uncertainty": uncertainty,
    }
    given = [name for name, there in asked.items() if there]
    if len(given) > 1:
        raise ValueError(
            f"{' and '.join(given)} ask for different tables: give one of them in each call"
        )
    if over is not None and aggregate is None:
        raise ValueError("--over is the length of the blocks of --aggregate: give that too")


def _check_known(
    facts: tuple[object, ...],
    across: bool,
    aggregate: str | None,
    paths: int | None,
    trust: dict[str, Any],
) -> None:
    known = any(each is not None for each in facts)
    if trust and not known:
        name = next(iter(trust)).replace("_", "-")
        raise ValueError(
            f"--{name} says how far what is known counts for the rest: give --observed, "
            "--total, --lower or --upper too"
        )
    if across and (aggregate is None or paths is not None or known):
        raise ValueError(
            "--across sums over series what --aggregate says: give --aggregate too, without "
            "--paths and without what is known of the horizon"
        )


def _check_out(out: Path | None) -> None:
    if out is None:
        return
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
