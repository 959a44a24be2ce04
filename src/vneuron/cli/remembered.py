"""Reading a data file the way a run's own data were read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..forecasting.data.tables import Table


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


def _target(facts: dict[str, Any]) -> list[str] | None:
    """A wide file's columns; a long file has its series in rows."""
    target: list[str] | None = facts.get("target")
    return target or None
