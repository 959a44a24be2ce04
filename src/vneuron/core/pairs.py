"""Running statistics of pairs: a unit's posterior now, and one window before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .ledger import LocalTerm
from .reduce import means


class PairStatistics(nn.Module):
    """Moments of (µ, µ′) and of (ln σ, ln σ′) over windows and their predecessors.

    They are what persistence and the cost of a transition are computed from. Terms without a
    predecessor move nothing. The five moments are, in this order: mean now, mean before, square
    now, square before, product.

    Args:
        units: number of units.
        latent_dim: k.

    Attributes:
        updates: number of updates with pairs, int64 scalar.
        loc: moments of the means, [units, k, 5].
        log_scale: moments of ln σ, [units, k, 5].

    Example:
        >>> pairs = PairStatistics(units=1, latent_dim=1)
        >>> bool(pairs.persistence().isnan())
        True
    """

    updates: Tensor
    loc: Tensor
    log_scale: Tensor

    def __init__(self, units: int, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("loc", torch.zeros(units, latent_dim, 5))
        self.register_buffer("log_scale", torch.zeros(units, latent_dim, 5))

    @torch.no_grad()
    def update(self, term: LocalTerm, rate: float) -> None:
        """Move the running means towards the pairs of a batch; NaN marks a missing predecessor."""
        if term.previous_loc is None or term.previous_scale is None:
            return
        present = ~term.previous_loc.flatten(1).isnan().any(1)
        count = present.sum()
        # 0/0 where no pair is present, in any process.
        mean = means({"pairs": _sums(term, present)}, {"pairs": count})["pairs"].to(self.loc.dtype)
        known = mean.isfinite().all()
        weight = torch.where(self.updates == 0, 1.0, rate).to(self.loc.dtype)
        for buffer, value in ((self.loc, mean[0]), (self.log_scale, mean[1])):
            torch.where(known, buffer.lerp(value, weight), buffer, out=buffer)
        self.updates.add_(known)

    def persistence(self) -> Tensor:
        """Correlation of µ with its predecessor, mean over the k that move, [units]."""
        return self._correlation(self.loc)

    def scale_persistence(self) -> Tensor:
        """Correlation of ln σ with its predecessor, mean over the k that move, [units]."""
        return self._correlation(self.log_scale)

    def innovation_variance(self) -> Tensor:
        """What of Var µ its predecessor does not foretell linearly, [units, k]; NaN without pairs.

        Var µ − Cov(µ, µ′)² / Var µ′.
        """
        now, before, now_square, before_square, product = self.loc.double().unbind(-1)
        past = (before_square - before.square()).clamp_min(1e-300)
        left = now_square - now.square() - (product - now * before).square() / past
        known = self.updates > 0
        return torch.where(known, left.clamp_min(0.0), torch.nan).to(self.loc.dtype)

    def squared_innovation(self, phi: Tensor) -> Tensor:
        """E (µ − φ µ′)², [units, k], for φ of that shape."""
        _, _, now, before, product = self.loc.unbind(-1)
        return (now - 2.0 * phi * product + phi.square() * before).clamp_min(0.0)

    @torch.no_grad()
    def rescale(self, factor: Tensor, *, scale_too: bool) -> None:
        """What the moments become when µ, or µ and σ, are multiplied by `factor` [units]."""
        c = factor[:, None].to(self.loc.dtype)
        self.loc.mul_(torch.stack([c, c, c.square(), c.square(), c.square()], dim=-1))
        if not scale_too:
            return
        shift = c.log()
        now, before, now_square, before_square, product = self.log_scale.unbind(-1)
        moved = [
            now + shift,
            before + shift,
            now_square + 2 * shift * now + shift.square(),
            before_square + 2 * shift * before + shift.square(),
            product + shift * (now + before) + shift.square(),
        ]
        known = self.updates > 0
        self.log_scale.copy_(torch.where(known, torch.stack(moved, dim=-1), self.log_scale))

    def _correlation(self, moments: Tensor) -> Tensor:
        now, before, now_square, before_square, product = moments.double().unbind(-1)
        variances = (now_square - now.square()) * (before_square - before.square())
        # What single precision leaves of a constant's variance is no variance.
        floor = 1e-10 * now_square * before_square
        known = (variances > floor) & (self.updates > 0)
        value = (product - now * before) / variances.clamp_min(1e-300).sqrt()
        value = torch.where(known, value.clamp(-1.0, 1.0), torch.nan)
        return value.nanmean(-1).to(moments.dtype)

    def extra_repr(self) -> str:
        """Shape, for `repr`."""
        return f"units={self.loc.shape[0]}, latent_dim={self.loc.shape[1]}"


def _sums(term: LocalTerm, present: Tensor) -> Tensor:
    """Sums of the moments of µ and of ln σ over rows with a predecessor, [2, units, k, 5]."""
    tiny = torch.finfo(torch.float32).tiny
    rows = (term.loc, term.scale, term.previous_loc, term.previous_scale)
    # One tensor and few kernels: this runs at every step.
    values = torch.stack([row.float() for row in rows if row is not None])
    values[1::2] = values[1::2].clamp_min(tiny).log()
    values = values.where(present.view(1, -1, *[1] * (values.ndim - 2)), 0.0)
    first = values.sum(1)
    second = values.square().sum(1)
    product = (values[:2] * values[2:]).sum(1)
    return torch.stack([first[:2], first[2:], second[:2], second[2:], product], dim=-1)
