"""What a model of iterative inference is: a decoder, a prior, and steps that explain data away."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from ..functional.soft_clamp import soft_clamp
from .decoding import AbstractDecoder
from .options import InferenceOptions

Belief: TypeAlias = tuple[Tensor, ...]
"""The parameters of a batch of posteriors, each [batch, latents]: (u,), or (µ, ln σ)."""

StateT = TypeVar("StateT", bound=tuple[Tensor, ...])

LOG_SIGMA_BOUND = 3.45
INITIAL_LOG_LEAK = -3.0
MIN_STIFFNESS = 1e-2


class Constants(NamedTuple):
    """What the parameters contribute to every step of a sequence, worked out once.

    Attributes:
        precision: 1/σ² of the data's noise, [features].
        log_det: Σ ln σ + ½ M ln 2π, scalar.
        curvature: ½ diag(ΦᵀΣ⁻¹Φ), [latents]; zeros where it is left out or unknown.
        leak: λ = eᵇ, [latents].
        gain: η of each part of the state, [parts].
    """

    precision: Tensor
    log_det: Tensor
    curvature: Tensor
    leak: Tensor
    gain: Tensor


class StepTerms(NamedTuple):
    """What one step adds to the free energy; nothing is reduced but the sum over the data's axes.

    Attributes:
        nll: −ln p(x | z), [batch] in nats; its exact expectation under draws="mean" with a linear
            decoder.
        kl: KL of the new posterior from the step's anchor, [batch, latents] in nats.
    """

    nll: Tensor
    kl: Tensor


class Moments(NamedTuple):
    """Mean and variance of the activity that the decoder reads, each [batch, latents]."""

    mean: Tensor
    variance: Tensor


class AbstractIterativeModel(nn.Module, ABC, Generic[StateT]):
    """A generative model x ~ N(f(z), diag σ²) whose posterior is found by natural-gradient steps.

    There is no encoder, and no state but the one that is handed in: `init_state` gives the prior,
    `step` takes a state and a frame and gives the next state. A still image is a sequence of equal
    frames; a film, one of different ones.

    Args:
        decoder: f.
        options: how steps are taken.
        parts: number of tensors per latent that describe the posterior.

    Attributes:
        raw_log_sigma: ln σ before its bound 3.45 tanh(·/3.45), [features].
        log_leak: b, [latents]: a constant drift eᵇ downwards.
        log_gain: ln η, [parts].
    """

    def __init__(
        self, decoder: AbstractDecoder, options: InferenceOptions | None, parts: int
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.options = InferenceOptions() if options is None else options
        self.raw_log_sigma = nn.Parameter(torch.zeros(decoder.features))
        self.log_leak = nn.Parameter(torch.full((decoder.latents,), INITIAL_LOG_LEAK))
        self.log_gain = nn.Parameter(torch.zeros(parts))

    # -- the interface ---------------------------------------------------------------------

    @abstractmethod
    def init_state(
        self, batch: int, temperature: float = 0.0, constants: Constants | None = None
    ) -> StateT:
        """The prior for each example of a batch, and a draw from it."""

    @abstractmethod
    def step(
        self,
        state: StateT,
        frame: Tensor,
        temperature: float = 0.0,
        constants: Constants | None = None,
        openness: float = 1.0,
    ) -> StateT:
        """The state after seeing one frame.

        Args:
            state: from `init_state`, or the step before.
            frame: x, [batch, features].
            temperature: of relaxed draws; 0 draws exactly and passes no gradient to the rates.
            constants: `self.constants()`, to share it between the steps of a sequence.
            openness: 0 to 1, how far the soft limits of `reference_compat` are opened.

        Raises:
            ValueError: if the frame has another shape.
        """

    @abstractmethod
    def terms(
        self, anchor: StateT, state: StateT, frame: Tensor, constants: Constants
    ) -> StepTerms:
        """What a step from `anchor` to `state` adds to the free energy."""

    @abstractmethod
    def activity(self, state: StateT) -> Tensor:
        """The draw that the decoder reads, [batch, latents]: spike counts, or φ(z)."""

    @abstractmethod
    def mean_activity(self, state: StateT) -> Tensor:
        """What it is at the posterior's mean, [batch, latents]."""

    @abstractmethod
    def potential(self, state: StateT) -> Tensor:
        """The first part of the state, [batch, latents]: u, or µ; convergence is judged by it."""

    @abstractmethod
    def prior_belief(self, batch: int) -> Belief:
        """The prior's parameters for each example."""

    @abstractmethod
    def belief(self, state: StateT) -> Belief:
        """The posterior's parameters in a state."""

    @abstractmethod
    def moments(self, belief: Belief) -> Moments:
        """Mean and variance of the activity under a posterior."""

    @abstractmethod
    def belief_kl(self, belief: Belief) -> Tensor:
        """KL of a posterior from the learned prior, [batch, latents] in nats."""

    @abstractmethod
    def direction(
        self, belief: Belief, drive: Tensor, constants: Constants, kl_weight: float
    ) -> Belief:
        """Where each parameter of a posterior should go, by mean-field gradients.

        Args:
            belief: the posterior.
            drive: Jᵀ Σ⁻¹ (x − f(m)) at the mean activity m, [batch, latents].
            constants: `self.constants()`.
            kl_weight: β of the KL from the prior.
        """

    @abstractmethod
    def move(self, belief: Belief, change: Belief) -> Belief:
        """A posterior after a change, within the model's limits."""

    @abstractmethod
    def draw(self, belief: Belief) -> Tensor:
        """One exact draw of the activity from a posterior, [batch, latents]; no gradient."""

    @abstractmethod
    def relaxed_draw(self, belief: Belief, temperature: float) -> Tensor:
        """One draw that gradients pass, [batch, latents]: counts are relaxed."""

    # -- shared ----------------------------------------------------------------------------

    @property
    def least_stiffness(self) -> float:
        """What directions are divided by at least: 1 where curvature is not known.

        With 1 they are plain natural gradients, and the guard alone finds their gain.
        """
        return MIN_STIFFNESS if self.decoder.is_linear else 1.0

    def constants(self) -> Constants:
        """What every step of a sequence shares."""
        log_sigma = soft_clamp(self.raw_log_sigma, LOG_SIGMA_BOUND)
        precision = torch.exp(-2.0 * log_sigma)
        lateral = self.options.lateral and not self.options.reference_compat
        curvature = self.decoder.curvature(precision) if lateral else None
        return Constants(
            precision=precision,
            log_det=log_sigma.sum() + 0.5 * self.decoder.features * math.log(2.0 * math.pi),
            curvature=torch.zeros_like(self.log_leak) if curvature is None else 0.5 * curvature,
            leak=self.log_leak.exp(),
            gain=self.log_gain.exp(),
        )

    def nll(self, frame: Tensor, prediction: Tensor, constants: Constants) -> Tensor:
        """−ln N(x; x̂, diag σ²), [batch] in nats."""
        error = frame - prediction
        return 0.5 * (error.square() @ constants.precision) + constants.log_det

    def check_frame(self, frame: Tensor, batch: int) -> None:
        """Refuse a frame of another shape than [batch, features].

        Raises:
            ValueError: naming both shapes.
        """
        if frame.shape != (batch, self.decoder.features):
            raise ValueError(
                f"the frame has shape {tuple(frame.shape)}, expected "
                f"[{batch}, {self.decoder.features}]: flatten images to rows of pixels, and give "
                "the state of as many examples as there are frames."
            )
