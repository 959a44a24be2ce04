"""`vneuron autopilot`: a file in, the best of many configurations out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options
from .console import Console, print_json
from .invocation import command, free_folder

SEARCH = "Search"

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def run(
    data: options.DataPath,
    horizon: Annotated[
        int | None, typer.Option("--horizon", "-H", help="Steps to forecast; --join knows it.")
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            "--input-size",
            "-L",
            help="Steps of context; if not given, by trials on validation rows before the search.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the search; the winner's run is in its folder best. If not given a new "
            "one below runs/."
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=SEARCH,
            help="For all of it, final fit and comparison included: 90s, 10m, 2h.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=SEARCH,
            help="How many, those stopped early included; 40 if no time is given either.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(rich_help_panel=SEARCH, help="Processes, one thread each.")
    ] = 1,
    space: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=SEARCH,
            help="trajectory, reference, or a YAML or Python file; the network's own if not given.",
        ),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            "--objective",
            rich_help_panel=SEARCH,
            help="May be repeated, quality first: joint_nll, nll, crps or mse; fault_share, "
            "out_of_band, dead_share; parameters, cpu_seconds. If not given joint_nll, "
            "fault_share and parameters.",
        ),
    ] = None,
    goal: Annotated[
        str, typer.Option(rich_help_panel=SEARCH, help="pareto, lexicographic or quality.")
    ] = "pareto",
    pruner: Annotated[
        str,
        typer.Option(
            rich_help_panel=SEARCH,
            help="What stops trials early: vitals, curve (no vitals), none; unless the "
            "goal is pareto also "
            "hyperband, halving or median.",
        ),
    ] = "vitals",
    sampler: Annotated[
        str,
        typer.Option(
            rich_help_panel=SEARCH,
            help="neighbours (half of the trials near the best ones, half by tpe), tpe, random, "
            "nsga2 or gp.",
        ),
    ] = "neighbours",
    folds: Annotated[
        int, typer.Option(rich_help_panel=SEARCH, help="Rolling origins a trial is judged on.")
    ] = 1,
    steps: Annotated[
        int,
        typer.Option(rich_help_panel=SEARCH, help="Cap on steps per epoch in trials; 0 for none."),
    ] = 100,
    windows: Annotated[
        int,
        typer.Option(
            rich_help_panel=SEARCH, help="Cap on validation windows in trials; 0 for none."
        ),
    ] = 2048,
    portfolio: Annotated[
        bool,
        typer.Option(
            "--portfolio/--no-portfolio",
            rich_help_panel=SEARCH,
            help="Begin with configurations that did well on other data.",
        ),
    ] = True,
    seeds: Annotated[
        int,
        typer.Option(
            rich_help_panel=SEARCH,
            help="Refits of winner, twin and default for the comparison; 0 leaves it out.",
        ),
    ] = 3,
    storage: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=SEARCH,
            help="sqlite:///FILE, journal:FILE, postgresql://USER@HOST/DATABASE or "
            "grpc://HOST:PORT; SQLite in --out if not given.",
        ),
    ] = None,
    study: Annotated[
        str, typer.Option(rich_help_panel=SEARCH, help="Its name in the storage.")
    ] = "autopilot",
    resume: Annotated[
        bool, typer.Option("--resume", rich_help_panel=SEARCH, help="Go on with the study.")
    ] = False,
    join: Annotated[
        bool,
        typer.Option(
            "--join",
            rich_help_panel=SEARCH,
            help="Work for a study in --storage that another host leads.",
        ),
    ] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            rich_help_panel=options.MODEL,
            help="An option of the forecaster for all trials, NAME=VALUE, such as "
            "network=reference or epochs=4; may be repeated.",
        ),
    ] = None,
    id_col: options.IdCol = None,
    time_col: options.TimeCol = None,
    target: options.Target = None,
    freq: options.Freq = None,
    missing: options.Missing = None,
    duplicates: options.Duplicates = None,
    exogenous: options.Exogenous = None,
    delimiter: options.Delimiter = None,
    train_size: options.TrainSize = None,
    val_size: options.ValSize = None,
    test_size: options.TestSize = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Search configurations on DATA, fit the best as `fit` does, and compare it over seeds."""
    from ..autopilot import AutoPilot
    from ..forecasting.data.tables import read_table
    from .remembered import facts_of

    if join and storage is None:
        raise ValueError("--join without --storage: give the storage of the study to work for")
    if horizon is None and not join:
        raise ValueError("--horizon is missing: give the steps to forecast")
    seconds = parse_duration(time)
    treatment: dict[str, Any] = {
        "missing": missing or "error",
        "duplicates": duplicates or "error",
        "exogenous": exogenous or "error",
    }
    pilot = AutoPilot(
        1 if horizon is None else horizon,
        input_size,
        space=space,
        objectives=tuple(objective or ("joint_nll", "fault_share", "parameters")),
        goal=goal,  # type: ignore[arg-type]  # the plan checks it and names the choices
        trials=trials,
        time=seconds,
        workers=workers,
        pruner=pruner,  # type: ignore[arg-type]
        sampler=sampler,  # type: ignore[arg-type]
        folds=folds,
        steps=steps or None,
        windows=windows,
        portfolio=portfolio,
        seeds=seeds,
        storage=storage,
        study=study,
        seed=seed or 0,
        quiet=quiet,
        freq=options.parse_frequency(freq),
        device=device or "auto",
        **treatment,
        **options.parse_settings(setting),
    )
    console = Console(quiet=quiet)
    table = read_table(
        data,
        id_col=id_col,
        time_col=time_col,
        target=target,
        freq=pilot.plan.base.freq,
        delimiter=delimiter,
        **treatment,
    )
    console.notes(table.notes)
    sizes = {
        "train_size": options.parse_size(train_size),
        "val_size": options.parse_size(val_size),
        "test_size": options.parse_size(test_size),
    }
    folder = out or free_folder(data, suffix="-autopilot")
    facts = {
        **sizes,
        **facts_of(table),
        "delimiter": delimiter,
        "command": command(),
    }
    found = pilot.search(folder, table.panel, sizes, resume=resume, join=join, facts=facts)
    if found is None:
        console.say("the study has what it needs; its leader fits the winner")
        if json:
            print_json({"joined": study})
        return 0
    if json:
        print_json(pilot.result)
    else:
        _print(pilot.result)
    return 130 if found.interrupted else 0


def parse_duration(text: str | None) -> float | None:
    """Seconds of a time such as 90s, 10m or 1.5h; a bare number is seconds.

    Raises:
        ValueError: it is something else.

    Example:
        >>> parse_duration("10m"), parse_duration("90")
        (600.0, 90.0)
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _UNITS or float(match[1]) <= 0:
        raise ValueError(f"time is {text!r}: give a number and s, m, h or d, such as 10m")
    return float(match[1]) * _UNITS[match[2]]


def _print(result: dict[str, Any]) -> None:
    """The comparison's table on standard output, and where the run is."""
    from rich import box
    from rich.console import Console as Terminal
    from rich.table import Table

    terminal = Terminal(width=max(Terminal().width, 100))
    terminal.print(f"trial {result['chosen']['trial']}: {result['chosen']['reason']}")
    comparison = result["comparison"]
    if comparison is not None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        for heading in ("model", "CRPS", "winner less model", "joint NLL", "winner less model"):
            table.add_column(heading, no_wrap=True)
        for name, scores in comparison["scores"].items():
            cells = [name]
            for metric in ("crps", "joint_nll"):
                test = comparison["tests"].get(name, {}).get(metric)
                cells.append("{:.4f} ({:.4f})".format(*scores[metric]))
                cells.append(
                    ""
                    if test is None
                    else f"{test['mean']:+.4f} [{test['low']:+.4f}, {test['high']:+.4f}]"
                )
            table.add_row(*cells)
        where = f"{comparison['seeds']} seeds, {comparison['windows']} rows, 95% intervals"
        terminal.print(where)
        terminal.print(table)
    for note in result["notes"]:
        terminal.print(f"note: {note}")
    typer.echo(f"run: {result['run']}")
