"""What a run remembers of its data file, and reading another the way that was read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from ..forecasting.data.frame import Panel
    from ..forecasting.data.rows import Ints
    from ..forecasting.data.tables import Table


def facts_of(table: Table) -> dict[str, Any]:
    """What is worth remembering about the file."""
    return {
        "path": str(table.path.resolve()),
        "kind": table.kind,
        "id_col": table.id_col,
        "time_col": table.time_col,
        "target": list(table.target),
        "rows": len(table.panel.times),
    }


def read_like(run: Path, data: Path, **given: Any) -> Table:
    """A file read with the target, time column, frequency and treatment of the run.

    Args:
        run: the run folder.
        data: the file.
        given: options of the command line, which win where they are not None.
    """
    from ..forecasting.data.tables import read_table
    from ..forecasting.store import read_config
    from ..training.run_folder import RunFolder

    folder = RunFolder.open(run)
    config = read_config(folder)
    facts = folder.read_json("config.json")["data"]
    options: dict[str, Any] = {
        "id_col": _id_col(facts),
        "time_col": facts.get("time_col"),
        "target": _target(facts),
        "freq": facts["freq"],
        "delimiter": facts.get("delimiter"),
        "missing": config.missing,
        "duplicates": config.duplicates,
        "exogenous": config.exogenous,
    }
    options |= {name: value for name, value in given.items() if value is not None}
    return read_table(data, **options)


def read_observed_like(
    run: Path,
    data: Path,
    panel: Panel,
    horizon: int,
    *,
    id_col: str | None,
    time_col: str | None,
    delimiter: str | None,
) -> pd.DataFrame:
    """Values that have come since, read with the run's column names and delimiter."""
    from ..forecasting.data.known_file import read_observed
    from ..training.run_folder import RunFolder

    facts = RunFolder.open(run).read_json("config.json")["data"]
    value = (_target(facts) or ["y"])[0] if facts.get("kind") == "long" else None
    return read_observed(
        data,
        panel.ids,
        id_col=id_col or _id_col(facts),
        time_col=time_col or facts.get("time_col"),
        value=value,
        delimiter=delimiter or facts.get("delimiter"),
        expected=_steps(panel, horizon),
    )


def read_totals_like(
    run: Path,
    data: Path,
    panel: Panel,
    horizon: int,
    *,
    id_col: str | None,
    delimiter: str | None,
) -> pd.DataFrame:
    """Known sums over spans, read with the run's delimiter."""
    from ..forecasting.data.known_file import read_totals
    from ..training.run_folder import RunFolder

    facts = RunFolder.open(run).read_json("config.json")["data"]
    return read_totals(
        data,
        id_col=id_col or _id_col(facts),
        delimiter=delimiter or facts.get("delimiter"),
        expected=_steps(panel, horizon),
    )


def _steps(panel: Panel, horizon: int) -> Ints | None:
    """Stamps of the forecast; none where time is counted in integers."""
    if panel.time_kind.kind == "integer":
        return None
    return panel.future_times(horizon).view("int64").ravel()


def _id_col(facts: dict[str, Any]) -> str | None:
    """The fit's column of ids, where it is not the usual one."""
    name: str | None = facts.get("id_col")
    return None if name == "unique_id" else name


def _target(facts: dict[str, Any]) -> list[str] | None:
    """A wide file's columns; a long file has its series in rows."""
    target: list[str] | None = facts.get("target")
    return target or None
