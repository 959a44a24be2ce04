"""Optuna, or a sentence on how to get it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import optuna
except ImportError as error:
    raise ImportError(
        "AutoPilot searches with Optuna, which is not installed: pip install 'vneuron[autopilot]'"
    ) from error

__all__ = ["hushed", "optuna"]


@contextmanager
def hushed() -> Iterator[None]:
    """Keep Optuna's log lines and its notes on experimental parts off the terminal."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)
