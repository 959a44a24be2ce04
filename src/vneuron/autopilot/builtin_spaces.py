"""Spaces that come with the library: a sensible one for each network."""

from __future__ import annotations

from typing import Any, get_args

from ..forecasting.networks.features import Encoder
from .space import CONTROL, Space

__all__ = ["builtin_space"]

_BANDED = ["free", "projection", "homeostasis"]
_PRICED = ["free", "homeostasis"]


def builtin_space(name: str) -> Space:
    """A space by name.

    "trajectory" is for the default network; "reference" that of the papers (24 trials of random
    search with successive halving there), as far as the forecaster has its options.

    Raises:
        ValueError: there is none of this name.

    Example:
        >>> "units" in builtin_space("trajectory").as_dict()
        True
    """
    spaces = {"trajectory": _trajectory, "reference": _reference}
    if name not in spaces:
        raise ValueError(f"space is {name!r}, expected one of {tuple(spaces)}, or a file's path.")
    return Space.of(spaces[name]())


def _trajectory() -> dict[str, Any]:
    """Encoders are those that the forecaster knows, so that a new one is searched too."""
    return {
        "encoder": list(get_args(Encoder)),
        "hidden": [64, 128, 256],
        "dropout": {"low": 0.0, "high": 0.5},
        "units": [8, 16, 24, 32],
        # Cost grows with the cube of units × k: 64 columns of W take four times as long as 32, and
        # 128 twenty times, so that one such trial would eat a short search.
        "latent_dim": {"values": [1, 2, 4], "when": {"units": [8]}},
        "scale": ["input", "per_unit"],
        "likelihood": ["student", "gaussian"],
        "prior": ["learned", "standard", "autoregressive"],
        "beta": {"low": 0.01, "high": 1.0, "log": True},
        "control": ["adaptive", "none", "free", "homeostasis"],
        f"{CONTROL}worth": {
            "low": 0.05,
            "high": 0.8,
            "log": True,
            "when": {"control": ["adaptive"]},
        },
        **_banded({"low": 0.02, "high": 0.2, "log": True}),
        "learning_rate": {"low": 3e-4, "high": 5e-3, "log": True},
        "batch_size": [32, 64, 128, 256],
    }


def _banded(target: Any) -> dict[str, Any]:
    """Settings of the band and of the KL budget, where there are such."""
    return {
        f"{CONTROL}target": {**target, "when": {"control": _BANDED}},
        f"{CONTROL}band_weight": {
            "values": [0.6, 0.8, 1.2, 1.8, 2.5],
            "when": {"control": _BANDED},
        },
        f"{CONTROL}ramp": {"values": [0.05, 0.1, 0.2], "when": {"control": _BANDED}},
        f"{CONTROL}beta_max": {
            "values": [1.5e-3, 2.5e-3, 4e-3, 6e-3, 1e-2],
            "when": {"control": _PRICED},
        },
        f"{CONTROL}kl_high": {
            "low": 0.1,
            "high": 1.0,
            "log": True,
            "when": {"control": _PRICED},
        },
    }


def _reference() -> dict[str, Any]:
    """The papers' (eq. numbers none: their notebook's table); φ and τ are learned here."""
    homeostasis = {"control": ["homeostasis"]}
    return {
        "latent_dim": [1, 2, 4, 8, 16],
        "control": ["homeostasis", "projection", "free"],
        "prior": ["standard", "autoregressive"],
        f"{CONTROL}target": {"values": [0.03, 0.05, 0.08], "when": {"control": _BANDED}},
        f"{CONTROL}spread": {"low": 2.0, "high": 10.0, "log": True, "when": {"control": _BANDED}},
        f"{CONTROL}band_weight": {
            "values": [0.6, 0.8, 1.2, 1.8, 2.5],
            "when": {"control": _BANDED},
        },
        f"{CONTROL}warmup": {"low": 0.02, "high": 0.2, "when": {"control": _BANDED}},
        f"{CONTROL}ramp": {"low": 0.02, "high": 0.2, "when": {"control": _BANDED}},
        f"{CONTROL}beta_max": {
            "values": [1.5e-3, 2.5e-3, 4e-3, 6e-3],
            "when": {"control": _PRICED},
        },
        f"{CONTROL}rate": {"low": 0.08, "high": 0.24, "when": homeostasis},
        f"{CONTROL}limit": {"low": 1.1, "high": 1.8, "when": homeostasis},
        f"{CONTROL}every": {"values": [1, 5, 10], "when": homeostasis},
        "learning_rate": {"low": 2e-4, "high": 2e-3, "log": True},
    }
