"""Combinations of controls by name: the papers', and budgets by use."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from ..core import AbstractUnit, ScaleForm, Span
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


def attach_preset(
    unit: AbstractUnit,
    preset: Preset,
    *,
    steps: int = 1,
    form: ScaleForm = "raw",
    target: float = 0.05,
    spread: float = 1.0,
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

    Raises:
        ValueError: if the preset is unknown, `steps` is not positive, or controls are attached.

    Example:
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 4)
        >>> attach_preset(layer, "homeostasis", steps=96)
        >>> [type(control).__name__ for control in layer.controls]
        ['KLBudget', 'EnergyBand', 'Homeostasis', 'ScaleGuard', 'BandCalibration']
        >>> layer.beta
        tensor([0.0960, 0.0960, 0.0960, 0.0960])
    """
    if preset not in get_args(Preset):
        raise ValueError(f"preset is {preset!r}, expected one of {get_args(Preset)}.")
    if steps < 1:
        raise ValueError(f"steps is {steps}, expected at least 1.")
    if len(unit.controls) > 0:
        raise ValueError(
            f"unit {unit.name!r} has controls already, expected none: a preset is a whole; "
            "append single controls to unit.controls by hand."
        )
    if preset == "none":
        return
    n = unit.units
    if preset == "adaptive":
        unit.controls.append(Allocation(n))
        return
    unit.beta.fill_(STEP_BETA * steps)
    low, high = (bound * steps for bound in STEP_BETA_RANGE)
    band = EnergyBand(n, target, spread, weight=2.0 * steps)
    if preset == "projection":
        unit.controls.extend([band, Projection(n, Span(64, 0.1), form)])
        return
    unit.controls.extend([KLBudget(n, beta_min=low, beta_max=high), band])
    if preset == "free":
        return
    unit.controls.extend(
        [Homeostasis(n, 5, form), ScaleGuard(n, unit.latent_dim), BandCalibration(n)]
    )
    prior = getattr(unit, "prior", None)
    if isinstance(prior, AutoregressiveNormal) and prior.form == "quadratic":
        unit.controls.append(ShareBalance(n))
