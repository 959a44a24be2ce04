"""Gaussian units: features in, a distribution per unit, one draw and its KL out."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core import AbstractPrior, AbstractUnit, Latent, PriorContext
from ..functional.gaussian import (
    SCALE_CEILING,
    SCALE_FLOOR,
    bounded_scale,
    raw_of_log_scale,
    reparameterise,
    unbounded_scale,
)
from ..functional.pooling import Activity
from ..priors import StandardNormal

ScaleKind: TypeAlias = Literal["input", "per_unit", "scalar"]


class GaussianUnits(AbstractUnit):
    """A layer of units, each inferring q(z | h) = N(µ(h), σ²) over its own latent z of size k.

    µ = W h + b, z = µ + σ ε with ε ~ N(0, I), and KL(q ‖ p) in closed form. k = 1 with a standard
    normal prior is the unit of "Variational Distributional Neuron" (arXiv:2602.18250).

    Args:
        in_features: size of h.
        units: number of units.
        latent_dim: k.
        scale: what σ depends on: "input" (a linear map of h that starts at zero), "per_unit" (one
            per unit and dimension) or "scalar" (one for the layer). σ stays within (0.001, 10):
            see `vneuron.functional.gaussian.bounded_scale`.
        prior: p(z); None is `StandardNormal()`.
        beta: weight of each unit's KL in the free energy: a number, or a tensor [units].
        activity: how z becomes the output: "mean", "sum", "scaled_sum" (sum/√k), or "raw".
        initial_scale: σ before training.
        loc_features: how many of the features µ reads, the first ones; None is all of them. σ
            reads all.

    Attributes:
        loc: the linear map to µ; rows unit after unit, k to each.
        raw_scale: unbounded scale, [units, k], under "scalar" [1, 1].
        scale_weight: what h adds to it, [units · k, in_features]; None unless scale="input".
        scale_gain: buffer [units, 1] that multiplies σ and its bounds; 1 unless a control changed
            the unit's gauge.

    Raises:
        ValueError: if an argument is out of range, or the prior has another shape.

    Example:
        >>> layer = GaussianUnits(3, units=4, latent_dim=2)
        >>> layer(torch.zeros(5, 3)).shape
        torch.Size([5, 4])
        >>> latent = layer.infer(torch.zeros(5, 3))
        >>> latent.sample.shape, latent.kl.shape
        (torch.Size([5, 4, 2]), torch.Size([5, 4]))
    """

    scale_weight: nn.Parameter | None
    scale_gain: Tensor

    def __init__(
        self,
        in_features: int,
        units: int,
        latent_dim: int = 1,
        scale: ScaleKind = "input",
        prior: AbstractPrior | None = None,
        beta: float | Tensor = 1.0,
        activity: Activity = "mean",
        initial_scale: float = 0.5,
        loc_features: int | None = None,
    ) -> None:
        super().__init__(in_features, units, latent_dim, beta=beta, activity=activity)
        if scale not in get_args(ScaleKind):
            raise ValueError(f"scale is {scale!r}, expected one of {get_args(ScaleKind)}.")
        self.scale_kind = scale
        self.prior = StandardNormal() if prior is None else prior
        self._check_prior()
        self.loc = nn.Linear(_read_by_loc(loc_features, in_features), units * latent_dim)
        shape = (1, 1) if scale == "scalar" else (units, latent_dim)
        self.raw_scale = nn.Parameter(torch.full(shape, unbounded_scale(initial_scale)))
        weight = torch.zeros(units * latent_dim, in_features) if scale == "input" else None
        self.register_parameter("scale_weight", None if weight is None else nn.Parameter(weight))
        self.register_buffer("scale_gain", torch.ones(units, 1))

    def infer(self, h: Tensor, context: PriorContext | None = None) -> Latent:
        """q(z | h), one draw from it, and its KL; `context` is what the prior is conditioned on."""
        return self._draw(*self._posterior(h), context)

    def infer_pair(self, h: Tensor, first: Tensor | None = None) -> tuple[Latent, PriorContext]:
        """Posteriors of examples and of their predecessors by one batch, and a draw of the former.

        For a prior with a memory. Both posteriors carry gradients: each is trained by what comes
        before it and by what comes after, as over a whole sequence.

        Args:
            h: features of the examples, then of their predecessors, [2 · batch, in_features].
            first: True for examples whose predecessor does not count, [batch].

        Returns:
            The examples' latent, its KL given the predecessors, and the context behind that.

        Example:
            >>> import vneuron as vn
            >>> layer = GaussianUnits(3, 4, prior=vn.AutoregressiveNormal(4))
            >>> latent, before = layer.infer_pair(torch.zeros(10, 3))
            >>> latent.kl.shape, before.previous_loc.shape
            (torch.Size([5, 4]), torch.Size([5, 4, 1]))
        """
        loc, scale = self._posterior(h)
        batch = len(h) // 2
        context = PriorContext(loc[batch:], scale[batch:], first)
        return self._draw(loc[:batch], scale[:batch], context), context

    def location_parameters(self) -> list[Tensor]:
        """W and b: µ is linear in them."""
        return [self.loc.weight, self.loc.bias]

    @torch.no_grad()
    def multiply_scale(self, factor: Tensor) -> None:
        """Multiply σ by a factor per unit, [units], whatever the input."""
        self.scale_gain.mul_(factor[:, None].to(self.scale_gain.dtype))

    @torch.no_grad()
    def shift_log_scale(self, target: Tensor, typical: Tensor) -> None:
        """Move the σ of an input whose ln σ is `typical` to `target`, both [units, k].

        Inputs with another σ move likewise, less where they are near a bound. Under
        scale="scalar" all units share one σ and take the mean of their shifts.
        """
        wanted, found = raw_of_log_scale(torch.stack([target, typical]) - self.scale_gain.log())
        shift = wanted - found
        if self.scale_kind == "scalar":
            shift = shift.mean().expand(1, 1)
        self.raw_scale.add_(shift.to(self.raw_scale.dtype))

    def scale_bounds(self) -> tuple[Tensor, Tensor]:
        """Lower and upper bound of σ, [units, 1] each."""
        return SCALE_FLOOR * self.scale_gain, SCALE_CEILING * self.scale_gain

    def _posterior(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """µ and σ, [batch, units, k] each."""
        self.check_features(h)
        loc = self._per_unit(self.loc(h[:, : self.loc.in_features]))
        return loc, self._scale(h).expand_as(loc)

    def _draw(self, loc: Tensor, scale: Tensor, context: PriorContext | None) -> Latent:
        sample = loc if self.deterministic else reparameterise(loc, scale)
        return Latent(sample, loc, scale, kl=self.prior.kl(loc, scale, context))

    def _scale(self, h: Tensor) -> Tensor:
        raw: Tensor = self.raw_scale
        if self.scale_weight is not None:
            raw = raw + self._per_unit(F.linear(h, self.scale_weight))
        return self.scale_gain * bounded_scale(raw)

    def _per_unit(self, flat: Tensor) -> Tensor:
        """[batch, units · k] to [batch, units, k]."""
        return flat.view(-1, self.units, self.latent_dim)

    def _check_prior(self) -> None:
        for moment in self.prior.moments():
            for size, expected in zip(
                moment.shape[::-1], (self.latent_dim, self.units), strict=False
            ):
                if size not in (1, expected):
                    raise ValueError(
                        f"the prior has shape {tuple(moment.shape)}, expected one that broadcasts "
                        f"to [units, k] = [{self.units}, {self.latent_dim}]."
                    )

    def extra_repr(self) -> str:
        """Sizes, activity and kind of scale, for `repr`."""
        return f"{super().extra_repr()}, scale={self.scale_kind!r}"


def _read_by_loc(loc_features: int | None, in_features: int) -> int:
    if loc_features is None:
        return in_features
    if not 1 <= loc_features <= in_features:
        raise ValueError(
            f"loc_features is {loc_features}, expected 1 to {in_features} (in_features), or None "
            "for all of them."
        )
    return loc_features
