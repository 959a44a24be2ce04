"""Where a run comes from, and how to make it again."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from .contents import Contents

_STAGES = ("start", "resume", "epoch", "interrupted", "stop")

__all__ = ["configuration", "data_facts", "reproduce", "short", "state_sentence"]


def data_facts(data: Mapping[str, Any], model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Label and value of what there is to say about the data; unknown facts are left out."""
    facts = [
        ("series", _count(data.get("series_count") or len(data.get("series") or []) or None)),
        ("rows", _count(data.get("rows"))),
        ("frequency", data.get("freq")),
        ("horizon", _steps(model.get("horizon"))),
        ("context", _steps(model.get("input_size"))),
        ("training rows", _count(data.get("train_size"))),
        ("validation rows", _count(data.get("val_size"))),
        ("test rows", _count(data.get("test_size"))),
    ]
    return [(name, str(value)) for name, value in facts if value is not None]


def _count(value: object) -> str | None:
    return f"{value:,}" if isinstance(value, int) else None if value is None else str(value)


def _steps(value: object) -> str | None:
    return None if value is None else f"{value} steps"


def configuration(contents: Contents) -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of settings as text, long lists shortened."""
    run = {
        "folder": str(contents.path),
        "vneuron": contents.config.get("vneuron"),
        "created": contents.config.get("created"),
        "seed": contents.config.get("seed"),
    }
    seconds = {f"seconds, {k}": v for k, v in (contents.metrics.get("seconds") or {}).items()}
    windows = {"test windows": contents.metrics.get("windows")}
    data = {k: v for k, v in contents.data.items() if k not in ("scaling", "notes")}
    groups = [("Run", run | seconds | windows), ("Model", contents.model), ("Data", data)]
    return [
        (name, [(str(k), short(v)) for k, v in group.items() if v is not None])
        for name, group in groups
    ]


def short(value: object) -> str:
    """A setting as text, long lists shortened."""
    if isinstance(value, list) and len(value) > 12:
        return f"{', '.join(map(str, value[:10]))}, … ({len(value):,} in all)"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def reproduce(contents: Contents) -> tuple[str, str]:
    """How to make the run again: the language, "shell" or "python", and the code.

    A run from the command line has its arguments in `config.json` under "command"; else the
    forecaster's own arguments are given, which name everything but the frame.
    """
    command = contents.config.get("command")
    if isinstance(command, list) and command:
        return "shell", shlex.join(str(word) for word in command)
    sizes = {k: contents.data.get(k) for k in ("train_size", "val_size", "test_size")}
    fit = "".join(f", {k}={v!r}" for k, v in sizes.items() if v is not None)
    arguments = "".join(f"\n    {k}={v!r}," for k, v in contents.model.items())
    frame = "# df: the long frame of this run (unique_id, ds, y)"
    if contents.data.get("path"):
        frame += f", from {str(contents.data['path'])!r}"
    return "python", (
        f"import vneuron as vn\n\n{frame}\n"
        f"forecaster = vn.EVEForecaster({arguments}\n)\nforecaster.fit(df{fit})"
    )


def state_sentence(contents: Contents) -> str | None:
    """A warning where the run did not come to a good end; None where it did."""
    told = [event for event in contents.events if event.get("event") in _STAGES]
    stage = told[-1] if told else {}
    diverged = [event for event in told if event.get("reason") == "diverged"]
    if stage.get("event") == "interrupted":
        return (
            "This run was interrupted. The page shows what had been written by then; resume it to "
            "complete it."
        )
    if stage.get("event") != "stop":
        return "This run has not reached its end: it is still going, or was killed."
    if diverged:
        names = ", ".join(dict.fromkeys(str(event.get("model", "EVE")) for event in diverged))
        return (
            f"Training diverged ({names}): the loss became infinite or NaN, and the best weights "
            "before that were kept. Lower the learning rate, or look for extreme values."
        )
    return None
