"""What a layer of distributional units is: the interfaces that everything else is built on.

A unit maps features h to a distribution q(z | h), draws z, and records its local KL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..functional.pooling import Activity, check_activity, pool
from .ledger import LocalTerm, record
from .reader import Reader
from .statistics import UnitStatistics


class Latent(NamedTuple):
    """A layer's posterior for one batch, and one draw from it.

    Attributes:
        sample: z, [batch, units, k].
        loc: posterior mean, [batch, units, k].
        scale: posterior standard deviation, [batch, units, k].
        kl: KL(q ‖ p) in nats, [batch, units], summed over k.
    """

    sample: Tensor
    loc: Tensor
    scale: Tensor
    kl: Tensor


class PriorContext(NamedTuple):
    """What a prior may be conditioned on; each prior takes what it knows and leaves the rest.

    Attributes:
        previous_loc: the unit's posterior mean one window before, [batch, units, k].
        previous_scale: its standard deviation. The earlier posterior may use outcomes only where
            they have been observed by now.
        first: True where an example has no predecessor, [batch]; None if all have one.
        macro: a draw of a latent that all units share, [batch, macro_dim].
    """

    previous_loc: Tensor | None = None
    previous_scale: Tensor | None = None
    first: Tensor | None = None
    macro: Tensor | None = None


class AbstractPrior(nn.Module, ABC):
    """What a unit's posterior is held against: p(z), one for every unit and dimension."""

    @abstractmethod
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of p without context, each broadcastable to [units, k]."""

    @abstractmethod
    def kl(self, loc: Tensor, scale: Tensor, context: PriorContext | None = None) -> Tensor:
        """Divergence of the posterior from this prior.

        Args:
            loc: posterior mean, [batch, units, k].
            scale: posterior standard deviation, [batch, units, k].
            context: what the prior is conditioned on; None for its marginal, that of `moments`.

        Returns:
            KL(q ‖ p) in nats, [batch, units], summed over k.
        """


class AbstractDynamicPrior(AbstractPrior):
    """A prior that ties a unit to its state one window before."""

    @abstractmethod
    def phi(self) -> Tensor:
        """How much of the previous state is expected again, [units, k]."""

    @abstractmethod
    def transition(self, statistics: UnitStatistics) -> Tensor:
        """Mean price of moving away from the previous state, nats, [units], summed over k.

        The part of the unit's KL that depends on the predecessor, from running moments.
        """


@runtime_checkable
class AdjustableUnit(Protocol):
    """A layer whose µ and σ controls may change the scale of."""

    def location_parameters(self) -> list[Tensor]:
        """Parameters in which µ is linear, each with units · k as its first axis."""

    def multiply_scale(self, factor: Tensor) -> None:
        """Multiply σ by a factor per unit, [units], exactly and whatever the input."""

    def shift_log_scale(self, target: Tensor, typical: Tensor) -> None:
        """Move the σ of an input whose ln σ is `typical` to `target`, both [units, k]."""

    def scale_bounds(self) -> tuple[Tensor, Tensor]:
        """The bounds that σ cannot pass, each broadcastable to [units, k]."""


class AbstractUnit(nn.Module, ABC):
    """A layer of units, each with a distribution over its own latent z of dimension k.

    A subclass writes `infer`, the one thing that tells kinds of unit apart. Calling the layer
    draws, records the local term and returns the pooled activity, so that units stand in a
    `nn.Sequential` like any layer; a network that wants the distribution itself calls `infer`
    and then `observe`.

    Units draw in training and evaluation alike; under `vneuron.deterministic(model)` they return
    their means.

    Args:
        in_features: size of h.
        units: number of units.
        latent_dim: k, the latent dimensions of each unit.
        beta: weight of each unit's KL in the free energy: a number, or a tensor [units].
        activity: how z becomes the output: "mean", "sum", "scaled_sum" (sum/√k), or "raw".

    Attributes:
        name: the layer's path in the model, written by `Collect`.
        beta: buffer [units].
        statistics: running statistics, written by `vneuron.control_step`.
        controls: the controls attached to this layer, run in order by `vneuron.control_step`.
        readers: the weights that read this layer linearly, for actions that compensate them.
        deterministic: whether `infer` returns the mean in place of a draw.

    Raises:
        ValueError: if a size is not positive, `beta` is negative or misshapen, or `activity`
            is unknown.
    """

    variational: ClassVar[bool] = True
    """Whether the unit has a posterior to judge; False for the deterministic twin."""

    beta: Tensor

    def __init__(
        self,
        in_features: int,
        units: int,
        latent_dim: int = 1,
        *,
        beta: float | Tensor = 1.0,
        activity: Activity = "mean",
    ) -> None:
        super().__init__()
        for label, size in (
            ("in_features", in_features),
            ("units", units),
            ("latent_dim", latent_dim),
        ):
            if size < 1:
                raise ValueError(f"{label} is {size}, expected at least 1.")
        check_activity(activity)
        self.in_features = in_features
        self.units = units
        self.latent_dim = latent_dim
        self.activity: Activity = activity
        self.name = type(self).__name__
        self.deterministic = False
        self.register_buffer("beta", _per_unit(beta, units))
        self.statistics = UnitStatistics(units, latent_dim)
        self.controls = nn.ModuleList()
        self.readers: list[Reader] = []

    @abstractmethod
    def infer(self, h: Tensor) -> Latent:
        """Posterior given features, and one draw from it; records nothing.

        Args:
            h: features, [batch, in_features].

        Returns:
            The latent. Its `sample` is `loc` itself while `deterministic` is set.

        Raises:
            ValueError: if `h` has another shape (see `check_features`).
        """

    def observe(
        self, latent: Latent, context: PriorContext | None = None, nll: Tensor | None = None
    ) -> None:
        """Record a latent of this layer as its local term, under `name` and with `beta`.

        Args:
            latent: what `infer` returned.
            context: what it was given, so that persistence can be measured.
            nll: of a local decoder, [batch, units] or [batch, 1], nats.
        """
        before = _previous(context)
        # β is copied: the term must keep the weight it was recorded with when a control moves it.
        beta = self.beta.clone()
        record(
            LocalTerm(
                self.name, latent.kl, latent.sample, latent.loc, latent.scale, beta, nll, *before
            )
        )

    def forward(self, h: Tensor, context: PriorContext | None = None) -> Tensor:
        """Infer, record, and return the activity: [batch, units], under "raw" [batch, units, k].

        Args:
            h: features, [batch, in_features].
            context: for units whose prior is conditioned on something.
        """
        latent = self.infer_given(h, context)
        self.observe(latent, context)
        return pool(latent.sample, self.activity)

    def infer_given(self, h: Tensor, context: PriorContext | None) -> Latent:
        """`infer` with a context, for units that take one; without, for all."""
        if context is None:
            return self.infer(h)
        return self.infer(h, context)  # type: ignore[call-arg]

    def check_features(self, h: Tensor) -> None:
        """Refuse features of another shape than [batch, in_features]."""
        if h.ndim != 2 or h.shape[-1] != self.in_features:
            raise ValueError(
                f"unit {self.name!r} was given features of shape {tuple(h.shape)}, expected "
                f"[batch, {self.in_features}]: flatten further axes into the batch "
                "(h.flatten(0, -2)), or build the unit with another in_features."
            )

    def extra_repr(self) -> str:
        """Sizes and activity, for `repr`."""
        return (
            f"in_features={self.in_features}, units={self.units}, latent_dim={self.latent_dim}, "
            f"activity={self.activity!r}"
        )


def units_of(model: nn.Module) -> Iterator[tuple[str, AbstractUnit]]:
    """Every layer of units inside a model, with its path, in the order of registration.

    Example:
        >>> import vneuron as vn
        >>> model = nn.Sequential(nn.Linear(3, 3), vn.GaussianUnits(3, 2))
        >>> [path for path, _ in units_of(model)]
        ['1']
    """
    yield from _walk(model, "", set())


def _walk(module: nn.Module, path: str, seen: set[int]) -> Iterator[tuple[str, AbstractUnit]]:
    """As `named_modules`, without what hangs on a unit: it is walked through twice a step."""
    if id(module) in seen:
        return
    seen.add(id(module))
    hanging: tuple[str, ...] = ()
    if isinstance(module, AbstractUnit):
        yield path, module
        hanging = ("statistics", "controls")
    for name, child in module._modules.items():
        if child is not None and name not in hanging:
            yield from _walk(child, f"{path}.{name}" if path else name, seen)


def units_by_name(model: nn.Module) -> dict[str, AbstractUnit]:
    """Every layer of units by the name that its terms carry.

    Raises:
        ValueError: if two layers share a name.

    Example:
        >>> import vneuron as vn
        >>> sorted(units_by_name(vn.Collect(nn.Sequential(vn.GaussianUnits(3, 2)))))
        ['0']
    """
    layers: dict[str, AbstractUnit] = {}
    for path, unit in units_of(model):
        if unit.name in layers:
            raise ValueError(
                f"two layers of units are named {unit.name!r} (one at {path!r}): wrap the whole "
                "model in vneuron.Collect, which names each by its path."
            )
        layers[unit.name] = unit
    return layers


def _previous(context: PriorContext | None) -> tuple[Tensor | None, Tensor | None]:
    """The predecessor's posterior, detached, with NaN for examples that have none."""
    if context is None or context.previous_loc is None or context.previous_scale is None:
        return None, None
    loc, scale = context.previous_loc.detach(), context.previous_scale.detach()
    if context.first is None:
        return loc, scale
    first = context.first[:, None, None]
    return loc.masked_fill(first, torch.nan), scale.masked_fill(first, torch.nan)


def _per_unit(beta: float | Tensor, units: int) -> Tensor:
    """β as a tensor [units]."""
    values = torch.as_tensor(beta, dtype=torch.get_default_dtype()).detach()
    if values.ndim > 0 and values.shape != (units,):
        raise ValueError(
            f"beta has shape {tuple(values.shape)}, expected a number or a tensor [{units}]."
        )
    if not bool((values.isfinite() & (values >= 0)).all()):
        raise ValueError(f"beta is {beta}, expected finite values that are not negative.")
    return values.expand(units).clone()
