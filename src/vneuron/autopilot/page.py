"""The page about a search: one HTML file that needs nothing else, and no network."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ..training.atomic import write_atomic
from .charts import front_figure, importance_figure, learning_figure, parallel_figure, verdicts
from .progress import duration

__all__ = ["write_page"]

PAGE = "autopilot.html"


def write_page(folder: Path) -> Path:
    """Write `autopilot.html` from what the folder of a search holds.

    Raises:
        ValueError: it holds no result of a search.
    """
    try:
        result = json.loads((folder / "result.json").read_bytes())
        trials = pd.read_parquet(folder / "trials.parquet")
    except FileNotFoundError as error:
        raise ValueError(f"{error.filename}: missing; give the folder of a search") from None
    chosen = result["chosen"]["trial"]
    judged = verdicts(trials, chosen, [entry["trial"] for entry in result["pareto"]])
    names = result["objectives"]
    figures = {
        "front": front_figure(trials, judged, names),
        "learning": learning_figure(trials, judged),
        "parallel": parallel_figure(trials, names[0]),
        "importance": importance_figure(result.get("importance") or {}),
    }
    filling = {
        "result": result,
        "figures": {
            name: Markup(_for_script(figure.to_json()))
            for name, figure in figures.items()
            if figure is not None
        },
        "plotly": Markup(get_plotlyjs()),
        "rows": _rows(result),
        "options": _options(result),
        "front_rows": result["pareto"],
        "names": names,
        "time": duration(result["seconds"]),
        "reproduce": shlex.join(result.get("reproduce") or []),
    }
    text = _environment().get_template("autopilot.html.j2").render(filling)
    write_atomic(folder / PAGE, text.encode())
    return folder / PAGE


def _environment() -> jinja2.Environment:
    own = jinja2.PackageLoader("vneuron.autopilot")
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([own, jinja2.PackageLoader("vneuron.report")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _rows(result: dict[str, Any]) -> list[dict[str, str]]:
    """The comparison's table."""
    comparison = result.get("comparison")
    if not comparison:
        return []
    rows = []
    for name, scores in comparison["scores"].items():
        row = {"model": name}
        for metric in ("crps", "joint_nll", "mse"):
            mean, sd = scores[metric]
            row[metric] = f"{mean:.4f} ± {sd:.4f}" if comparison["seeds"] > 1 else f"{mean:.4f}"
            test = comparison["tests"].get(name, {}).get(metric)
            if test is not None:
                row[f"{metric}_difference"] = (
                    f"{test['mean']:+.4f} [{test['low']:+.4f}, {test['high']:+.4f}], "
                    f"p = {test['p']:.3f}"
                )
        rows.append(row)
    return rows


def _options(result: dict[str, Any]) -> list[tuple[str, str]]:
    """The winner's options that were searched."""
    found = next(entry for entry in _chosen_first(result))
    return [(str(name), _text(value)) for name, value in found.items()]


def _chosen_first(result: dict[str, Any]) -> list[dict[str, Any]]:
    own = [e["options"] for e in result["pareto"] if e["trial"] == result["chosen"]["trial"]]
    return own or [result["best"]]


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _for_script(text: str) -> str:
    """JSON that cannot end the script element that holds it."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
