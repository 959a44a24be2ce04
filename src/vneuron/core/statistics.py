"""Running statistics of a layer of units: what health and controls are judged by."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..functional.gaussian import information_rate
from .ledger import LocalTerm
from .pairs import PairStatistics
from .reduce import BatchSummary

ALIVE_KL = 1e-4
"""Nats; a posterior with less KL counts as equal to its prior."""


class UnitStatistics(nn.Module):
    """Running means of a layer's local terms, one value per unit or per unit and dimension.

    Each update moves a mean by `RATE` towards the batch; the first copies the batch, so that no
    start value lingers. All state is in buffers: it follows `.to()` and `state_dict`, and a
    resumed run continues from the same numbers. Keep it in single precision or better: Var µ is
    a difference of two of these means.

    Args:
        units: number of units.
        latent_dim: k.

    Attributes:
        updates: number of updates so far, int64 scalar.
        kl: KL in nats, [units].
        energy: mean over k of µ², [units].
        slow_energy: the same at a tenth of the rate, to tell growth by, [units].
        alive_share: share of examples whose KL exceeds 1e-4 nats, [units].
        loc_mean: E µ, [units, k].
        loc_square: E µ², [units, k].
        scale_square: E σ², [units, k].
        log_scale: E ln σ, [units, k].
        log_scale_square: E ln² σ, [units, k].
        last_log_scale: E ln σ of the last batch alone, [units, k].
        scale_min: smallest σ of the last batch, over k too, [units].
        scale_max: largest σ of the last batch, [units].
        pairs: moments of each posterior with its predecessor's, where terms carry one.
        reference_mean: mean of z over inputs and draws at `mark_reference`, [units, k].
        reference_variance: its variance, [units, k]; both NaN before.
        use: rise of held-out joint NLL when the unit is silenced, nats per window, [units].
        dynamic_use: the same when only its dependence on the input is frozen, [units].
        outcome_information: model-implied information of outcomes on z, nats, [units].
        marginal_use: held-out nats that the next nat of the unit's rate buys, [units].
        measurements: how often these four were measured, int64 scalar.

    The last ones need held-out outcomes: a trainer writes them at validation, and they are NaN
    until then.

    Example:
        >>> from vneuron.core import LocalTerm
        >>> loc = torch.tensor([[[1.0]], [[3.0]]])
        >>> term = LocalTerm("a", torch.ones(2, 1), loc, loc, torch.ones(2, 1, 1), torch.ones(1))
        >>> statistics = UnitStatistics(units=1, latent_dim=1)
        >>> statistics.update(term)
        >>> statistics.energy, statistics.loc_variance()
        (tensor([5.]), tensor([[1.]]))
    """

    RATE = 0.1
    SLOW_RATE = 0.01

    updates: Tensor
    kl: Tensor
    energy: Tensor
    slow_energy: Tensor
    alive_share: Tensor
    loc_mean: Tensor
    loc_square: Tensor
    scale_square: Tensor
    log_scale: Tensor
    log_scale_square: Tensor
    last_log_scale: Tensor
    scale_min: Tensor
    scale_max: Tensor
    reference_mean: Tensor
    reference_variance: Tensor
    use: Tensor
    dynamic_use: Tensor
    outcome_information: Tensor
    marginal_use: Tensor
    measurements: Tensor

    def __init__(self, units: int, latent_dim: int) -> None:
        super().__init__()
        self.units = units
        self.latent_dim = latent_dim
        for name in ("updates", "measurements"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))
        for name in ("kl", "energy", "slow_energy", "alive_share", "scale_min", "scale_max"):
            self.register_buffer(name, torch.zeros(units))
        for name in ("loc_mean", "loc_square", "scale_square"):
            self.register_buffer(name, torch.zeros(units, latent_dim))
        for name in ("log_scale", "log_scale_square", "last_log_scale"):
            self.register_buffer(name, torch.zeros(units, latent_dim))
        for name in ("use", "dynamic_use", "outcome_information", "marginal_use"):
            self.register_buffer(name, torch.full((units,), torch.nan))
        for name in ("reference_mean", "reference_variance"):
            self.register_buffer(name, torch.full((units, latent_dim), torch.nan))
        self.pairs = PairStatistics(units, latent_dim)

    @torch.no_grad()
    def update(self, term: LocalTerm, summary: BatchSummary | None = None) -> None:
        """Move the running means towards a batch.

        Where `torch.distributed` is initialised the batch is that of all processes together, so
        every process must call this equally often. Nothing is read back to the host.

        Args:
            term: the layer's term, with the whole batch of this step.
            summary: `summarize(term)`, where it was begun before.
        """
        summary = summarize(term) if summary is None else summary
        mean = summary.means()
        mean["energy"] = mean["loc_square"].mean(-1)
        first = self.updates == 0
        weight = torch.where(first, 1.0, self.RATE).to(self.kl.dtype)
        for name, value in mean.items():
            buffer: Tensor = getattr(self, name)
            buffer.lerp_(value.to(buffer.dtype), weight)
        slow = torch.where(first, 1.0, self.SLOW_RATE).to(self.slow_energy.dtype)
        self.slow_energy.lerp_(mean["energy"].to(self.slow_energy.dtype), slow)
        self.last_log_scale.copy_(mean["log_scale"])
        low, high = summary.extremes()
        self.scale_min.copy_(low.amin(-1))
        self.scale_max.copy_(high.amax(-1))
        self.pairs.update(term, self.RATE)
        self.updates.add_(1)

    def loc_variance(self) -> Tensor:
        """Var µ over inputs, [units, k]."""
        return (self.loc_square - self.loc_mean.square()).clamp_min(0.0)

    def rate(self) -> Tensor:
        """R = ½ [ln(E σ² + Var µ) − E ln σ²] in nats, summed over k, [units].

        An upper bound on what the unit's latent can tell about the input. Zero before the first
        update.
        """
        rate = information_rate(
            self.loc_mean, self.loc_square, self.scale_square, self.log_scale
        ).sum(-1)
        return torch.where(self.updates == 0, 0.0, rate)

    @torch.no_grad()
    def mark_reference(self) -> None:
        """Make what z looks like now the window that `drift` is measured from."""
        self.reference_mean.copy_(self.loc_mean)
        self.reference_variance.copy_(self.scale_square + self.loc_variance())

    def drift(self) -> Tensor:
        """How far z over all inputs has moved since `mark_reference`, [units], nats.

        The symmetric divergence ½ [KL(now ‖ then) + KL(then ‖ now)] of Gaussians with the mean
        and variance of z over inputs and draws, summed over k; NaN without a reference.
        """
        variance = self.scale_square + self.loc_variance()
        shift = (self.loc_mean - self.reference_mean).square()
        ratio = variance / self.reference_variance
        spread = 0.25 * (ratio + 1.0 / ratio - 2.0)
        moved = 0.25 * shift * (1.0 / variance + 1.0 / self.reference_variance)
        return (spread + moved).sum(-1)

    @torch.no_grad()
    def rescale(
        self, factor: Tensor, prior: tuple[Tensor, Tensor] | None, *, scale_too: bool
    ) -> None:
        """What the statistics become when µ, or µ and σ, are multiplied by a factor per unit.

        Exact for every moment, and for the KL if the prior is a Gaussian of these moments.

        Args:
            factor: c, [units].
            prior: mean and standard deviation, broadcastable to [units, k]; None leaves the KL.
            scale_too: whether σ is multiplied as well.
        """
        c = factor[:, None].to(self.loc_mean.dtype)
        if prior is not None:
            loc, scale = prior
            grown = (c.square() - 1.0) * self.loc_square - 2.0 * (c - 1.0) * loc * self.loc_mean
            if scale_too:
                grown = grown + (c.square() - 1.0) * self.scale_square
            change = 0.5 * grown / scale.square() - (c.log() if scale_too else 0.0)
            self.kl.add_(change.expand(self.units, self.latent_dim).sum(-1))
            self.kl.clamp_min_(0.0)
        for name in ("energy", "slow_energy"):
            getattr(self, name).mul_(factor.square())
        self.loc_mean.mul_(c)
        self.loc_square.mul_(c.square())
        if scale_too:  # another gauge, by which z has not drifted
            self._shift_log_scale(c.log())
            self.reference_mean.mul_(c)
            self.reference_variance.mul_(c.square())
        self.pairs.rescale(factor, scale_too=scale_too)

    def _shift_log_scale(self, shift: Tensor) -> None:
        self.log_scale_square.add_(shift * (2.0 * self.log_scale + shift))
        self.log_scale.add_(shift)
        self.last_log_scale.add_(shift)
        self.scale_square.mul_((2.0 * shift).exp())
        self.scale_min.mul_(shift.amin(-1).exp())
        self.scale_max.mul_(shift.amax(-1).exp())

    def extra_repr(self) -> str:
        """Shape, for `repr`."""
        return f"units={self.units}, latent_dim={self.latent_dim}"


def summarize(term: LocalTerm) -> BatchSummary:
    """What `UnitStatistics.update` takes from a batch, asked for from all processes at once."""
    return BatchSummary(_moments(term), term.scale)


@torch.no_grad()
def _moments(term: LocalTerm) -> dict[str, Tensor]:
    """What is averaged, by buffer name; rows first."""
    loc_square = term.loc.square()
    # A deterministic twin has σ = 0: the smallest number stands in to keep its mean finite.
    log_scale = term.scale.clamp_min(torch.finfo(term.scale.dtype).tiny).log()
    return {
        "kl": term.kl,
        "alive_share": term.kl > ALIVE_KL,
        "loc_mean": term.loc,
        "loc_square": loc_square,
        "scale_square": term.scale.square(),
        "log_scale": log_scale,
        "log_scale_square": log_scale.square(),
    }
