"""Iterative Gaussian inference: the same steps with a mean and a scale for each latent."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor, nn

from ..functional.gaussian import kl_divergence
from ..functional.rectified import rectified_moments, rectified_slopes
from ..functional.soft_clamp import soft_clamp
from . import reference_compat
from .decoding import AbstractDecoder
from .model import AbstractIterativeModel, Belief, Constants, Moments, StepTerms
from .options import InferenceOptions

Activation: TypeAlias = Literal["identity", "rectified"]

MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 2.0


class GaussianState(NamedTuple):
    """A batch of Gaussian posteriors and one draw from each.

    Attributes:
        loc: µ, [batch, latents].
        log_scale: ξ = ln σ of the posterior, [batch, latents].
        noise: ε of the draw z = µ + σ ε, [batch, latents]; zero under draws="mean".
        prediction: f(φ(z)), [batch, features].
    """

    loc: Tensor
    log_scale: Tensor
    noise: Tensor
    prediction: Tensor


class IterativeGaussian(AbstractIterativeModel[GaussianState]):
    """z ~ N(µ, e^2ξ), x ~ N(f(φ(z)), diag σ²), with µ and ξ found by natural-gradient steps.

    One step, with the draw z = µ + e^ξ ε of the step before and d = φ′(z) ⊙ J(φ(z))ᵀ Σ⁻¹(x − f):

    µ ← µ + η₁ (e^2ξ [d − β (µ − µ₀) e^−2ξ₀] − λ),  ξ ← ξ + ½ η₂ (e^ξ ε d − β [e^(2ξ − 2ξ₀) − 1])

    each change within c tanh(·/c). The factors e^2ξ and ½ are the inverse Fisher information. For a
    linear decoder of z itself the noisy e^ξ ε d has the expectation −e^2ξ diag(ΦᵀΣ⁻¹Φ), which is
    used in its place. Source: arXiv:2410.19315.

    Args:
        decoder: f.
        options: how steps are taken.
        activation: φ: "identity", or "rectified": max(z, 0) times a learned gain per latent.

    Attributes:
        prior_loc: µ₀, [latents], learned.
        prior_log_scale: ξ₀, [latents], learned.
        log_output_gain: ln of the rectified units' gain, [latents]; None for the identity.

    Raises:
        ValueError: if the activation is unknown.

    Example:
        >>> from vneuron.inference import LinearDecoder
        >>> model = IterativeGaussian(LinearDecoder(latents=4, features=3))
        >>> state = model.step(model.init_state(batch=2), torch.ones(2, 3))
        >>> state.loc.shape
        torch.Size([2, 4])
    """

    log_output_gain: nn.Parameter | None

    def __init__(
        self,
        decoder: AbstractDecoder,
        options: InferenceOptions | None = None,
        activation: Activation = "identity",
    ) -> None:
        super().__init__(decoder, options, parts=2)
        if activation not in get_args(Activation):
            raise ValueError(
                f"activation is {activation!r}, expected one of {get_args(Activation)}."
            )
        self.activation = activation
        self.prior_loc = nn.Parameter(torch.zeros(decoder.latents))
        self.prior_log_scale = nn.Parameter(torch.zeros(decoder.latents))
        gain = nn.Parameter(torch.zeros(decoder.latents)) if activation == "rectified" else None
        self.register_parameter("log_output_gain", gain)

    def init_state(
        self, batch: int, temperature: float = 1.0, constants: Constants | None = None
    ) -> GaussianState:
        """µ₀ and ξ₀ for each example, and a draw."""
        return self._draw(self.prior_loc.expand(batch, -1), self.prior_log_scale.expand(batch, -1))

    def step(
        self,
        state: GaussianState,
        frame: Tensor,
        temperature: float = 1.0,
        constants: Constants | None = None,
        openness: float = 1.0,
    ) -> GaussianState:
        """The state after one frame; Gaussian draws are exact at every temperature."""
        self.check_frame(frame, len(state.loc))
        shared = self.constants() if constants is None else constants
        anchor = self._anchor(state)
        for update in range(self.options.inner):
            if update > 0 or self.options.reference_compat:
                state = self._draw(state.loc, state.log_scale)
            loc, log_scale = self._update(state, anchor, frame, shared, openness)
            state = state._replace(loc=loc, log_scale=log_scale)
        return self._draw(state.loc, state.log_scale)

    def _update(
        self,
        state: GaussianState,
        anchor: tuple[Tensor, Tensor] | None,
        frame: Tensor,
        constants: Constants,
        openness: float,
    ) -> tuple[Tensor, Tensor]:
        scale = state.log_scale.exp()
        variance = scale.square()
        z = state.loc + scale * state.noise
        error = (frame - state.prediction) * constants.precision
        drive = self.decoder.pull_back(self._activate(z), error) * self._slope(z)
        loc_force, log_scale_force = drive, drive * state.noise * scale
        if self._exact:
            log_scale_force = -2.0 * constants.curvature * variance
        if anchor is not None:
            weight = self.options.kl_weight
            inverse = torch.exp(-2.0 * anchor[1])
            loc_force = loc_force - weight * (state.loc - anchor[0]) * inverse
            log_scale_force = log_scale_force - weight * (variance * inverse - 1.0)
        change = (
            constants.gain[0] * (variance * loc_force - constants.leak),
            constants.gain[1] * 0.5 * log_scale_force,
        )
        if self.options.reference_compat:
            return reference_compat.gaussian_move((state.loc, state.log_scale), change, openness)
        loc, log_scale = (soft_clamp(d, self.options.max_step) for d in change)
        moved = (state.log_scale + log_scale).clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)
        return state.loc + loc, moved

    def terms(
        self, anchor: GaussianState, state: GaussianState, frame: Tensor, constants: Constants
    ) -> StepTerms:
        """Error of the draw (or the exact one), and the KL from the anchor."""
        nll = self.nll(frame, state.prediction, constants)
        if self.options.draws == "mean" and self._exact:
            nll = nll + torch.exp(2.0 * state.log_scale) @ constants.curvature
        before = (anchor.loc, anchor.log_scale)
        if self.options.anchor == "fixed":
            before = (self.prior_loc, self.prior_log_scale)
        kl = kl_divergence(state.loc, state.log_scale.exp(), before[0], before[1].exp())
        return StepTerms(nll, kl)

    def activity(self, state: GaussianState) -> Tensor:
        """φ(z) of the draw."""
        return self._activate(state.loc + state.log_scale.exp() * state.noise)

    def mean_activity(self, state: GaussianState) -> Tensor:
        """φ(µ)."""
        return self._activate(state.loc)

    def potential(self, state: GaussianState) -> Tensor:
        """µ."""
        return state.loc

    # -- mean-field descent ----------------------------------------------------------------

    def prior_belief(self, batch: int) -> Belief:
        """(µ₀, ξ₀) for each example."""
        return self.prior_loc.expand(batch, -1), self.prior_log_scale.expand(batch, -1)

    def belief(self, state: GaussianState) -> Belief:
        """(µ, ξ)."""
        return state.loc, state.log_scale

    @torch.no_grad()
    def draw(self, belief: Belief) -> Tensor:
        """φ(µ + σ ε)."""
        return self.relaxed_draw(belief, 1.0)

    def relaxed_draw(self, belief: Belief, temperature: float) -> Tensor:
        """φ(µ + σ ε): Gaussian draws need no relaxing, whatever the temperature."""
        return self._activate(belief[0] + belief[1].exp() * torch.randn_like(belief[0]))

    def moments(self, belief: Belief) -> Moments:
        """Mean and variance of φ(z)."""
        loc, log_scale = belief
        if self.log_output_gain is None:
            return Moments(loc, torch.exp(2.0 * log_scale))
        gain = self.log_output_gain.exp()
        mean, variance = rectified_moments(loc, log_scale.exp())
        return Moments(gain * mean, gain.square() * variance)

    def belief_kl(self, belief: Belief) -> Tensor:
        """KL from the learned prior, [batch, latents] in nats."""
        return kl_divergence(belief[0], belief[1].exp(), self.prior_loc, self.prior_log_scale.exp())

    def direction(
        self, belief: Belief, drive: Tensor, constants: Constants, kl_weight: float
    ) -> Belief:
        """The gradient in µ and ξ, each over the diagonal of its curvature."""
        loc, log_scale = belief
        variance = torch.exp(2.0 * log_scale)
        prior_precision = kl_weight * torch.exp(-2.0 * self.prior_log_scale)
        force = drive - constants.leak
        if self.log_output_gain is None:
            stiffness = 2.0 * constants.curvature + prior_precision
            loc_force, scale_force = force, -2.0 * constants.curvature * variance
        else:
            gain = self.log_output_gain.exp()
            slopes = rectified_slopes(loc, log_scale.exp())
            half = gain.square() * constants.curvature
            stiffness = 2.0 * half * slopes.on + prior_precision
            loc_force = gain * force * slopes.on - half * slopes.variance_by_loc
            scale_force = gain * force * slopes.mean_by_log_scale
            scale_force = scale_force - half * slopes.variance_by_log_scale
        loc_force = loc_force - prior_precision * (loc - self.prior_loc)
        scale_force = scale_force - prior_precision * variance + kl_weight
        stiffness = stiffness.clamp_min(self.least_stiffness)
        # At the optimum of ξ the curvature is 2 β; far above it, 2 σ² times the stiffness.
        return loc_force / stiffness, scale_force / (2.0 * (variance * stiffness + kl_weight))

    def move(self, belief: Belief, change: Belief) -> Belief:
        """µ and ξ within their limits."""
        loc = belief[0] + change[0].clamp(-self.options.max_step, self.options.max_step)
        log_scale = belief[1] + change[1].clamp(-1.0, 1.0)
        return loc, log_scale.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)

    @property
    def _exact(self) -> bool:
        """Whether expectations over z have a closed form that is asked for."""
        options = self.options
        linear = self.activation == "identity" and self.decoder.is_linear
        return linear and options.lateral and not options.reference_compat

    def _activate(self, z: Tensor) -> Tensor:
        if self.log_output_gain is None:
            return z
        return torch.relu(z) * self.log_output_gain.exp()

    def _slope(self, z: Tensor) -> Tensor | float:
        if self.log_output_gain is None:
            return 1.0
        return (z > 0).to(z.dtype) * self.log_output_gain.exp()

    def _draw(self, loc: Tensor, log_scale: Tensor) -> GaussianState:
        mean = self.options.draws == "mean"
        noise = torch.zeros_like(loc) if mean else torch.randn_like(loc)
        activity = self._activate(loc + log_scale.exp() * noise)
        return GaussianState(loc, log_scale, noise, self.decoder(activity))

    def _anchor(self, state: GaussianState) -> tuple[Tensor, Tensor] | None:
        """What the KL's gradient pulls towards; None where it is zero anyway."""
        if self.options.anchor == "fixed":
            return self.prior_loc, self.prior_log_scale
        return (state.loc, state.log_scale) if self.options.inner > 1 else None
