"""Share balance: the pull of the past stays a fixed part of what a unit pays."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core import AbstractControl, AbstractUnit, Info, LocalTerm, UnitStatistics
from ..priors import AutoregressiveNormal


class ShareBalance(AbstractControl):
    """Moves each unit's λ_AR so that the autoregressive penalty is a given share of its KL.

    λ_j ← λ_j · exp(−rate (share_j − target)), and cut to cap / share_j at once above the cap, in
    [low, high]. share_j is the penalty's part of the unit's local price, λ_j E(µ−φµ′)²/(2τ²) over
    its running KL. The papers take the share of the whole loss, which in nats can be zero or
    negative. Terms without a predecessor leave λ where it is. For
    `AutoregressiveNormal(form="quadratic")` alone: the true KL has no weight to balance.

    Args:
        units: number of units.
        target: share to be kept.
        cap: share that is never kept.
        rate: of the change of ln λ.
        low: smallest λ.
        high: largest λ.

    Attributes:
        share: share at the last step, [units].

    Raises:
        ValueError: if a number is out of range.

    Example:
        >>> import vneuron as vn
        >>> prior = vn.AutoregressiveNormal(2, phi=0.95, form="quadratic")
        >>> layer = vn.GaussianUnits(3, 2, prior=prior)
        >>> layer.controls.append(ShareBalance(2))
        ModuleList(...)
        >>> h, before = torch.randn(64, 3), torch.randn(64, 3)
        >>> past = layer.infer(before)
        >>> class Step(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer = layer
        ...     def forward(self, h):
        ...         context = vn.PriorContext(past.loc, past.scale)
        ...         latent = layer.infer(h, context)
        ...         layer.observe(latent, context)
        >>> _, terms = vn.Collect(Step())(h)
        >>> info = vn.control_step(layer, terms)
        >>> bool((prior.weight < 1.0).all())
        True
    """

    share: Tensor

    def __init__(
        self,
        units: int,
        target: float = 0.2,
        cap: float = 0.3,
        rate: float = 0.1,
        low: float = 0.25,
        high: float = 10.0,
    ) -> None:
        super().__init__()
        if not 0.0 < target <= cap <= 1.0:
            raise ValueError(
                f"target and cap are {target} and {cap}, expected 0 < target ≤ cap ≤ 1."
            )
        if not 0.0 < low <= high:
            raise ValueError(f"λ is kept in [{low}, {high}], expected 0 < low ≤ high.")
        self.target = target
        self.cap = cap
        self.rate = rate
        self.low = low
        self.high = high
        self.register_buffer("share", torch.zeros(units))

    def penalty(self, term: LocalTerm) -> float:
        """Nothing: the prior's own KL holds the penalty."""
        return 0.0

    def update(self, statistics: UnitStatistics) -> Info:
        """What is reported is the share at the last action."""
        return Info({"transition_share": self.share.mean()})

    def project(self, unit: AbstractUnit) -> None:
        """Move the prior's weights.

        Raises:
            ValueError: if the unit's prior has no weight to balance.
        """
        prior = getattr(unit, "prior", None)
        if not isinstance(prior, AutoregressiveNormal) or prior.form != "quadratic":
            raise ValueError(
                f"the prior of unit {unit.name!r} is {prior!r}, expected "
                'AutoregressiveNormal(form="quadratic"): only its penalty has a weight.'
            )
        statistics = unit.statistics
        weighted = prior.transition(statistics)
        share = (weighted / statistics.kl.clamp_min(1e-12)).clamp(0.0, 1.0)
        known = statistics.pairs.updates > 0
        weight = prior.weight * torch.exp(-self.rate * (share - self.target))
        cut = torch.minimum(weight, prior.weight * self.cap / share.clamp_min(self.cap))
        weight = torch.where(share > self.cap, cut, weight)
        weight = torch.where(known, weight.clamp(self.low, self.high), prior.weight)
        # The running KL follows at once, or the next share would hold the new λ against the old.
        statistics.kl.add_((weight / prior.weight - 1.0) * weighted).clamp_min_(0.0)
        self.share.copy_(torch.where(known, share, 0.0))
        prior.weight.copy_(weight)

    def extra_repr(self) -> str:
        """Target and bounds, for `repr`."""
        return f"target={self.target}, cap={self.cap}, weight=[{self.low}, {self.high}]"
