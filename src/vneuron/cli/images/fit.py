"""`vneuron images fit`: images in, a run folder out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import options
from ..console import Console, print_json
from ..invocation import command, free_folder
from .models import build
from .options import SOURCE_HELP, Key
from .table import print_steps

if TYPE_CHECKING:
    from ...imaging.material import Recipe


def run(
    data: Annotated[str, typer.Argument(metavar="[DATA]", help=SOURCE_HELP)] = "digits",
    model: Annotated[
        str,
        typer.Option(
            rich_help_panel=options.MODEL,
            help="iterative-poisson, iterative-gaussian, sparse-coding, predictive-coding, poisson "
            "or gaussian (the last two have an encoder), ...: any other name lists all.",
        ),
    ] = "iterative-poisson",
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder; a new one below runs/ if not given."),
    ] = None,
    key: Key = None,
    limit: Annotated[
        int | None,
        typer.Option(rich_help_panel=options.DATA, help="Take so many of the first images."),
    ] = None,
    patches: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=options.DATA,
            help="Cut so many squares out of the pictures, 0 for none; 10,000 of photographs.",
        ),
    ] = None,
    patch_size: Annotated[
        int | None,
        typer.Option(rich_help_panel=options.DATA, help="Side of a square in pixels; 16."),
    ] = None,
    whiten: Annotated[
        bool | None,
        typer.Option(
            "--whiten/--no-whiten",
            rich_help_panel=options.DATA,
            help="Flatten the pictures' spectrum first; done to photographs.",
        ),
    ] = None,
    min_contrast: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=options.DATA,
            help="Least contrast of a square, in units of the pictures' standard deviation; 0.5.",
        ),
    ] = None,
    test_size: Annotated[
        float,
        typer.Option(rich_help_panel=options.DATA, help="Share held out for the scores."),
    ] = 0.1,
    latents: Annotated[
        int, typer.Option(rich_help_panel=options.MODEL, help="Size of a code.")
    ] = 128,
    steps: Annotated[
        int | None,
        typer.Option(rich_help_panel=options.MODEL, help="Steps of inference; the model's own."),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(rich_help_panel=options.MODEL, help="Weight of the KL; the model's own."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            rich_help_panel=options.MODEL,
            help="Any other argument of the model, such as learning=through_time; may be repeated.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(rich_help_panel=options.RUN)] = 10,
    batch_size: Annotated[int, typer.Option(rich_help_panel=options.RUN)] = 200,
    resume: Annotated[
        bool,
        typer.Option("--resume", rich_help_panel=options.RUN, help="Go on with the run in --out."),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", rich_help_panel=options.RUN, help="Replace the run in --out."),
    ] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Learn a model of images, score it on held-out ones, write a run folder and a report."""
    from ...imaging.material import BUNDLED, Recipe, prepare
    from .results import write_results

    started = time.monotonic()
    console = Console(quiet=quiet)
    arguments = {
        "latents": latents,
        "steps": steps,
        "beta": beta,
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed or 0,
        "device": device or "auto",
        "quiet": quiet,
    }
    estimator = build(model, arguments, settings or ())
    recipe = _recipe(
        BUNDLED.get(data, Recipe()),
        key=key,
        limit=limit,
        patches=patches,
        patch_size=patch_size,
        whiten=whiten,
        min_contrast=min_contrast,
    )
    material = prepare(data, recipe, test_size, seed or 0)
    console.notes(material.notes)
    console.say(f"{len(material.train):,} images to learn from, {len(material.test):,} to test")
    folder = out or free_folder(Path(data))
    clock = time.process_time()
    estimator.fit(
        material.train,
        run_dir=folder,
        resume=resume,
        overwrite=overwrite,
        source=material.facts | {"notes": list(material.notes), "command": command()},
    )
    seconds = {"fit": round(time.process_time() - clock, 2)}
    result: dict[str, Any] = {
        "model": model,
        **write_results(folder, estimator, material, seconds, console),
        "outcome": estimator.outcome_,
        "notes": list(material.notes),
        "run": str(folder),
        "seconds": round(time.monotonic() - started, 2),
    }
    if json:
        print_json(result)
    elif result["scores"]:
        print_steps(result["scores"], result["images"])
    return 130 if estimator.outcome_ == "interrupted" else 0


def _recipe(usual: Recipe, **given: Any) -> Recipe:
    """The source's usual recipe, with what was asked for."""
    return replace(usual, **{name: value for name, value in given.items() if value is not None})
