"""Spaces from a YAML or a Python file."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from .builtin_spaces import builtin_space
from .plan import Plan
from .space import AbstractSpace, FunctionSpace, Space

__all__ = ["read_space", "space_of"]


def space_of(plan: Plan, source: str | Path | None) -> AbstractSpace:
    """The space of a plan that lies in a storage; functions come from their file."""
    if plan.space is not None:
        return Space.of(plan.space).bound(plan.base)
    if source is None:
        raise ValueError(
            "the study's space is a function of a file: give the same file with --space"
        )
    return read_space(source)


def read_space(source: str | Path) -> AbstractSpace:
    """A space by its name, or from a file.

    A YAML file holds `option: [values]` or `option: {low, high, log, step, when}`. A Python file,
    which is run, holds a function `space(trial)` that calls Optuna's `trial.suggest_*` and gives
    a dict of options, or a dict `SPACE` like the YAML file's.

    Raises:
        ValueError: there is no such file, or it holds no space; the message names it.
    """
    path = Path(source)
    if path.suffix not in (".yaml", ".yml", ".py"):
        return builtin_space(str(source))
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a space's file, or the name of one")
    return _python(path) if path.suffix == ".py" else _yaml(path)


def _yaml(path: Path) -> Space:
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            f"{path}: YAML files need PyYAML, which is not installed: "
            "pip install 'vneuron[autopilot]'"
        ) from error
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ValueError(f"{path}: holds no options, expected lines such as units: [8, 16]")
    return _space(path, raw)


def _python(path: Path) -> AbstractSpace:
    try:
        found = runpy.run_path(str(path))
    except Exception as error:  # noqa: BLE001  whatever the user's file raises is bad input
        raise ValueError(f"{path}: could not be run: {type(error).__name__}: {error}") from None
    if callable(found.get("space")):
        return FunctionSpace(found["space"])
    if isinstance(found.get("SPACE"), dict):
        return _space(path, found["SPACE"])
    raise ValueError(
        f"{path}: holds neither a function space(trial) nor a dict SPACE, expected one of them"
    )


def _space(path: Path, raw: dict[str, Any]) -> Space:
    try:
        return Space.of(raw)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
