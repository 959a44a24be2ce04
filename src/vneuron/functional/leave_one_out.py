r"""What one unit does for the joint density: the density with that unit silenced or frozen.

Changing unit j changes M = I + S A S in its own rows and columns only, so that the
density without it, or with another scale in its place, follows from ``M^{-1}`` by a
block downdate and a bordering, with no new factorisation per unit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .low_rank import Whitened, diagonal, inverse_and_logdet


class LeaveOneOut:
    r"""Densities of one batch of windows with single units changed.

    Write J for the k columns of unit j in ``W``, P for the inverse of M without
    them, and f for the scales put in their place (0 silences the unit):

    .. math:: P = M^{-1} - M^{-1}_{:J} (M^{-1}_{JJ})^{-1} M^{-1}_{J:}, \qquad
              \ln\det M_{-J} = \ln\det M + \ln\det M^{-1}_{JJ},

    and the bordered matrix adds the Schur complement ``I + F A_JJ F - a'Pa`` with
    ``a = S A_{:J} F``. The correlation keeps its unit diagonal: n, and with it the
    standardised residual, is formed anew for each change.

    Args:
        loading: W, ``[steps, units · k]``, unit after unit, k columns to each.
        unit_scale: s, ``[batch, units · k]``.
        latent_dim: k.

    Raises:
        ValueError: If the number of columns is not a multiple of k.

    Example:
        >>> from vneuron.functional.low_rank import whiten
        >>> w, s, r = torch.randn(6, 3), torch.rand(4, 3), torch.randn(4, 6)
        >>> without = LeaveOneOut(w, s).whiten(0, r, torch.zeros(1))
        >>> direct = whiten(r, w, s * torch.tensor([0.0, 1.0, 1.0]))
        >>> bool(torch.allclose(without.quadratic, direct.quadratic, atol=1e-4))
        True
    """

    def __init__(self, loading: Tensor, unit_scale: Tensor, latent_dim: int = 1) -> None:
        if loading.shape[1] % latent_dim:
            raise ValueError(
                f"loading has {loading.shape[1]} columns, expected a multiple of k = {latent_dim}: "
                "give each unit k columns"
            )
        self.loading = loading
        self.scale = unit_scale
        self.latent_dim = latent_dim
        self.gram = loading.T @ loading
        self.inverse, self.logdet = inverse_and_logdet(self.gram, unit_scale)
        self.diagonal = diagonal(loading, unit_scale)

    def outcome_information(self) -> Tensor:
        r"""Model-implied information between each unit and the outcome, given the window.

        .. math:: I_j = \tfrac12 \ln \det S_J^2 / \det V_{JJ}
                      = -\tfrac12 \ln\det (M^{-1})_{JJ}, \qquad V = S M^{-1} S

        It depends on the rotation of W, so it is shown and never a bar.

        Returns:
            Nats, ``[batch, units]``.
        """
        k = self.latent_dim
        units = self.scale.shape[1] // k
        blocks = self.inverse.reshape(-1, units, k, units, k)
        own = torch.diagonal(blocks, dim1=1, dim2=3).permute(0, 3, 1, 2)
        return -0.5 * torch.logdet(own)

    def whiten(self, unit: int, residual: Tensor, scale: Tensor) -> Whitened:
        """Quadratic form and log-determinant with one unit's scales replaced.

        Args:
            unit: j.
            residual: r, ``[batch, steps]``; it may differ from the one that the model
                has, where the unit also moves the mean.
            scale: f, the k scales in its place, ``[k]`` or ``[batch, k]``; 0 silences.

        Returns:
            The pair, each ``[batch]``.
        """
        k = self.latent_dim
        own = slice(unit * k, (unit + 1) * k)
        f = scale.expand(residual.shape[0], k)
        moved = f.square() - self.scale[:, own].square()
        n = (self.diagonal + moved @ self.loading[:, own].square().T).clamp_min(1.0)
        e = residual * n.sqrt()
        projected = e @ self.loading
        b = (self.scale * projected)[..., None]
        a = self.scale[..., None] * self.gram[:, own] * f[:, None, :]
        # both right-hand sides through P at once; column 0 is b
        right = torch.cat([b, a], dim=-1)
        solved = self.inverse @ right
        corner = self.inverse[:, own, own]
        solved = solved - self.inverse[:, :, own] @ torch.linalg.solve(corner, solved[:, own])
        inner = right.mT @ solved
        border = torch.diag_embed(torch.ones_like(f))
        border = border + f[..., None] * self.gram[own, own] * f[:, None, :] - inner[:, 1:, 1:]
        gap = (f * projected[:, own])[..., None] - inner[:, 1:, :1]
        gain = (gap.mT @ torch.linalg.solve(border, gap))[:, 0, 0]
        quadratic = e.square().sum(-1) - inner[:, 0, 0] - gain
        logdet = self.logdet + torch.logdet(corner) + torch.logdet(border) - n.log().sum(-1)
        return Whitened(quadratic, logdet)
