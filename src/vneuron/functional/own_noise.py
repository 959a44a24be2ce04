r"""The steps' own noise of a trajectory: how much each has, and how long it lasts.

What ties the steps of a path beside the units is a first-order autoregressive noise,

.. math:: \mathrm{Cov} = \Delta R(\rho) \Delta, \qquad R_{ij} = \rho^{|i-j|}, \quad
          \Delta = \mathrm{diag}(\delta),

with ρ in (−1, 1). Its inverse is tridiagonal, so that densities cost a few products a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class OwnNoise(NamedTuple):
    """Persistence and weights of the steps' own noise.

    Attributes:
        persistence: ρ in (−1, 1), a scalar, or [batch] where it depends on the window.
        weight: δ, positive, a standard deviation relative to the units' part, [batch, steps];
            None where it is 1 throughout.
    """

    persistence: Tensor
    weight: Tensor | None = None

    def shared(self) -> bool:
        """Whether it is the same for every window."""
        return self.weight is None and self.persistence.dim() == 0

    def expand(self, batch: int) -> Tensor:
        """ρ of each window, [batch]."""
        return self.persistence.expand(batch)

    def variance(self) -> Tensor | float:
        """δ², [batch, steps], or 1."""
        return 1.0 if self.weight is None else self.weight.square()

    def map(self, change: Callable[[Tensor], Tensor]) -> OwnNoise:
        """The same with something done to ρ and δ, such as moving them to a device."""
        weight = None if self.weight is None else change(self.weight)
        return OwnNoise(change(self.persistence), weight)


class Precision(NamedTuple):
    """A tridiagonal inverse covariance Ω, of each window or (batch 1) of all.

    Attributes:
        diagonal: α, [batch, steps].
        beside: β, the entries next to the diagonal, [batch, steps − 1].
        logdet: ln det of the *covariance*, [batch].
    """

    diagonal: Tensor
    beside: Tensor
    logdet: Tensor

    def times(self, columns: Tensor) -> Tensor:
        """Ω of each window times its row of numbers, [batch, steps]."""
        return tridiagonal_times(self.diagonal, self.beside, columns)


def tridiagonal_times(diagonal: Tensor, beside: Tensor, x: Tensor) -> Tensor:
    """A symmetric tridiagonal matrix times a vector, window by window, [batch, steps].

    Example:
        >>> a, b, x = torch.tensor([[2.0, 3.0]]), torch.tensor([[1.0]]), torch.tensor([[1.0, 10.0]])
        >>> tridiagonal_times(a, b, x)
        tensor([[12., 31.]])
    """
    found = diagonal * x
    found[:, :-1] += beside * x[:, 1:]
    found[:, 1:] += beside * x[:, :-1]
    return found


def precision(own: OwnNoise, steps: int) -> Precision:
    r"""Inverse of Δ R(ρ) Δ, and its log-determinant.

    .. math:: \Omega_{hh} = \frac{1 + \rho^2 [1 < h < H]}{(1-\rho^2)\,\delta_h^2}, \quad
              \Omega_{h,h+1} = \frac{-\rho}{(1-\rho^2)\,\delta_h\delta_{h+1}}

    Args:
        own: ρ and δ.
        steps: H.

    Example:
        >>> found = precision(OwnNoise(torch.tensor(0.5)), 3)
        >>> torch.round(found.diagonal, decimals=4), torch.round(found.beside, decimals=4)
        (tensor([[1.3333, 1.6667, 1.3333]]), tensor([[-0.6667, -0.6667]]))
    """
    rho = own.persistence.reshape(-1, 1)
    left = (1.0 - rho) * (1.0 + rho)
    inner = rho.new_ones(1, steps)
    inner[:, 0], inner[:, -1] = 0.0, 0.0
    # a single step has no neighbour to be told by
    unit = (1.0 + rho.square() * inner) / left if steps > 1 else torch.ones_like(rho)
    beside = (-rho / left).expand(-1, steps - 1)
    logdet = (steps - 1) * left.log()[:, 0]
    if own.weight is None:
        return Precision(unit, beside, logdet)
    inverse = own.weight.reciprocal()
    beside = beside * (inverse[:, :-1] * inverse[:, 1:])
    return Precision(unit * inverse.square(), beside, logdet + 2.0 * own.weight.log().sum(-1))


def own_correlation(persistence: Tensor, steps: int) -> Tensor:
    """R(ρ) as a dense matrix, for tests and few windows.

    Args:
        persistence: ρ, [...].
        steps: H.

    Returns:
        [..., steps, steps].

    Example:
        >>> own_correlation(torch.tensor(0.5), 2)
        tensor([[1.0000, 0.5000],
                [0.5000, 1.0000]])
    """
    at = torch.arange(steps, device=persistence.device)
    return persistence[..., None, None] ** (at[:, None] - at).abs()


def correlated_times(persistence: Tensor, columns: Tensor) -> Tensor:
    r"""R(ρ) times columns, in one pass forth and one back.

    Args:
        persistence: ρ, [batch].
        columns: [batch, steps, F].

    Returns:
        [batch, steps, F].

    Example:
        >>> correlated_times(torch.tensor([0.5]), torch.tensor([[[1.0], [0.0]]]))[0, :, 0]
        tensor([1.0000, 0.5000])
    """
    rho = persistence[:, None]
    ahead = list(columns.unbind(1))
    behind = list(ahead)
    for step in range(1, len(ahead)):
        ahead[step] = ahead[step] + rho * ahead[step - 1]
        behind[-1 - step] = behind[-1 - step] + rho * behind[-step]
    return torch.stack(ahead, 1) + torch.stack(behind, 1) - columns


def autoregress(persistence: Tensor, noise: Tensor) -> Tensor:
    r"""White noise to noise with correlation R(ρ): x_1 = ε_1, x_t = ρ x_{t−1} + √(1 − ρ²) ε_t.

    Args:
        persistence: ρ, a scalar or [batch].
        noise: ε, standard normal, [batch, draws, steps].

    Returns:
        Of the same shape, each entry of variance one.

    Example:
        >>> autoregress(torch.tensor(0.6), torch.ones(1, 1, 3))
        tensor([[[1.0000, 1.4000, 1.6400]]])
    """
    rho = persistence.reshape(-1, 1)
    fresh = ((1.0 - rho) * (1.0 + rho)).sqrt()
    # steps in front: each is then one contiguous piece of memory; a copy, even of noise that has
    # them in front already, since it is written to
    path = noise.movedim(-1, 0).clone(memory_format=torch.contiguous_format)
    path[1:] *= fresh
    for step in range(1, len(path)):
        path[step] += rho * path[step - 1]
    return path.movedim(0, -1)
