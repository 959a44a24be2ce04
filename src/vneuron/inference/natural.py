r"""Natural-gradient steps on a Gaussian posterior with full covariance.

In natural parameters, :math:`(\Lambda\mu, \Lambda)` with Λ the precision, a step of the natural
gradient of the free energy :math:`KL(q\|p_0) - E_q \ln p(y \mid z)` moves straight towards prior
plus evidence:

.. math:: \Lambda \leftarrow (1-\rho)\Lambda + \rho(\Lambda_0 + K), \qquad
          \Lambda\mu \leftarrow (1-\rho)\Lambda\mu + \rho(\Lambda_0\mu_0 + g + K\mu)

with g the expected gradient and K minus the expected Hessian of :math:`\ln p(y \mid z)` under q.
Where that is quadratic in z, one whole step (ρ = 1) from anywhere is Bayes' rule. The prior may be
an earlier posterior: evidence that comes in parts adds up to what it is together.

Source: Khan and Lin (2017), AISTATS, section 3 (conjugate-computation variational inference).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class GaussianBelief(NamedTuple):
    """N(µ, Λ⁻¹) for each example of a batch, in natural parameters.

    Attributes:
        shift: Λµ, [batch, latents].
        precision: Λ, [batch, latents, latents], positive definite.

    Example:
        >>> belief = GaussianBelief(torch.tensor([[2.0]]), torch.tensor([[[4.0]]]))
        >>> belief.mean().item(), belief.root().item()
        (0.5, 0.5)
    """

    shift: Tensor
    precision: Tensor

    @classmethod
    def standard(cls, like: Tensor) -> GaussianBelief:
        """N(0, I), with batch, latents, type and device of `like` [batch, latents]."""
        identity = torch.eye(like.shape[1], dtype=like.dtype, device=like.device)
        return cls(torch.zeros_like(like), identity.expand(len(like), -1, -1))

    def mean(self) -> Tensor:
        """µ, [batch, latents]."""
        factor = torch.linalg.cholesky(self.precision)
        return torch.cholesky_solve(self.shift[..., None], factor)[..., 0]

    def root(self) -> Tensor:
        """A matrix L with L Lᵀ = Λ⁻¹, [batch, latents, latents]: µ + L ε is a draw."""
        factor = torch.linalg.cholesky(self.precision)
        identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        root: Tensor = torch.linalg.solve_triangular(factor.mT, identity, upper=True)
        return root


class Evidence(NamedTuple):
    """What data say about z, to second order about q.

    Attributes:
        gradient: g = E_q ∇ ln p(y | z), [batch, latents].
        curvature: K = −E_q ∇² ln p(y | z), [batch, latents, latents].
    """

    gradient: Tensor
    curvature: Tensor


def linear_evidence(loc: Tensor, design: Tensor, target: Tensor, weight: Tensor) -> Evidence:
    r"""Of :math:`y \sim N(Bz, \mathrm{diag}(1/w))`, exact for every q with this mean.

    Args:
        loc: µ of q, [batch, latents].
        design: B, [batch, data, latents].
        target: y, [batch, data]; counts only where its weight is not 0.
        weight: w, the noise's precision, [batch, data]; 0 where nothing was seen.

    Example:
        >>> one = torch.ones(1, 1)
        >>> linear_evidence(torch.zeros(1, 1), 2 * torch.ones(1, 1, 1), 3 * one, one).gradient
        tensor([[6.]])
    """
    weighted = design * weight[..., None]
    residual = target - torch.einsum("bhm,bm->bh", design, loc)
    return Evidence(torch.einsum("bhm,bh->bm", weighted, residual), torch.bmm(weighted.mT, design))


def natural_step(
    belief: GaussianBelief, prior: GaussianBelief, evidence: Evidence, rate: float = 1.0
) -> GaussianBelief:
    """One natural-gradient step.

    Args:
        belief: q, under which the evidence was taken.
        prior: p₀; yesterday's posterior, or `GaussianBelief.standard`.
        evidence: of the new data.
        rate: ρ, above 0, at most 1.

    Raises:
        ValueError: a rate outside.

    Example:
        >>> prior = GaussianBelief.standard(torch.zeros(1, 1))
        >>> one = torch.ones(1, 1)
        >>> seen = linear_evidence(prior.mean(), one[None], 3 * one, one)
        >>> natural_step(prior, prior, seen).mean()
        tensor([[1.5000]])
    """
    if not 0.0 < rate <= 1.0:
        raise ValueError(f"rate is {rate}, expected above 0 and at most 1: 1 is the whole step")
    pull = evidence.gradient + torch.einsum("bij,bj->bi", evidence.curvature, belief.mean())
    return GaussianBelief(
        torch.lerp(belief.shift, prior.shift + pull, rate),
        torch.lerp(belief.precision, prior.precision + evidence.curvature, rate),
    )
