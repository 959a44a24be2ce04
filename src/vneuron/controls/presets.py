"""Combinations of controls by name: the papers', and budgets by use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

from ..core import AbstractControl, AbstractUnit, ScaleForm, Span
from ..priors import AutoregressiveNormal
from .allocation import Allocation
from .band_calibration import BandCalibration
from .energy_band import EnergyBand
from .homeostasis import Homeostasis
from .kl_budget import KLBudget
from .projection import Projection
from .scale_guard import ScaleGuard
from .share_balance import ShareBalance

Preset: TypeAlias = Literal["none", "free", "projection", "homeostasis", "adaptive"]

STEP_BETA = 1e-3
STEP_BETA_RANGE = (1e-6, 1e-2)

SETTINGS: dict[Preset, tuple[str, ...]] = {
    "none": (),
    "adaptive": ("worth", "beta_max"),
    "free": ("kl_low", "kl_high", "beta_max", "band_weight", "target", "spread", "warmup", "ramp"),
    "projection": ("band_weight", "target", "spread", "warmup", "ramp", "every"),
    "homeostasis": (
        "kl_low",
        "kl_high",
        "beta_max",
        "band_weight",
        "target",
        "spread",
        "warmup",
        "ramp",
        "every",
        "rate",
        "limit",
        "ar_share",
    ),
}
"""What of each preset can be set otherwise than the papers have it."""


def attach_preset(
    unit: AbstractUnit,
    preset: Preset,
    *,
    steps: int = 1,
    form: ScaleForm = "raw",
    target: float = 0.05,
    spread: float = 1.0,
    settings: Mapping[str, float] | None = None,
) -> None:
    """Attach a combination of controls to a layer, with the papers' values.

    | preset      | controls                                                            |
    |-------------|---------------------------------------------------------------------|
    | none        | none; β stays as it is                                              |
    | free        | KLBudget, EnergyBand                                                |
    | projection  | EnergyBand, Projection; β stays at its start                        |
    | homeostasis | KLBudget, EnergyBand, Homeostasis, ScaleGuard, BandCalibration, and |
    |             | ShareBalance under an autoregressive penalty                        |
    | adaptive    | Allocation; β starts as it is                                       |

    The papers' values are for a loss per step of the horizon. For a likelihood summed over H
    steps, pass steps=H: β (1e-3, kept in [1e-6, 1e-2]) and the band's weight (2) are multiplied
    by it. Warm-up and ramp are the papers' (128 and 96 steps), but at most a tenth of the run
    each, and projection and calibration act every 64 steps or a tenth of the run, so that short
    runs are controlled too.

    Args:
        unit: a layer without controls.
        preset: which.
        steps: how many steps' log-likelihoods one example's loss sums.
        form: of projection and homeostasis; the papers' is "raw".
        target: of the band, µ² per latent dimension.
        spread: of heterogeneous targets; 1 for equal ones.
        settings: other values than the papers', by name (`SETTINGS` lists those of each preset):
            kl_low and kl_high (nats), beta_max (per step; of adaptive: as it is), band_weight
            (per step), target, spread, warmup and ramp (fractions of the run), every (steps
            between actions, or a fraction below 1), rate (η of homeostasis), limit (largest
            factor of one of its actions), ar_share (target of ShareBalance), worth (adaptive).

    Raises:
        ValueError: if the preset is unknown, `steps` is not positive, controls are attached, or
            the preset has no such setting.

    Example:
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 4)
        >>> attach_preset(layer, "homeostasis", steps=96)
        >>> [type(control).__name__ for control in layer.controls]
        ['KLBudget', 'EnergyBand', 'Homeostasis', 'ScaleGuard', 'BandCalibration']
        >>> layer.beta
        tensor([0.0960, 0.0960, 0.0960, 0.0960])
    """
    check_settings(preset, settings)
    if steps < 1:
        raise ValueError(f"steps is {steps}, expected at least 1.")
    if len(unit.controls) > 0:
        raise ValueError(
            f"unit {unit.name!r} has controls already, expected none: a preset is a whole; "
            "append single controls to unit.controls by hand."
        )
    chosen = {"target": target, "spread": spread, **(settings or {})}
    if preset == "adaptive":
        unit.controls.append(Allocation(unit.units, **_given(chosen, "worth", "beta_max")))
    elif preset != "none":
        unit.beta.fill_(STEP_BETA * steps)
        unit.controls.extend(_papers(unit, preset, steps, form, chosen))


def check_settings(preset: str, settings: Mapping[str, float] | None) -> None:
    """Refuse settings that a preset does not have, and values that are no numbers.

    Raises:
        ValueError: naming the setting and those that there are.

    Example:
        >>> check_settings("adaptive", {"target": 0.03})
        Traceback (most recent call last):
        ...
        ValueError: control 'adaptive' has no setting 'target', expected of ('worth', 'beta_max').
    """
    if preset not in SETTINGS:
        raise ValueError(f"preset is {preset!r}, expected one of {get_args(Preset)}.")
    known = SETTINGS[preset]
    if settings is not None and not isinstance(settings, Mapping):
        raise ValueError(
            f"control settings are {settings!r}, expected a mapping of numbers by name, of {known}."
        )
    for name, value in (settings or {}).items():
        if name not in known:
            raise ValueError(f"control {preset!r} has no setting {name!r}, expected of {known}.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"control setting {name} is {value!r}, expected a number.")


def _papers(
    unit: AbstractUnit, preset: str, steps: int, form: ScaleForm, chosen: Mapping[str, float]
) -> list[AbstractControl]:
    """The controls of the papers' presets, in the order in which they act."""
    n = unit.units
    low, high = STEP_BETA_RANGE
    weight = chosen.get("band_weight", 2.0) * steps
    spans = _given(chosen, "warmup", "ramp")
    band = EnergyBand(n, chosen["target"], chosen["spread"], weight=weight, **spans)
    if preset == "projection":
        return [band, Projection(n, _every(chosen, Span(64, 0.1)), form)]
    budget = {"beta_min": low * steps, "beta_max": chosen.get("beta_max", high) * steps}
    nats = _given(chosen, kl_low="low", kl_high="high")
    controls: list[AbstractControl] = [KLBudget(n, **nats, **budget), band]
    if preset == "free":
        return controls
    homeostasis = Homeostasis(n, _every(chosen, 5), form, **_given(chosen, "rate", "limit"))
    controls += [homeostasis, ScaleGuard(n, unit.latent_dim), BandCalibration(n)]
    prior = getattr(unit, "prior", None)
    if isinstance(prior, AutoregressiveNormal) and prior.form == "quadratic":
        share = chosen.get("ar_share", 0.2)
        controls.append(ShareBalance(n, target=share, cap=max(0.3, share)))
    return controls


def _every(chosen: Mapping[str, float], default: Any) -> Any:
    """Steps between actions; below 1 a fraction of the run."""
    every = chosen.get("every")
    if every is None:
        return default
    return float(every) if every < 1 else int(every)


def _given(chosen: Mapping[str, float], *same: str, **renamed: str) -> dict[str, Any]:
    """Settings that were given, by the names of the control's arguments."""
    names = {name: name for name in same} | renamed
    return {own: chosen[name] for name, own in names.items() if name in chosen}
