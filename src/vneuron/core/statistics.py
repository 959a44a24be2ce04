"""Running statistics of a layer of units: what health and controls are judged by."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor, nn

from ..functional.gaussian import information_rate
from .ledger import LocalTerm


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
        loc_mean: E µ, [units, k].
        loc_square: E µ², [units, k].
        scale_square: E σ², [units, k].
        log_scale: E ln σ, [units, k].
        use: rise of held-out joint NLL when the unit is silenced, nats per window, [units].
        dynamic_use: the same when only its dependence on the input is frozen, [units].
        outcome_information: model-implied information of outcomes on z, nats, [units].

    The last three need held-out outcomes: a trainer writes them at validation, and they are NaN
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

    updates: Tensor
    kl: Tensor
    energy: Tensor
    loc_mean: Tensor
    loc_square: Tensor
    scale_square: Tensor
    log_scale: Tensor
    use: Tensor
    dynamic_use: Tensor
    outcome_information: Tensor

    def __init__(self, units: int, latent_dim: int) -> None:
        super().__init__()
        self.units = units
        self.latent_dim = latent_dim
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        for name in ("kl", "energy"):
            self.register_buffer(name, torch.zeros(units))
        for name in ("loc_mean", "loc_square", "scale_square", "log_scale"):
            self.register_buffer(name, torch.zeros(units, latent_dim))
        for name in ("use", "dynamic_use", "outcome_information"):
            self.register_buffer(name, torch.full((units,), torch.nan))

    @torch.no_grad()
    def update(self, term: LocalTerm) -> None:
        """Move the running means towards a batch.

        Where `torch.distributed` is initialised the batch is that of all processes together, so
        every process must call this equally often. Nothing is read back to the host.

        Args:
            term: the layer's term, with the whole batch of this step.
        """
        mean = _mean_over_batch(_moments(term))
        weight = torch.where(self.updates == 0, 1.0, self.RATE)
        for name, value in mean.items():
            buffer: Tensor = getattr(self, name)
            buffer.lerp_(value.to(buffer.dtype), weight.to(buffer.dtype))
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

    def extra_repr(self) -> str:
        """Shape, for `repr`."""
        return f"units={self.units}, latent_dim={self.latent_dim}"


def _moments(term: LocalTerm) -> dict[str, Tensor]:
    """What is averaged, by buffer name; batch first."""
    loc_square = term.loc.square()
    # A deterministic twin has σ = 0: the smallest number stands in to keep its mean finite.
    positive = term.scale.clamp_min(torch.finfo(term.scale.dtype).tiny)
    return {
        "kl": term.kl,
        "energy": loc_square.mean(-1),
        "loc_mean": term.loc,
        "loc_square": loc_square,
        "scale_square": term.scale.square(),
        "log_scale": positive.log(),
    }


def _mean_over_batch(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mean over the batch, and over the processes of a distributed run by one reduction."""
    batch = next(iter(values.values())).shape[0]
    sums = {name: value.float().sum(0) for name, value in values.items()}
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return {name: value / batch for name, value in sums.items()}
    shapes = [value.shape for value in sums.values()]
    count = torch.full((1,), float(batch), device=next(iter(sums.values())).device)
    flat = torch.cat([count, *(value.flatten() for value in sums.values())])
    torch.distributed.all_reduce(flat)
    parts = torch.split(flat[1:] / flat[0], [shape.numel() for shape in shapes])
    return {name: part.view(shape) for name, part, shape in zip(sums, parts, shapes, strict=True)}
