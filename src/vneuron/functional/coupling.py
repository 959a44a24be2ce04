r"""Sources that several series share, and the Gaussian density of all their paths together.

Series c has the path x_c = V_c ε_c + u_c, with ε_c its units' deviations and u_c white noise, both
standard normal. Series share them through factors: for unit j and step h

.. math:: \varepsilon_{cj} = \Lambda_{cj} f_j + \sqrt{1 - |\Lambda_{cj}|^2}\,\epsilon_{cj}, \qquad
          u_{ch} = \lambda_c g_h + \sqrt{1 - |\lambda_c|^2}\,\eta_{ch}, \qquad
          f_j, g_h \sim N(0, I_r)

so that every series has the covariance I + V V' whatever the loadings are, and two series have

.. math:: \mathrm{Cov}(x_c, x_d) = V_c\, \mathrm{diag}_j(\Lambda_{cj}^\top\Lambda_{dj})\, V_d^\top
          + \lambda_c^\top\lambda_d\, I .

The density goes through one matrix that is small: of all series' units, or, where there are many
series, of the factors, given which series are independent; that cost is linear in their number.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .own_noise import OwnNoise
from .woodbury import Whitened

__all__ = ["bounded", "cholesky", "correlation_of", "coupled", "innovations", "own_form"]

MOST_SHARED = 0.995
"""|Λ|² stays below it, so that no series is another one's copy."""


def bounded(raw: Tensor) -> Tensor:
    """Loadings of norm below one, from numbers that are free: v √(.995 / (1 + |v|²)).

    Example:
        >>> bounded(torch.tensor([[3.0, 4.0]])).norm().item() < 1.0
        True
    """
    return raw * (MOST_SHARED / (1.0 + raw.square().sum(-1, keepdim=True))).sqrt()


def correlation_of(loading: Tensor) -> Tensor:
    """Correlation between series that share factors: ΛΛ' with the diagonal raised to one.

    Args:
        loading: Λ, [..., series, factors].

    Returns:
        [..., series, series].

    Example:
        >>> correlation_of(torch.tensor([[0.6], [0.5]]))
        tensor([[1.0000, 0.3000],
                [0.3000, 1.0000]])
    """
    shared = loading @ loading.mT
    return shared + torch.diag_embed(1.0 - torch.diagonal(shared, dim1=-2, dim2=-1))


def innovations(own: OwnNoise | None, rows: Tensor) -> Tensor:
    """What is new at each step beside the own noise of the step before, in its deviations.

    It makes Δ R(ρ) Δ the identity, and keeps the order of the steps.

    Args:
        own: ρ and δ of each window; None is white noise of weight one.
        rows: [windows, steps, F].

    Returns:
        [windows, steps, F].

    Example:
        >>> innovations(OwnNoise(torch.tensor(0.6)), torch.tensor([[[1.0], [0.6]]]))[0, :, 0]
        tensor([1., 0.])
    """
    if own is None:
        return rows
    if own.weight is not None:
        rows = rows / own.weight[..., None]
    rho = own.persistence.reshape(-1, 1, 1)
    left = ((1.0 - rho) * (1.0 + rho)).rsqrt()
    return torch.cat([rows[:, :1], (rows[:, 1:] - rho * rows[:, :-1]) * left], 1)


def own_form(value: Tensor, columns: Tensor) -> Whitened:
    """x'(I + V V')⁻¹ x and ln det(I + V V') of each window by itself.

    Args:
        value: x, [..., steps].
        columns: V, [..., steps, units].

    Returns:
        Each [...].

    Example:
        >>> form = own_form(torch.ones(2), torch.ones(2, 1))
        >>> round(form.quadratic.item(), 4), round(form.logdet.item(), 4)
        (0.6667, 1.0986)
    """
    gram = columns.mT @ columns
    torch.diagonal(gram, dim1=-2, dim2=-1).add_(1.0)
    factor = cholesky(gram)
    half = _halve(factor, _times(columns.mT, value))
    return Whitened(value.square().sum(-1) - half.square().sum(-1), _logdet(factor))


def coupled(value: Tensor, columns: Tensor, units: Tensor, noise: Tensor) -> Whitened:
    """Quadratic form and log-determinant of all series' paths at one origin.

    A series that is absent has zeros for value, columns and loadings, and then counts nothing.

    Args:
        value: x, [origins, series, steps].
        columns: V, [origins, series, steps, units].
        units: Λ, [series, units, factors], or with origins in front.
        noise: λ, [series, factors], or with origins in front.

    Returns:
        Each [origins].

    Raises:
        ValueError: shapes that do not belong together.

    Example:
        >>> x, v = torch.ones(1, 2, 3), torch.zeros(1, 2, 3, 1)
        >>> found = coupled(x, v, torch.zeros(2, 1, 1), torch.full((2, 1), 0.5**0.5))
        >>> round(found.quadratic.item(), 4), round(found.logdet.item(), 4)
        (4.0, -0.863)
    """
    series, steps, width = columns.shape[1:]
    if value.shape != columns.shape[:-1] or units.shape[-3:-1] != (series, width):
        raise ValueError(
            f"value is {tuple(value.shape)}, columns {tuple(columns.shape)} and units "
            f"{tuple(units.shape)}; expected [origins, series, steps], the same with units behind, "
            "and [series, units, factors]"
        )
    if series * width <= noise.shape[-1] * (width + steps):
        return by_sources(value, columns, units, noise)
    return by_factors(value, columns, units, noise)


def by_sources(value: Tensor, columns: Tensor, units: Tensor, noise: Tensor) -> Whitened:
    """`coupled` through the matrix of all series' units, for few series."""
    origins, series, steps, width = columns.shape
    between = cholesky(correlation_of(noise))
    inverse = torch.cholesky_inverse(between)
    told = inverse @ value
    right = _times(columns.mT, told).flatten(1)
    flat = columns.transpose(1, 2).reshape(origins, steps, series * width)
    products = (flat.mT @ flat).view(origins, series, width, series, width)
    inner = products * inverse[..., :, None, :, None]
    alike = cholesky(correlation_of(units.transpose(-3, -2)))
    prior = torch.cholesky_inverse(alike).movedim(-3, -1)
    inner = inner + torch.diag_embed(prior).transpose(-3, -2)
    factor = cholesky(inner.reshape(origins, series * width, series * width))
    half = _halve(factor, right)
    quadratic = (value * told).sum((-2, -1)) - half.square().sum(-1)
    logdet = _logdet(factor) + _logdet(alike).sum(-1) + steps * _logdet(between)
    return Whitened(quadratic, logdet)


def by_factors(value: Tensor, columns: Tensor, units: Tensor, noise: Tensor) -> Whitened:
    """`coupled` through the matrix of the factors: its cost is linear in the series."""
    origins, _, steps, width = columns.shape
    rank = noise.shape[-1]
    left = 1.0 - units.square().sum(-1)
    alone = 1.0 - noise.square().sum(-1)
    # what is left of a series given the factors: alone · I + V diag(left) V'
    inner = columns.mT @ columns
    products = inner.clone()
    torch.diagonal(inner, dim1=-2, dim2=-1).add_(alone[..., None] / left)
    factor = cholesky(inner)
    half = _halve(factor, _times(columns.mT, value))
    back = torch.linalg.solve_triangular(factor.mT, half[..., None], upper=True)[..., 0]
    told = (value - _times(columns, back)) / alone[..., None]
    own = (value * told).sum((-2, -1))
    own_logdet = _logdet(factor) + left.log().sum(-1) + (steps - width) * alone.log()

    inverse = torch.cholesky_inverse(factor)
    turned = inverse / left[..., None, :]
    seen = columns @ turned  # (alone I + V left V')^-1 V
    both = units[..., None] * (products @ turned)[..., None, :]  # [o, c, m, f, n]
    of_units = torch.einsum("ocmfn,ocng->ofmgn", both, units.expand(origins, -1, -1, -1))
    weighted = noise[..., :, None] * noise[..., None, :] / alone[..., None, None]
    weighted = weighted.expand(origins, -1, -1, -1)
    hats = columns @ inverse @ columns.mT
    of_noise = -torch.einsum("ocfg,ochk->ofhgk", weighted, hats)
    step = torch.arange(steps, device=value.device)
    of_noise[:, :, step, :, step] += weighted.sum(1)
    loads = units[..., :, :, None] * noise[..., None, None, :]  # [., c, m, f, g]
    across = torch.einsum("ocmfg,ochm->ofmgh", loads.expand(origins, -1, -1, -1, -1), seen)

    first, second = rank * width, rank * steps
    corner = across.reshape(origins, first, second)
    whole = torch.cat(
        [
            torch.cat([of_units.reshape(origins, first, first), corner], -1),
            torch.cat([corner.mT, of_noise.reshape(origins, second, second)], -1),
        ],
        -2,
    )
    torch.diagonal(whole, dim1=-2, dim2=-1).add_(1.0)
    by_unit = (units * _times(columns.mT, told)[..., None]).sum(1)
    by_step = (noise[..., None, :] * told[..., None]).sum(1)
    right = torch.cat([by_unit.mT.flatten(1), by_step.mT.flatten(1)], -1)
    shared = cholesky(whole)
    quadratic = own - _halve(shared, right).square().sum(-1)
    return Whitened(quadratic, own_logdet.sum(-1) + _logdet(shared))


def cholesky(matrix: Tensor) -> Tensor:
    """Lower factor; NaN where there is none, which learning takes for a step too far.

    Example:
        >>> cholesky(-torch.eye(1))
        tensor([[nan]])
    """
    found: Tensor
    found, failed = torch.linalg.cholesky_ex(matrix)
    return found.masked_fill((failed != 0)[..., None, None], torch.nan)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]


def _halve(factor: Tensor, vector: Tensor) -> Tensor:
    found: Tensor = torch.linalg.solve_triangular(factor, vector[..., None], upper=False)
    return found[..., 0]


def _logdet(factor: Tensor) -> Tensor:
    return 2.0 * torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(-1)
