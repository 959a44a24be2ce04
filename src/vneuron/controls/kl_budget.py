"""The thermostat: a KL budget per unit, kept by moving its β."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core import AbstractControl, AbstractUnit, Info, LocalTerm, UnitStatistics

RATE = 0.2
EMERGENCY = 0.5
RATIO = 4.0


class KLBudget(AbstractControl):
    """Keeps each unit's running KL in [low, high] nats by moving its β.

    error_j = K_j − low below the budget, K_j − high above it, else 0, and

        ln β_j ← ln β_j + 0.2 error_j,

    minus |error_j| + 0.5 more where fewer than 5% of examples give the unit any KL (emergency).
    β is then clamped to [beta_min, beta_max] and to a quarter to four times the layer's mean.

    A floor lowers the price of information; it cannot create any. Source: arXiv:2602.18250, whose
    β are per horizon step: for a likelihood summed over H steps multiply them by H.

    Args:
        units: number of units.
        low: lower end of the budget, nats per unit and example.
        high: upper end.
        beta_min: smallest β.
        beta_max: largest β.
        alive_share: share of examples with KL under which a unit is an emergency.

    Attributes:
        change: what the last update adds to ln β, [units].

    Raises:
        ValueError: if a bound is negative or a pair is out of order.

    Example:
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 4, beta=0.1)
        >>> layer.controls.append(KLBudget(4))
        ModuleList(...)
        >>> _, terms = vn.Collect(layer)(torch.zeros(8, 3))
        >>> info = vn.control_step(layer, terms)
        >>> bool((layer.beta > 0.1).all())   # the units start with .32 nats, above .30
        True
    """

    change: Tensor

    def __init__(
        self,
        units: int,
        low: float = 0.05,
        high: float = 0.30,
        beta_min: float = 1e-4,
        beta_max: float = 1.0,
        alive_share: float = 0.05,
    ) -> None:
        super().__init__()
        if not 0.0 <= low <= high:
            raise ValueError(f"the budget is [{low}, {high}] nats, expected 0 ≤ low ≤ high.")
        if not 0.0 < beta_min <= beta_max:
            raise ValueError(
                f"beta is kept in [{beta_min}, {beta_max}], expected 0 < beta_min ≤ beta_max."
            )
        self.low = low
        self.high = high
        self.beta_min = beta_min
        self.beta_max = beta_max
        self.alive_share = alive_share
        self.register_buffer("change", torch.zeros(units))

    def penalty(self, term: LocalTerm) -> float:
        """Nothing: β acts through the KL itself."""
        return 0.0

    def update(self, statistics: UnitStatistics) -> Info:
        """Decide by how much each ln β moves."""
        kl = statistics.kl
        error = kl - kl.clamp(self.low, self.high)
        emergency = statistics.alive_share < self.alive_share
        change = RATE * error - torch.where(emergency, error.abs() + EMERGENCY, 0.0)
        self.change.copy_(change)
        shares = torch.stack([error < 0.0, error > 0.0, emergency]).float().mean(-1).unbind()
        return Info(dict(zip(("kl_below", "kl_above", "emergency"), shares, strict=True)))

    def project(self, unit: AbstractUnit) -> None:
        """Move the unit's β."""
        beta = (unit.beta * self.change.exp()).clamp(self.beta_min, self.beta_max)
        mean = beta.mean()
        unit.beta.copy_(beta.clamp(mean / RATIO, mean * RATIO))

    def extra_repr(self) -> str:
        """Budget and bounds, for `repr`."""
        return f"low={self.low}, high={self.high}, beta=[{self.beta_min}, {self.beta_max}]"
