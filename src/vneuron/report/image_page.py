"""The page about a run of an image model: what its template needs."""

import json
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from .contents import Contents
from .image_charts import image_charts, training_charts
from .image_pictures import atlas_picture, example_pictures
from .image_scores import COLUMNS, cost_rows, headline, score_rows
from .provenance import short, state_sentence

__all__ = ["image_context"]


def image_context(contents: Contents) -> dict[str, Any]:
    """What `images.html.j2` is filled with, but for what every page has.

    Args:
        contents: of a run whose configuration names an estimator.
    """
    metrics, portrait = contents.metrics, contents.portrait
    rows = metrics.get("scores") or []
    own = contents.model.get("steps")
    price = metrics.get("rate_distortion")
    training = training_charts(contents.events)
    figures = image_charts(metrics, portrait, own) | {k: f for k, (_, f) in training.items()}
    counts = metrics.get("codes") is not None
    return {
        "title": _title(contents),
        "facts": _facts(contents),
        "notes": _source(contents).get("notes") or [],
        "state": state_sentence(contents),
        "cards": headline(rows, metrics.get("codes"), own),
        "counts": counts,
        "atlas": atlas_picture(portrait, contents.model.get("latents")) if portrait else None,
        "examples": example_pictures(portrait) if portrait else [],
        "steps": portrait["steps"].tolist() if portrait else [],
        "raster_json": json.dumps(_rasters(portrait)),
        "rows": score_rows(rows, own),
        "columns": COLUMNS,
        "price": price and {"name": price["parameter"], "own": f"{price['own']:g}"},
        "cost": cost_rows(metrics.get("codes")),
        "training": [(name, head) for name, (head, _) in training.items()],
        "figures": figures,
        "configuration": _configuration(contents),
        "language": "shell" if _command(contents) else "python",
        "code": _command(contents) or _python(contents),
    }


def _source(contents: Contents) -> dict[str, Any]:
    return contents.config.get("source") or {}


def _title(contents: Contents) -> str:
    path = _source(contents).get("path")
    if path:
        return PurePosixPath(str(path).replace("\\", "/")).name.split(".")[0] or str(path)
    return str(contents.config.get("estimator"))


def _facts(contents: Contents) -> list[tuple[str, str]]:
    source, model = _source(contents), contents.model
    shape = contents.data.get("shape") or []
    patches = (source.get("recipe") or {}).get("patches")
    facts = [
        ("model", contents.config.get("estimator")),
        ("pictures" if patches else "images", source.get("images")),
        ("patches", patches or None),
        ("pixels", " × ".join(map(str, shape))),
        ("latents", model.get("latents")),
        ("steps", model.get("steps")),
        ("epochs", model.get("epochs")),
    ]
    return [
        (name, f"{value:,}" if isinstance(value, int) else str(value))
        for name, value in facts
        if value is not None
    ]


def _rasters(portrait: Mapping[str, Any] | None) -> list[Any]:
    """For each example its latents by steps, the busiest last, as the figure has them."""
    if portrait is None:
        return []
    return [activity.T[::-1].round(4).tolist() for activity in portrait["activity"]]


def _configuration(contents: Contents) -> list[tuple[str, list[tuple[str, str]]]]:
    run = {
        "folder": str(contents.path),
        "vneuron": contents.config.get("vneuron"),
        "created": contents.config.get("created"),
        "seed": contents.config.get("seed"),
    }
    spent = contents.metrics.get("cpu_seconds") or {}
    seconds = {f"CPU seconds, {name}": value for name, value in spent.items()}
    source = {k: v for k, v in _source(contents).items() if k not in ("notes", "command", "recipe")}
    recipe = _source(contents).get("recipe") or {}
    data = source | recipe | contents.data
    groups = [("Run", run | seconds), ("Model", contents.model), ("Data", data)]
    return [
        (name, [(str(k), short(v)) for k, v in group.items() if v is not None])
        for name, group in groups
    ]


def _command(contents: Contents) -> str | None:
    command = _source(contents).get("command")
    return shlex.join(str(word) for word in command) if command else None


def _python(contents: Contents) -> str:
    name = contents.config.get("estimator")
    arguments = "".join(f"\n    {k}={v!r}," for k, v in contents.model.items())
    return (
        f"from vneuron.imaging import {name}\n\n# images: those of this run\n"
        f"model = {name}({arguments}\n)\nmodel.fit(images)"
    )
