"""The scale guard: σ neither at its floor nor at its ceiling."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..core import AbstractControl, AbstractUnit, AdjustableUnit, Info, LocalTerm, UnitStatistics


class ScaleGuard(AbstractControl):
    """Keeps each unit's typical σ in [floor, ceiling], and widens units that fall silent.

    The typical σ is the geometric mean over the last batch, per latent dimension; for σ that does
    not depend on the input it is σ itself. The running mean would not do: it lags, and Adam moves
    input-dependent scales faster than a lagging guard pulls them back. A unit where fewer than 5%
    of examples have any KL gets ln σ + 0.02 at each step.

    Args:
        units: number of units.
        latent_dim: k.
        floor: smallest typical σ.
        ceiling: largest typical σ.
        revive: what a silent unit's ln σ gains per step.
        alive_share: share of examples with KL under which a unit counts as silent.

    Attributes:
        target: ln σ to be reached, [units, k].

    Raises:
        ValueError: if the bounds are out of order.

    Example:
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 4, initial_scale=0.01)
        >>> layer.controls.append(ScaleGuard(4))
        ModuleList(...)
        >>> _, terms = vn.Collect(layer)(torch.zeros(8, 3))
        >>> info = vn.control_step(layer, terms)
        >>> layer.infer(torch.zeros(1, 3)).scale.flatten()
        tensor([0.1500, 0.1500, 0.1500, 0.1500], grad_fn=...)
    """

    target: Tensor

    def __init__(
        self,
        units: int,
        latent_dim: int = 1,
        floor: float = 0.15,
        ceiling: float = 5.0,
        revive: float = 0.02,
        alive_share: float = 0.05,
    ) -> None:
        super().__init__()
        if not 0.0 < floor < ceiling:
            raise ValueError(f"σ is kept in [{floor}, {ceiling}], expected 0 < floor < ceiling.")
        self.floor = floor
        self.ceiling = ceiling
        self.revive = revive
        self.alive_share = alive_share
        self.register_buffer("target", torch.zeros(units, latent_dim))

    def penalty(self, term: LocalTerm) -> float:
        """Nothing: the guard acts on σ's parameters."""
        return 0.0

    def update(self, statistics: UnitStatistics) -> Info:
        """Decide where each ln σ is to be."""
        silent = statistics.alive_share < self.alive_share
        wanted = statistics.last_log_scale + self.revive * silent[:, None]
        self.target.copy_(wanted.clamp(math.log(self.floor), math.log(self.ceiling)))
        guarded = (statistics.last_log_scale != self.target).any(-1)
        return Info({"scale_guarded": guarded.float().mean()})

    def project(self, unit: AbstractUnit) -> None:
        """Move σ there.

        Raises:
            ValueError: if the unit's σ cannot be moved.
        """
        if not isinstance(unit, AdjustableUnit):
            raise ValueError(
                f"{type(unit).__name__} {unit.name!r} has no σ to guard, expected a layer with "
                "the methods of vneuron.AdjustableUnit: detach the guard."
            )
        unit.shift_log_scale(self.target, unit.statistics.last_log_scale)

    def extra_repr(self) -> str:
        """Bounds, for `repr`."""
        return f"floor={self.floor}, ceiling={self.ceiling}, revive={self.revive}"
