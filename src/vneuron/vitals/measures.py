"""Measures of units, as pure functions: of a term, for one batch, or of running means.

`UnitStatistics` keeps the running form of the same quantities.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..core import ALIVE_KL, LocalTerm, UnitStatistics
from ..functional.gaussian import information_rate

ACTIVE_VARIANCE = 1e-2


def effective_kl(term: LocalTerm) -> Tensor:
    """Mean KL over the batch, nats, [units].

    Example:
        >>> effective_kl(_example()).tolist()
        [0.5]
    """
    return term.kl.mean(0)


def energy(term: LocalTerm) -> Tensor:
    """µ² averaged over the batch and k, [units].

    Example:
        >>> energy(_example()).tolist()
        [1.0]
    """
    return term.loc.square().mean((0, 2))


def loc_variance(term: LocalTerm) -> Tensor:
    """Variance of µ over the batch, [units, k] (divided by the batch, not by one less).

    Example:
        >>> loc_variance(_example()).tolist()
        [[1.0]]
    """
    return term.loc.var(0, correction=0)


def rate(term: LocalTerm) -> Tensor:
    """R = ½ [ln(E σ² + Var µ) − E ln σ²] in nats, summed over k, [units].

    Example:
        >>> round(rate(_example()).item(), 4)   # ½ ln 2
        0.3466
    """
    moments = (term.loc, term.loc.square(), term.scale.square(), term.scale.log())
    return information_rate(*(moment.mean(0) for moment in moments)).sum(-1)


def alive(kl: Tensor, threshold: float = ALIVE_KL) -> Tensor:
    """Whether a unit's (running) KL exceeds `threshold` nats, [units] bool.

    Example:
        >>> alive(torch.tensor([0.0, 0.1]))
        tensor([False,  True])
    """
    return kl > threshold


def active(variance: Tensor, threshold: float = ACTIVE_VARIANCE) -> Tensor:
    """Whether some dimension of a unit has Var µ above `threshold`, [units] bool.

    The active units of Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders"
    (arXiv:1509.00519, §5.2).

    Args:
        variance: Var µ over inputs, [units, k].
        threshold: their 0.01.

    Example:
        >>> active(torch.tensor([[0.0, 0.5], [0.0, 0.001]]))
        tensor([ True, False])
    """
    return (variance > threshold).any(-1)


def contraction(log_scale: Tensor, prior_scale: Tensor | float = 1.0) -> Tensor:
    """σ over σ of the prior, as a geometric mean over inputs and k, [units].

    One where the posterior is as wide as the prior; small where inputs pin the latent down.

    Args:
        log_scale: E ln σ over inputs, [units, k].
        prior_scale: standard deviation of the prior, broadcastable to [units, k].

    Example:
        >>> contraction(torch.zeros(2, 1), 2.0)
        tensor([0.5000, 0.5000])
    """
    return (log_scale - torch.as_tensor(prior_scale).log()).mean(-1).exp()


def generalised_energy(
    statistics: UnitStatistics, prior_loc: Tensor, prior_scale: Tensor
) -> Tensor:
    """E[(µ − m)²/s² + 2 ln²(σ/s)], summed over k, [units]: about 2 KL near the prior N(m, s²).

    An energy for units that speak through their scale as well.

    Example:
        >>> statistics = UnitStatistics(1, 1)
        >>> statistics.update(_example())
        >>> generalised_energy(statistics, torch.zeros(()), torch.ones(()))
        tensor([1.])
    """
    shift = statistics.loc_square - 2.0 * prior_loc * statistics.loc_mean + prior_loc.square()
    log_prior = prior_scale.log()
    spread = (
        statistics.log_scale_square - 2.0 * log_prior * statistics.log_scale + log_prior.square()
    )
    return (shift / prior_scale.square() + 2.0 * spread).sum(-1)


def innovation(statistics: UnitStatistics) -> Tensor:
    r"""What a unit tells of its window that it did not tell of the one before, nats, [units].

    ½ Σ_k ln(1 + V/E σ²) with V what of Var µ its predecessor does not foretell. A unit that
    follows a slow series is as persistent as one that follows nothing, but not without news.
    NaN where no pairs of windows were seen.

    Example:
        >>> statistics = UnitStatistics(1, 1)
        >>> term = _example()
        >>> same = term._replace(previous_loc=term.loc, previous_scale=term.scale)
        >>> statistics.update(same)
        >>> innovation(statistics)
        tensor([0.])
    """
    ratio = statistics.pairs.innovation_variance() / statistics.scale_square
    return (0.5 * ratio.log1p()).sum(-1)


def band_shares(energy: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Share of units below, inside and above their band; scalars.

    Example:
        >>> one = torch.ones(3)
        >>> [round(x.item(), 2) for x in band_shares(torch.tensor([0.0, 1.5, 3.0]), one, 2 * one)]
        [0.33, 0.33, 0.33]
    """
    below, above = energy < low, energy > high
    inside = ~(below | above)
    return below.float().mean(), inside.float().mean(), above.float().mean()


def _example() -> LocalTerm:
    """One unit whose mean is ±1 with σ = 1: for the examples above."""
    loc = torch.tensor([[[1.0]], [[-1.0]]])
    return LocalTerm("unit", torch.full((2, 1), 0.5), loc, loc, torch.ones(2, 1, 1), torch.ones(1))
