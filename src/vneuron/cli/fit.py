"""`vneuron fit`: a file in, a run folder out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options
from .console import Console, print_json, print_panel, print_scores
from .invocation import command, free_folder
from .remembered import facts_of


def run(
    data: options.DataPath,
    horizon: Annotated[int, typer.Option("--horizon", "-H", help="Steps to forecast.")],
    input_size: Annotated[
        int | None,
        typer.Option(
            "--input-size",
            "-L",
            help="Steps of context; if not given, from 1 to 7.5 horizons by trials on validation "
            "rows.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder; a new one below runs/ if not given."),
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
    units: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="Units; if not given 32, in the reference network 1024.",
        ),
    ] = None,
    latent_dim: Annotated[
        int, typer.Option(rich_help_panel=options.MODEL, help="Latent dimensions of a unit.")
    ] = 1,
    network: Annotated[
        str, typer.Option(rich_help_panel=options.MODEL, help="trajectory or reference.")
    ] = "trajectory",
    activity: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="How its head reads a unit's latents: mean, sum, scaled_sum or raw.",
        ),
    ] = "mean",
    lag: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="Steps to the earlier window that the reference network reads, and that an "
            "autoregressive prior remembers. If not given 4 in the reference, else the season.",
        ),
    ] = None,
    train_draws: Annotated[
        int,
        typer.Option(rich_help_panel=options.MODEL, help="Draws per window in its training."),
    ] = 4,
    draws: Annotated[
        int, typer.Option(rich_help_panel=options.MODEL, help="Draws in its forecasts.")
    ] = 8,
    combine: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="How its draws make one forecast: mean, median or score.",
        ),
    ] = "mean",
    control: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="What governs units: adaptive, none, free, projection or homeostasis.",
        ),
    ] = "adaptive",
    control_option: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="A setting of these controls, NAME=NUMBER, such as target=0.03; may be repeated.",
        ),
    ] = None,
    scale_form: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="Of controls that rescale units: raw, mean or gauge.",
        ),
    ] = "raw",
    scale: Annotated[
        str, typer.Option(rich_help_panel=options.MODEL, help="input, per_unit or scalar.")
    ] = "input",
    prior: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL, help="learned, standard, autoregressive or macro."
        ),
    ] = "learned",
    ar_form: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="Of the autoregressive prior: kl or quadratic; if not given quadratic under "
            "homeostasis, else kl.",
        ),
    ] = None,
    macro_dim: Annotated[
        int,
        typer.Option(rich_help_panel=options.MODEL, help="Latents that the macro prior shares."),
    ] = 4,
    beta: Annotated[
        float,
        typer.Option(
            rich_help_panel=options.MODEL, help="Price of a nat of each unit's KL, per window."
        ),
    ] = 0.1,
    crps_weight: Annotated[
        float,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="What the CRPS of single steps counts for in training beside their likelihood, "
            "in nats per training deviation, e.g. 10.",
        ),
    ] = 0.0,
    likelihood: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="student or gaussian; for counts negbinomial or poisson.",
        ),
    ] = "student",
    units_family: Annotated[
        str, typer.Option(rich_help_panel=options.MODEL, help="gaussian or poisson.")
    ] = "gaussian",
    location: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="What windows are centred on: auto, mean, last, or none (not normalised).",
        ),
    ] = "auto",
    encoder: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="What reads the window: linear, mlp, multiscale, patch, or auto (by trials on "
            "validation rows).",
        ),
    ] = "auto",
    features: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="What it is told of a window: window (its shape), series (also which series), "
            "place (calendar, level, scale), full (all), or auto (by trials on validation rows).",
        ),
    ] = "auto",
    start: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="What the linear mean path is before training: level (the window's), ridge "
            "(regression on training windows), or auto (by a trial, unless encoder and features "
            "are both named).",
        ),
    ] = "auto",
    second: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="A second reader of another kind, pooled with the first, by what it is told: "
            "window, series, place, full; none; or auto (by what the first is; none where encoder "
            "and features are named).",
        ),
    ] = "auto",
    second_size: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="Rows that the second reader reads; if not given up to four times the context, "
            "where there are rows enough to learn that from.",
        ),
    ] = None,
    departure: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="The least of a path's way from the last value that forecasts keep, from 0 to 1; "
            "validation says how much; or auto (by a trial, where windows are centred on their "
            "last value).",
        ),
    ] = "auto",
    noise: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="What ties steps beside the units: white, lasting, or steered (by the units).",
        ),
    ] = "steered",
    unit_features: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="What the units' spread reads: shared features, or features of its own beside.",
        ),
    ] = "own",
    series: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="independent, or coupled: totals over series get intervals that hold.",
        ),
    ] = "independent",
    hidden: Annotated[int, typer.Option(rich_help_panel=options.MODEL, help="Features.")] = 256,
    dropout: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=options.MODEL, help="If not given .3, in the reference network .05."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=options.RUN, help="8 if not given, and more where windows are few."
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(rich_help_panel=options.RUN, help="Windows per step; 32 to 256 if not given."),
    ] = None,
    learning_rate: Annotated[float, typer.Option(rich_help_panel=options.RUN)] = 1e-3,
    patience: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=options.RUN,
            help="Epochs without a better score before it stops; 3 of 8 if not given.",
        ),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            rich_help_panel=options.RUN, help="Train and score the baselines in the same run."
        ),
    ] = True,
    resume: Annotated[
        bool,
        typer.Option("--resume", rich_help_panel=options.RUN, help="Go on with the run in --out."),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", rich_help_panel=options.RUN, help="Replace the run in --out."),
    ] = False,
    devices: Annotated[
        int, typer.Option(rich_help_panel=options.RUN, help="Processes for training.")
    ] = 1,
    precision: Annotated[
        str, typer.Option(rich_help_panel=options.RUN, help="32-true or bf16-mixed.")
    ] = "32-true",
    compile: Annotated[
        bool,
        typer.Option(
            "--compile",
            rich_help_panel=options.RUN,
            help="Train through torch.compile, which needs a C++ compiler and half a minute.",
        ),
    ] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Train on DATA, score the test rows beside the baselines, write a run folder and a report."""
    given = locals()  # most arguments are a field of the same name
    from ..forecasting.config import ForecasterConfig
    from ..forecasting.data.tables import read_table
    from ..forecasting.network_defaults import network_defaults
    from ..training.launch import follows

    if resume and overwrite:
        raise ValueError("--resume goes on with the run that --overwrite replaces: give one")
    if resume and out is None:
        raise ValueError("--resume goes on with the run in --out: name it")
    started = time.monotonic()
    console = Console(quiet=quiet or follows())
    treatment: dict[str, Any] = {
        "missing": missing or "error",
        "duplicates": duplicates or "error",
        "exogenous": exogenous or "error",
    }
    units, dropout = network_defaults(network).where_none(units, dropout)
    given |= {
        "units": units,
        "dropout": dropout,
        "control_options": options.parse_numbers(control_option),
        "freq": options.parse_frequency(freq),
        "departure": options.parse_departure(departure),
        "seed": seed or 0,
        "device": device or "auto",
        **treatment,
    }
    # the config checks them, and names the choices
    fields = ForecasterConfig.__dataclass_fields__
    config = ForecasterConfig(**{name: given[name] for name in fields})
    sizes = {
        "train_size": options.parse_size(train_size),
        "val_size": options.parse_size(val_size),
        "test_size": options.parse_size(test_size),
    }
    table = read_table(
        data,
        id_col=id_col,
        time_col=time_col,
        target=target,
        freq=config.freq,
        delimiter=delimiter,
        **treatment,
    )
    console.notes(table.notes)
    facts = {**sizes, **facts_of(table), "delimiter": delimiter, "command": None}
    from .experiment import Experiment

    experiment = Experiment(table.panel, config, sizes, facts, console)
    folder = out or free_folder(data)
    result = experiment.run(
        folder, baselines=baselines, resume=resume, overwrite=overwrite, command=command()
    )
    result["seconds"] = round(time.monotonic() - started, 2)
    if json and not follows():
        print_json(result)
    elif result["test"]:
        print_scores(result["test"], result["windows"])
        print_panel(result["panel"])
    return 130 if result["outcome"] == "interrupted" else 0
