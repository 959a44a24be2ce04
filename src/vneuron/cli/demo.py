"""`vneuron demo`: real series that ship inside a dependency; nothing is downloaded."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .console import Console, print_json, print_scores


def run(
    out: Annotated[
        Path | None, typer.Option(help="The run folder; runs/demo if not given.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the demonstration in --out.")
    ] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Forecast CO₂ at Mauna Loa and El Niño temperatures; train, compare, report."""
    from ..forecasting.config import ForecasterConfig
    from ..forecasting.data.frame import Panel
    from .demo_data import monthly_series
    from .experiment import Experiment

    started = time.monotonic()
    console = Console(quiet=quiet)
    console.say("two monthly series: CO₂ at Mauna Loa (ppm), sea surface of El Niño 1+2 (°C)")
    config = ForecasterConfig(
        horizon=24,
        input_size=120,
        missing="mask",
        seed=seed or 0,
        device=device or "auto",  # type: ignore[arg-type]  # the config checks it
    )
    panel = Panel.from_frame(monthly_series(), freq="MS", missing="mask")
    console.notes(panel.notes)
    sizes = {"train_size": None, "val_size": 0.15, "test_size": 0.15}
    facts = {**sizes, "path": "statsmodels: co2, elnino", "kind": "long", "rows": len(panel.times)}
    experiment = Experiment(panel, config, sizes, facts, console)
    folder = out or Path("runs/demo")
    result = experiment.run(
        folder, resume=resume, overwrite=out is None, command=["vneuron", "demo"]
    )
    result["seconds"] = round(time.monotonic() - started, 2)
    if json:
        print_json(result)
    elif result["test"]:
        print_scores(result["test"], result["windows"])
    if result["outcome"] == "interrupted":
        return 130
    console.say(f"open {folder / 'report.html'} in a browser")
    return 0
