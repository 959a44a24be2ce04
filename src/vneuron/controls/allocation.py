"""Adaptive budgets: information is granted where it pays on held-out data, else withdrawn."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core import AbstractControl, AbstractUnit, Info, LocalTerm, UnitStatistics

STEP = 1.1
"""Largest change of ln β at one measurement: a factor of three, so that eight measurements span
the range from where information is nearly free to where it is dear."""


class Allocation(AbstractControl):
    r"""Shares a layer's information out over its units by marginal use on held-out data.

    With a price β_j on each unit's rate R_j, training gives unit j information until its marginal
    use on *training* data has fallen to β_j: reverse water-filling, with the price as the water
    level. What a nat buys in training it may not buy later. So the price follows the marginal use
    u_j on held-out data (nats of joint NLL per nat of rate), which the trainer measures:

    .. math:: \ln\beta_j \leftarrow \ln\beta_j
              + 1.1 \tanh\frac{\text{worth} - u_j}{\text{worth}}

    a dual ascent on "no unit takes information that buys less than `worth`". Where even the last
    nat pays, the price falls; where units learn their input by heart, it rises until they let go,
    and they stay as static factors, which cost nothing per window to learn.

    It acts once for each new measurement and not at all where none is made.

    Args:
        units: number of units.
        worth: held-out nats that a nat of rate must buy.
        beta_min: smallest β.
        beta_max: largest β. At 2 units that do not pay keep a third of a nat between them; at 10
            they let go of that too, but the pull on the rest costs .002 nats per step (Exchange
            validation, static head −1.661: −1.661 at 2, −1.658 at 10).

    Attributes:
        change: what the last update adds to ln β, [units].
        seen: measurements that were acted on, int64 scalar.

    Raises:
        ValueError: if `worth` is not positive, or the range of β is out of order.

    Example:
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 2, beta=0.1)
        >>> layer.controls.append(Allocation(2))
        ModuleList(...)
        >>> layer.statistics.marginal_use.copy_(torch.tensor([5.0, -5.0]))
        tensor([ 5., -5.])
        >>> layer.statistics.measurements.add_(1)
        tensor(1)
        >>> _ = vn.control_step(layer, vn.Collect(layer)(torch.zeros(8, 3))[1])
        >>> layer.beta   # a third, and three times
        tensor([0.0333, 0.3004])
    """

    change: Tensor
    seen: Tensor

    def __init__(
        self, units: int, worth: float = 0.2, beta_min: float = 1e-4, beta_max: float = 2.0
    ) -> None:
        super().__init__()
        if not worth > 0.0:
            raise ValueError(f"worth is {worth}, expected a positive number of nats per nat.")
        if not 0.0 < beta_min <= beta_max:
            raise ValueError(
                f"beta is kept in [{beta_min}, {beta_max}], expected 0 < beta_min ≤ beta_max."
            )
        self.worth = worth
        self.beta_min = beta_min
        self.beta_max = beta_max
        self.register_buffer("change", torch.zeros(units))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def penalty(self, term: LocalTerm) -> float:
        """Nothing: β acts through the KL itself."""
        return 0.0

    def update(self, statistics: UnitStatistics) -> Info:
        """Decide by how much each ln β moves."""
        use = statistics.marginal_use
        fresh = (statistics.measurements > self.seen) & use.isfinite()
        move = STEP * torch.tanh((self.worth - use) / self.worth)
        self.change.copy_(torch.where(fresh, move, 0.0))
        self.seen.copy_(statistics.measurements)
        return Info({"worth_its_price": (use > self.worth).float().mean()})

    def project(self, unit: AbstractUnit) -> None:
        """Move the unit's β."""
        unit.beta.copy_((unit.beta * self.change.exp()).clamp(self.beta_min, self.beta_max))

    def extra_repr(self) -> str:
        """Worth and range, for `repr`."""
        return f"worth={self.worth}, beta=[{self.beta_min}, {self.beta_max}]"
