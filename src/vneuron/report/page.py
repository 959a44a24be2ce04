"""The page about a run: one HTML file that needs nothing else, and no network."""

import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ..training.run_folder import RunFolder
from .charts import charts, own_vitals
from .contents import Contents, read_contents
from .health import health_rows, verdict_counts
from .image_page import image_context
from .provenance import configuration, data_facts, reproduce, state_sentence
from .scores import METRICS, score_table
from .summary import added_by_units, carried_by_latents, headline, title
from .windows import window_data

__all__ = ["write_report"]


def write_report(run_dir: Path | str) -> Path:
    """Write `report.html` into a run folder, from what the folder holds.

    The page carries its figures, its data and plotly.js, and asks the network for nothing. Parts
    that the run does not hold (no test rows, no baselines, an interrupted run) are replaced by a
    sentence that says so.

    Args:
        run_dir: the run folder.

    Returns:
        The path of the page.

    Raises:
        RunFolderError: it is not a run, or one of its files is damaged.
        OSError: the folder is not writable.
    """
    contents = read_contents(run_dir)
    template, context = "page.html.j2", _forecast_context
    if contents.is_of_images:
        template, context = "images.html.j2", image_context
    filling = _shared(contents) | _embedded(context(contents))
    page = _environment().get_template(template).render(filling)
    run = RunFolder.open(run_dir)
    run.write_bytes("report.html", page.encode(), checksum=False)
    return run.path / "report.html"


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("vneuron.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shared(contents: Contents) -> dict[str, Any]:
    """What every page has."""
    return {
        "created": str(contents.config.get("created") or "")[:10],
        "version": contents.config.get("vneuron"),
        "plotly": Markup(get_plotlyjs()),
    }


def _embedded(context: dict[str, Any]) -> dict[str, Any]:
    """A context with its figures, and whatever is JSON by its name, fit for script elements."""
    figures = {name: figure.to_json() for name, figure in context["figures"].items()}
    data = {name: text for name, text in context.items() if name.endswith("_json")}
    safe = {name: Markup(_for_script(text)) for name, text in (figures | data).items()}
    return (
        context
        | {name: safe[name] for name in data}
        | {"figures": {name: safe[name] for name in figures}}
    )


def _forecast_context(contents: Contents) -> dict[str, Any]:
    windows = None if contents.forecasts is None else window_data(contents.forecasts)
    vitals = own_vitals(contents.vitals)
    units = [] if vitals is None else health_rows(vitals)
    horizon = contents.model.get("horizon")
    figures = charts(contents, None if windows is None else windows.first)
    language, code = reproduce(contents)
    return {
        "title": title(contents.model, contents.data),
        "state": state_sentence(contents),
        "facts": data_facts(contents.data, contents.model),
        "notes": contents.data.get("notes") or [],
        "cards": headline(contents.scores) if contents.scores.get("EVE") else [],
        "figures": figures,
        "windows": windows,
        "window_json": json.dumps(windows.series) if windows else "[]",
        "metrics": METRICS,
        "scores": score_table(contents.scores),
        "has_raw": any(row.get("raw") for row in contents.scores.values()),
        "test_windows": contents.metrics.get("windows"),
        "units": units,
        "layers": list(dict.fromkeys(row["layer"] for row in units)),
        "counts": verdict_counts(units),
        "added": added_by_units(contents.scores, horizon) if contents.scores else None,
        "carried": carried_by_latents(contents.metrics),
        "configuration": configuration(contents),
        "language": language,
        "code": code,
    }


def _for_script(text: str) -> str:
    """JSON that cannot end the script element that holds it, whatever a series is called."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
