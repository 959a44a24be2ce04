"""`vneuron images score`: how well a run's codes tell images."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from .. import options
from ..console import Console, print_json
from .options import SOURCE_HELP, ImageRun, Key
from .table import print_steps


def run(
    run: ImageRun,
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help=f"{SOURCE_HELP} Without it: the fit's own scores."),
    ] = None,
    steps: Annotated[
        list[int] | None,
        typer.Option(help="Numbers of steps to score at; may be repeated. Powers of two if not."),
    ] = None,
    key: Key = None,
    seed: options.Seed = None,
    device: options.Device = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Score the run's codes of DATA after some steps of inference."""
    from ...imaging.portrait import step_ladder
    from ...training.run_folder import RunFolder
    from .remembered import read_images_like, read_model

    started = time.monotonic()
    console = Console(quiet=quiet)
    if data is None:
        folder = RunFolder.open(run)
        if not folder.exists("metrics.json"):
            raise ValueError(f"{run}: holds no scores of its own: give DATA to score, or fit again")
        found = folder.read_json("metrics.json")
        rows, images = found["scores"], found["images"]
    else:
        model = read_model(run, device=device, seed=seed)
        source = read_images_like(run, data, key=key, drop_flat=True)
        console.notes(source.notes)
        table = model.score_table(source.images, steps=steps or step_ladder(model))
        rows, images = table.to_dict(orient="records"), len(source.images)
    if json:
        result = {"images": images, "scores": rows, "run": str(run)}
        print_json(result | {"seconds": round(time.monotonic() - started, 2)})
    else:
        print_steps(rows, images)
    return 0
