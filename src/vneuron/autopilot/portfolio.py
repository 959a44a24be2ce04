"""Configurations that a search begins with: what did well on other data than the user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..forecasting.config import ForecasterConfig
from .backend import optuna
from .space import Space, configuration

__all__ = ["PORTFOLIO", "enqueue_opening", "opening"]

PORTFOLIO: tuple[Mapping[str, Any], ...] = (
    {
        "beta": 0.79,
        "control": "adaptive",
        "control_options.worth": 0.78,
        "dropout": 0.22,
        "encoder": "mlp",
        "hidden": 256,
        "latent_dim": 2,
        "learning_rate": 0.0035,
        "likelihood": "student",
        "prior": "standard",
        "scale": "input",
        "units": 8,
    },
    {
        "beta": 0.013,
        "control": "adaptive",
        "control_options.worth": 0.12,
        "dropout": 0.28,
        "encoder": "mlp",
        "hidden": 256,
        "latent_dim": 2,
        "learning_rate": 0.0015,
        "likelihood": "student",
        "prior": "standard",
        "scale": "input",
        "units": 8,
    },
    {
        "beta": 0.037,
        "control": "homeostasis",
        "control_options.band_weight": 0.8,
        "control_options.beta_max": 0.01,
        "control_options.kl_high": 0.13,
        "control_options.ramp": 0.2,
        "control_options.target": 0.058,
        "dropout": 0.49,
        "encoder": "patch",
        "hidden": 128,
        "learning_rate": 0.0049,
        "likelihood": "student",
        "prior": "autoregressive",
        "scale": "input",
        "units": 32,
    },
    {
        "beta": 0.12,
        "control": "none",
        "dropout": 0.49,
        "encoder": "mlp",
        "hidden": 64,
        "learning_rate": 0.00042,
        "likelihood": "student",
        "prior": "autoregressive",
        "scale": "input",
        "units": 16,
    },
    {
        "beta": 0.11,
        "control": "adaptive",
        "control_options.worth": 0.052,
        "dropout": 0.5,
        "encoder": "mlp",
        "hidden": 64,
        "latent_dim": 2,
        "learning_rate": 0.0016,
        "likelihood": "student",
        "prior": "autoregressive",
        "scale": "input",
        "units": 8,
    },
)
"""Learned by `benchmarks/autopilot/portfolio.py` on eight sets made of ETTm1, Weather, Victoria's
demand and a subset of ECL, in runs of 60 steps: each member is what, with those before it, brings
the mean regret of the best one down fastest (Feurer et al., Auto-Sklearn 2.0, JMLR 2022,
algorithm 1)."""


def opening(space: Space, base: ForecasterConfig) -> list[dict[str, Any]]:
    """The places of the portfolio's members in a space, without those that lie outside.

    Args:
        space: where options come from.
        base: what is not drawn; where a member names an option that the space does not draw, the
            base's holds.

    Example:
        >>> space = Space.of({"units": [8, 16]})
        >>> base = ForecasterConfig(horizon=4, input_size=8, units=8, network="reference")
        >>> opening(space, base)
        []
    """
    if base.network != "trajectory":
        return []
    drawn = {dimension.name for dimension in space.dimensions}
    found: list[dict[str, Any]] = []
    for member in PORTFOLIO:
        own = {name: value for name, value in member.items() if name in drawn}
        place = space.default(configuration(base, own))
        if place is not None and place not in [space.default(base), *found]:
            found.append(place)
    return found


def enqueue_opening(
    study: optuna.Study, space: Space, base: ForecasterConfig, trials: int | None
) -> None:
    """Queue the members that have a place; half of the trials are left to the sampler.

    Args:
        study: fresh, but for the default configuration.
        space: as `opening`.
        base: as `opening`.
        trials: how many there will be; None takes all members.
    """
    members = opening(space, base)
    if trials is not None:
        members = members[: trials // 2]
    for member in members:
        study.enqueue_trial(member, user_attrs={"portfolio": True})
