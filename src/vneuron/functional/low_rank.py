r"""The low-rank correlation of a trajectory, and its quadratic form and determinant.

A trajectory of H steps, standardised step by step, has the scale matrix

.. math:: C = n^{-1/2} (W S^2 W^\top + \Delta R(\rho) \Delta)\, n^{-1/2}, \qquad
          n = \mathrm{diag}(W S^2 W^\top + \Delta^2),

with one loading W ``[steps, units]`` for all windows, the units' scales ``S = diag(s)`` of this
window, and the steps' own noise (`OwnNoise`; white and of weight one where it is left out). C has
unit diagonal for every W, s, ρ and δ, so that learning how steps depend on each other cannot move
any single step's margin.

Everything here works through the ``units x units`` matrix ``M = I + S A S`` and never through an
H x H matrix: see `vneuron.functional.woodbury`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .own_noise import OwnNoise, own_correlation, precision
from .woodbury import Whitened, gram, inverse_and_logdet, known, solve

__all__ = ["Whitened", "correlation", "diagonal", "posterior", "whiten"]


def diagonal(loading: Tensor, unit_scale: Tensor, own: OwnNoise | None = None) -> Tensor:
    r"""Diagonal ``n = diag(W S^2 W') + δ²`` before it is normalised to one.

    Args:
        loading: W, ``[steps, units]``.
        unit_scale: s (a standard deviation), ``[..., units]``.
        own: the steps' own noise.

    Returns:
        n, ``[..., steps]``.

    Example:
        >>> diagonal(torch.tensor([[2.0], [0.0]]), torch.tensor([[3.0]]))
        tensor([[37.,  1.]])
    """
    alone = 1.0 if own is None else own.variance()
    return unit_scale.square() @ loading.square().T + alone


def correlation(loading: Tensor, unit_scale: Tensor, own: OwnNoise | None = None) -> Tensor:
    r"""The dense correlation matrix C, for reading and for tests.

    Args:
        loading: W, ``[steps, units]``.
        unit_scale: s, ``[..., units]``.
        own: the steps' own noise.

    Returns:
        C, ``[..., steps, steps]``, symmetric with unit diagonal.

    Example:
        >>> correlation(torch.tensor([[1.0], [1.0]]), torch.tensor([1.0]))
        tensor([[1.0000, 0.5000],
                [0.5000, 1.0000]])
    """
    root = diagonal(loading, unit_scale, own).sqrt()
    scaled = (loading * unit_scale[..., None, :]) / root[..., None]
    shared = scaled @ scaled.mT
    if own is None:
        return shared + torch.diag_embed(1.0 - torch.diagonal(shared, dim1=-2, dim2=-1))
    weight = (1.0 if own.weight is None else own.weight) / root
    noise = own_correlation(own.persistence, len(loading))
    return shared + weight[..., :, None] * noise * weight[..., None, :]


def whiten(
    residual: Tensor,
    loading: Tensor,
    unit_scale: Tensor,
    observed: Tensor | None = None,
    own: OwnNoise | None = None,
) -> Whitened:
    r"""Quadratic form and log-determinant of C, differentiable in all that is continuous.

    With :math:`e = n^{1/2} r`, Ω the tridiagonal inverse of the own noise's covariance,
    :math:`A = W^\top\Omega W`, :math:`b = S W^\top \Omega e` and :math:`M = I + S A S`,

    .. math:: r^\top C^{-1} r = e^\top\Omega e - b^\top M^{-1} b, \qquad
              \ln\det C = \ln\det M - \ln\det\Omega - \textstyle\sum_h \ln n_h .

    Missing steps drop their rows of W, residual and n; the own noise of the steps around them is
    then correlated as ρ to the power of their distance.

    Args:
        residual: r, standardised residuals ``[batch, steps]``.
        loading: W, ``[steps, units]``.
        unit_scale: s (a standard deviation): ``[batch, units]`` when it depends on
            the window, ``[units]`` when it is static. The static form factors one
            matrix for the whole batch.
        observed: Optional ``[batch, steps]`` mask, true where the step is known.
        own: the steps' own noise; None is white, of weight one.

    Returns:
        The pair :class:`Whitened`, each ``[batch]``.

    Raises:
        ValueError: If the shapes do not belong together.

    Example:
        >>> r, w, s = torch.ones(1, 2), torch.ones(2, 1), torch.ones(1, 1)
        >>> q, logdet = whiten(r, w, s)
        >>> dense = correlation(w, s)
        >>> bool(torch.isclose(q, r @ torch.linalg.inv(dense)[0] @ r[0]))
        True
        >>> bool(torch.isclose(logdet, torch.logdet(dense)))
        True
    """
    _check(residual, loading, unit_scale)
    if unit_scale.dim() == 1 and observed is None and (own is None or own.shared()):
        return _whiten_static(residual, loading, unit_scale, own)
    batch = residual.shape[0]
    scale = unit_scale.expand(batch, -1)
    n = diagonal(loading, scale, own)
    e = residual * n.sqrt()
    if observed is not None and own is not None:
        return _whiten_rows(e, n, loading, scale, observed, own)
    if observed is not None:
        # where, not a product: a missing residual may be NaN
        zero = torch.zeros_like(e)
        alpha, beta = observed.to(e.dtype), zero[:, 1:]
        e, log_n = torch.where(observed, e, zero), torch.where(observed, n.log(), zero)
        quadratic, logdet = solve(e, loading, scale, alpha, beta)
        return Whitened(quadratic, logdet - log_n.sum(-1))
    if own is None:
        quadratic, logdet = solve(e, loading, scale)
        return Whitened(quadratic, logdet - n.log().sum(-1))
    inverse = precision(own, e.shape[1])
    # one row for all windows, or a row for each
    alpha, beta = inverse.diagonal, inverse.beside
    if len(beta) != len(alpha):
        beta = beta.expand(len(alpha), -1)
    quadratic, logdet = solve(e, loading, scale, alpha, beta)
    return Whitened(quadratic, logdet + inverse.logdet - n.log().sum(-1))


def posterior(loading: Tensor, unit_scale: Tensor, own: OwnNoise | None = None) -> Tensor:
    r""":math:`M^{-1}`, the units' covariance given the whole path, in units of their own scales.

    Args:
        loading: W, ``[steps, units]``.
        unit_scale: s, ``[batch, units]``.
        own: the steps' own noise.

    Returns:
        ``[batch, units, units]``.

    Example:
        >>> posterior(torch.ones(3, 1), torch.ones(1, 1)).item()
        0.25
    """
    steps = len(loading)
    noise = OwnNoise(loading.new_zeros(())) if own is None else own
    inverse = precision(noise, steps)
    beside = inverse.beside.expand(len(inverse.diagonal), -1)
    return inverse_and_logdet(gram(loading, inverse.diagonal, beside), unit_scale)[0]


def _check(residual: Tensor, loading: Tensor, unit_scale: Tensor) -> None:
    if residual.dim() != 2 or residual.shape[1] != loading.shape[0]:
        raise ValueError(
            f"residual has shape {tuple(residual.shape)} and loading {tuple(loading.shape)}; "
            "expected [batch, steps] and [steps, units] with the same number of steps"
        )
    if unit_scale.shape[-1] != loading.shape[1]:
        raise ValueError(
            f"unit_scale has {unit_scale.shape[-1]} units and loading {loading.shape[1]}; "
            "pass one scale for each column of loading"
        )


def _whiten_static(
    residual: Tensor, loading: Tensor, unit_scale: Tensor, own: OwnNoise | None
) -> Whitened:
    """One factorisation serves every window, and autograd through it is cheap."""
    n = diagonal(loading, unit_scale)
    e, scaled = residual * n.sqrt(), loading * unit_scale
    alone = -n.log().sum()
    if own is not None:
        rho = own.persistence
        left = (1.0 - rho) * (1.0 + rho)
        e, scaled = _innovations(e.mT, rho, left).mT, _innovations(scaled, rho, left)
        alone = alone + (len(loading) - 1) * left.log()
    identity = torch.eye(scaled.shape[1], dtype=scaled.dtype, device=scaled.device)
    factor, failed = torch.linalg.cholesky_ex(identity + scaled.mT @ scaled)
    half = torch.linalg.solve_triangular(factor, (e @ scaled).mT, upper=False)
    logdet = known(2.0 * factor.diagonal().log().sum(), failed) + alone
    quadratic = e.square().sum(-1) - half.square().sum(0)
    return Whitened(quadratic, logdet.expand(residual.shape[0]))


def _innovations(rows: Tensor, rho: Tensor, left: Tensor) -> Tensor:
    """What is new at each step, in standard deviations: (x_t − ρ x_{t−1}) / √(1 − ρ²), [H, ...]."""
    return torch.cat([rows[:1], (rows[1:] - rho * rows[:-1]) * left.rsqrt()])


def _whiten_rows(
    e: Tensor, n: Tensor, loading: Tensor, scale: Tensor, observed: Tensor, own: OwnNoise
) -> Whitened:
    """By the rows that each window has, [batch, steps, units] of them: slower, for missing steps.

    A step's predecessor is the last observed one, at a distance of d steps: ρ^d. A missing step
    becomes a row of zeros, which counts nothing.
    """
    batch, steps = e.shape
    at = torch.arange(steps, device=e.device)
    seen = torch.where(observed, at, -1).cummax(-1).values
    before = torch.cat([seen.new_full((batch, 1), -1), seen[:, :-1]], -1)
    rho = own.expand(batch)[:, None] ** (at - before).clamp_min(1)
    rho = torch.where(before >= 0, rho, torch.zeros_like(rho))
    left = ((1.0 - rho) * (1.0 + rho)).rsqrt()
    weight = torch.ones_like(e) if own.weight is None else own.weight
    zero = torch.zeros_like(e)
    before = before.clamp_min(0)
    white = torch.where(observed, e / weight, zero)
    new = torch.where(observed, (white - rho * white.gather(1, before)) * left, zero)
    rows = scale[:, None, :] * loading / weight[..., None]
    last = rows.gather(1, before[..., None].expand_as(rows))
    fresh = (rows - rho[..., None] * last) * (left * observed)[..., None]
    identity = torch.eye(loading.shape[1], dtype=e.dtype, device=e.device)
    factor, failed = torch.linalg.cholesky_ex(identity + fresh.mT @ fresh)
    half = torch.linalg.solve_triangular(factor, (new[:, None] @ fresh).mT, upper=False)
    logdet = known(2.0 * torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(-1), failed)
    log_own = torch.where(observed, weight.log() - left.log(), zero)
    alone = 2.0 * log_own.sum(-1) - torch.where(observed, n.log(), zero).sum(-1)
    return Whitened(new.square().sum(-1) - half.square().sum((-2, -1)), logdet + alone)
