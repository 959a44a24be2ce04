"""`vneuron info`: what is installed here, or what a run is."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options
from .console import print_json

PACKAGES = ("torch", "numpy", "pandas", "lightning-fabric", "narwhals", "plotly", "safetensors")
EXTRAS = {
    "demo": "statsmodels",
    "imaging": "scikit-learn",
    "polars": "polars",
    "autopilot": "optuna",
    "postgres": "psycopg",
    "grpc": "grpcio",
}


def run(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="A run folder; else this installation.")
    ] = None,
    seed: options.Seed = None,
    device: options.Device = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Versions and extras of this installation, or the facts of a run."""
    facts = _installation() if run is None else _run(run)
    if json:
        print_json(facts)
        return 0
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")
    return 0


def _installation() -> dict[str, Any]:
    # from metadata: importing torch to name its version would take a second
    facts: dict[str, Any] = {"vneuron": _version("vneuron"), "python": platform.python_version()}
    facts |= {name: _version(name) for name in PACKAGES}
    facts |= {f"extra {name}": _version(package) for name, package in EXTRAS.items()}
    return facts | {"platform": platform.platform(), "cores": os.cpu_count()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _run(path: Path) -> dict[str, Any]:
    from ..training.run_folder import RunFolder

    folder = RunFolder.open(path)
    folder.verify()
    config = folder.read_json("config.json")
    data = config["data"]
    epochs = [event for event in folder.read_events() if event["event"] == "epoch"]
    models = list(dict.fromkeys(event["model"] for event in epochs))
    own = {"run": str(path), "vneuron": config["vneuron"], "created": config["created"]}
    scored = {"scored": "yes" if folder.exists("metrics.json") else "no"}
    if "estimator" in config:
        model = config["model"]
        known = {name: model[name] for name in ("latents", "steps", "beta") if name in model}
        return {
            **own,
            "data": (config.get("source") or {}).get("path", "an array"),
            "pixels": " x ".join(map(str, data["shape"])),
            "model": config["estimator"],
            **known,
            "epochs": len(epochs),
            **scored,
        }
    return {
        **own,
        "data": data.get("path", "a frame"),
        "series": data["series_count"],
        "frequency": data["freq"],
        "horizon": config["model"]["horizon"],
        "input size": config["model"]["input_size"],
        "units": config["model"]["units"],
        "models": ", ".join(models) or "none yet",
        "epochs of EVE": sum(event["model"] == "EVE" for event in epochs),
        **scored,
    }
