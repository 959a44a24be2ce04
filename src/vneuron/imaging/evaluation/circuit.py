"""A fitted Poisson model as a recurrent network of neurons, whose connections can be cut."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from ...functional.poisson import sample_counts
from ...inference import IterativePoisson, LinearDecoder
from ..iterative_poisson import IterativePoissonVAE

__all__ = ["Circuit", "CircuitState", "Lateral"]

Lateral: TypeAlias = Literal["all", "self", "none"]

_MIN_POTENTIAL = -12.0


class CircuitState(NamedTuple):
    """Where a batch of copies of the network is.

    Attributes:
        potential: u, [batch, latents].
        output: what the neurons send: spike counts, or the rates eᵘ; [batch, latents].
    """

    potential: Tensor
    output: Tensor


class Circuit:
    """Explaining away, written as a network: feed-forward drive, and feedback between neurons.

    u ← u + h [Φᵀ Σ⁻¹ x − V z − ½ diag W − λ − β (u − u₀)],  W = Φᵀ Σ⁻¹ Φ

    With V = W this is the model's natural gradient, and its rest is the code that descent finds.
    V = diag W cuts what neurons say to one another, V = 0 what each says to itself too: the
    controls for whatever is claimed of lateral inhibition. Under a gamma prior its dKL/dr stands in
    the place of u − u₀.

    Args:
        model: fitted in closed form, with a linear decoder.
        lateral: "all", "self" or "none".
        step: h.
        spiking: send counts drawn from Pois(eᵘ) in place of rates.
        ceiling: of u. It is far above what the uncut network reaches, and is there because the cut
            one grows as the exponential of its input.

    Attributes:
        weights: Σ⁻¹ Φ, what neurons read, [features, latents].
        feedback: V, [latents, latents]; None where it is 0.
        rest: u₀, [latents], where the network begins.
        cost: ½ diag W + λ, [latents].
        beta: β.

    Raises:
        ValueError: if the model cannot be read so, or an argument is out of range.

    Example:
        >>> images = torch.rand(60, 6, 6)
        >>> model = IterativePoissonVAE(latents=12, steps=8, epochs=2).fit(images)
        >>> circuit = Circuit(model)
        >>> drive = circuit.drive(images[:3].flatten(1) / model.scale_)
        >>> state = circuit.init(3)
        >>> for _ in range(5):
        ...     state = circuit.step(state, drive)
        >>> state.output.shape
        torch.Size([3, 12])
    """

    def __init__(
        self,
        model: IterativePoissonVAE,
        lateral: Lateral = "all",
        *,
        step: float = 0.05,
        spiking: bool = False,
        ceiling: float = 20.0,
    ) -> None:
        if lateral not in get_args(Lateral):
            raise ValueError(f"lateral is {lateral!r}, expected one of {get_args(Lateral)}.")
        if not step > 0:
            raise ValueError(f"step is {step}, expected a positive number.")
        module = model.module_
        decoder = module.decoder
        if not (isinstance(module, IterativePoisson) and isinstance(decoder, LinearDecoder)):
            raise ValueError("the model's decoder is not linear; expected one that is: fit another")
        if model.learning != "closed_form":
            raise ValueError(
                f"the model learned by {model.learning!r}, expected 'closed_form', whose codes are "
                "those of a fixed prior: fit it so."
            )
        with torch.no_grad():
            constants = module.constants()
            self.weights = decoder.dictionary * constants.precision[:, None]
            overlap = decoder.dictionary.T @ self.weights
            self.rest = module.log_prior.clone()
            self._slope = module.prior_slope  # dKL/dr
            self.cost = constants.curvature + constants.leak
        cut = {"all": overlap, "self": torch.diag(overlap.diagonal()), "none": None}
        self.feedback = cut[lateral]
        self.beta = model._beta()
        self.h, self.spiking, self.ceiling = step, spiking, ceiling

    @property
    def latents(self) -> int:
        """Number of neurons."""
        return len(self.rest)

    def drive(self, images: Tensor) -> Tensor:
        """Φᵀ Σ⁻¹ x of images in the model's own units (over `scale_`), [batch, latents]."""
        return images @ self.weights

    def init(self, batch: int) -> CircuitState:
        """The network at rest, before any image."""
        potential = self.rest.expand(batch, -1)
        return CircuitState(potential, self._output(potential))

    @torch.no_grad()
    def step(self, state: CircuitState, drive: Tensor) -> CircuitState:
        """The network one step later.

        Args:
            state: from `init`, or the step before.
            drive: of what is seen now, [batch, latents].
        """
        velocity = drive - self.cost - self.beta * self._slope(state.potential)
        if self.feedback is not None:
            velocity = velocity - state.output @ self.feedback
        # Without a bound a first burst from rest overshoots for long; at rest it does not act.
        moved = state.potential + (self.h * velocity).clamp(-0.5, 0.5)
        potential = moved.clamp(_MIN_POTENTIAL, self.ceiling)
        return CircuitState(potential, self._output(potential))

    def settle(self, drive: Tensor, steps: int) -> Tensor:
        """Rates after some steps from rest under a constant drive, [batch, latents]."""
        state = self.init(len(drive))
        for _ in range(steps):
            state = self.step(state, drive)
        return state.potential.exp()

    def _output(self, potential: Tensor) -> Tensor:
        rate = potential.exp()
        return sample_counts(rate) if self.spiking else rate
