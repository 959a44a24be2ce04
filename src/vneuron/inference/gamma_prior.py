"""A heavy-tailed prior of spike counts: each rate is drawn from a gamma distribution."""

from __future__ import annotations

from torch import Tensor, nn

from ..functional.gamma_poisson import KLTable, kl_table

__all__ = ["GammaPrior"]


class GammaPrior(nn.Module):
    """z ~ Pois(ρ) with ρ ~ Gamma of shape a and mean m: negative binomial counts.

    Natural codes are mostly silent and, where they are not, of any size. A Poisson prior charges
    ln(r / r₀) for every spike of a rate r, and ever more for the next; this one charges about −ln a
    for being active at all, and little for how much.

    Args:
        shape: a; small ones make tails heavy.
        mean: m, expected spikes.
        lowest: least u = ln r that will be asked for.
        highest: the largest.

    Raises:
        ValueError: if the shape or the mean is not positive.

    Example:
        >>> import torch
        >>> prior = GammaPrior(shape=0.01, mean=0.1, lowest=-12.0, highest=6.0)
        >>> u = torch.tensor([2.0, 3.0])
        >>> bool(prior.slope(u)[1] < prior.slope(u)[0])  # the next spike is cheaper
        True
    """

    kl_rows: Tensor
    slope_rows: Tensor

    def __init__(self, shape: float, mean: float, lowest: float, highest: float) -> None:
        super().__init__()
        self.shape, self.mean, self.lowest = shape, mean, lowest
        table = kl_table(shape, mean, lowest, highest)
        # They follow from the numbers above: no part of what is saved.
        self.register_buffer("kl_rows", table.kl, persistent=False)
        self.register_buffer("slope_rows", table.slope, persistent=False)

    def kl(self, log_rate: Tensor) -> Tensor:
        """KL(Pois(eᵘ) ‖ prior), elementwise in nats."""
        return self._table().read(log_rate)

    def slope(self, log_rate: Tensor) -> Tensor:
        """dKL/dr, elementwise: what the natural gradient in u has of it."""
        return self._table().read_slope(log_rate)

    def extra_repr(self) -> str:
        """Its numbers, for `repr`."""
        return f"shape={self.shape}, mean={self.mean}"

    def _table(self) -> KLTable:
        return KLTable(self.kl_rows, self.slope_rows, self.lowest)
