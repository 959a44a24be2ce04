"""Iterative Poisson inference: membrane potentials integrate the errors of the spikes they emit."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..functional.poisson import kl_divergence, relaxed_sample, sample_counts
from ..functional.soft_clamp import soft_clamp
from . import reference_compat
from .decoding import AbstractDecoder
from .gamma_prior import GammaPrior
from .model import AbstractIterativeModel, Belief, Constants, Moments, StepTerms
from .options import InferenceOptions

MIN_LOG_RATE = -12.0


class PoissonState(NamedTuple):
    """A batch of Poisson posteriors and one draw from each.

    Attributes:
        log_rate: u = ln r, [batch, latents].
        spikes: z ~ Pois(eᵘ), [batch, latents]; r itself under draws="mean".
        prediction: f(z), [batch, features].
    """

    log_rate: Tensor
    spikes: Tensor
    prediction: Tensor


class IterativePoisson(AbstractIterativeModel[PoissonState]):
    """z ~ Pois(eᵘ), x ~ N(f(z), diag σ²), with u found by natural-gradient steps.

    One step, with the draw z of the step before and e = Σ⁻¹(x − f(z)):

    u ← u + c tanh(η [J(z)ᵀ e − ½ diag(ΦᵀΣ⁻¹Φ) − λ − β (u − u₀)] / c)

    No rate multiplies the gradient: dr/du cancels against the Fisher information, which is r. The
    ½ diag is the exact contribution of the code's own variance; λ = eᵇ is learned; the last term
    is there if the anchor is fixed or a step has several updates. Source: "Brain-like variational
    inference" (arXiv:2410.19315), whose update lacks the ½ diag and whose e is that of another
    draw than the one the loss sees; here one draw serves both.

    Args:
        decoder: f.
        options: how steps are taken.
        prior_log_rate: bounds of the uniform distribution that u₀ is drawn from before training.
        prior_shape: a, for a prior whose rate is itself drawn from Gamma(a) (`GammaPrior`) with the
            mean `prior_mean`, in place of Pois(e^u₀); None is the latter.
        prior_mean: its expected spikes; also where inference starts.

    Attributes:
        log_prior: u₀, [latents], learned; under a gamma prior ln of its mean, held.
        gamma_prior: None where counts are Poisson.

    Example:
        >>> from vneuron.inference import LinearDecoder
        >>> model = IterativePoisson(LinearDecoder(latents=4, features=3))
        >>> state = model.init_state(batch=2)
        >>> state = model.step(state, torch.ones(2, 3))
        >>> state.log_rate.shape, state.spikes.shape
        (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        decoder: AbstractDecoder,
        options: InferenceOptions | None = None,
        prior_log_rate: tuple[float, float] = (-6.0, -4.0),
        prior_shape: float | None = None,
        prior_mean: float = 0.1,
    ) -> None:
        super().__init__(decoder, options, parts=1)
        self.log_prior = nn.Parameter(torch.empty(decoder.latents).uniform_(*prior_log_rate))
        self.gamma_prior = None
        if prior_shape is not None:
            highest = self.options.max_log_rate
            self.gamma_prior = GammaPrior(prior_shape, prior_mean, MIN_LOG_RATE, highest)
            self.log_prior.requires_grad_(False).fill_(math.log(prior_mean))

    def init_state(
        self, batch: int, temperature: float = 0.0, constants: Constants | None = None
    ) -> PoissonState:
        """u₀ for each example, and a draw from it."""
        return self._draw(self.log_prior.expand(batch, -1), temperature)

    def step(
        self,
        state: PoissonState,
        frame: Tensor,
        temperature: float = 0.0,
        constants: Constants | None = None,
        openness: float = 1.0,
    ) -> PoissonState:
        """The state after one frame: errors, new potentials, a new draw."""
        self.check_frame(frame, len(state.log_rate))
        shared = self.constants() if constants is None else constants
        anchor = self._anchor(state)
        for update in range(self.options.inner):
            if update > 0 or self.options.reference_compat:
                state = self._draw(state.log_rate, temperature)
            error = (frame - state.prediction) * shared.precision
            drive = self.decoder.pull_back(state.spikes, error)
            log_rate = self.update(state.log_rate, anchor, drive, shared, openness)
            state = state._replace(log_rate=log_rate)
        return self._draw(state.log_rate, temperature)

    def update(
        self,
        log_rate: Tensor,
        anchor: Tensor | None,
        drive: Tensor,
        constants: Constants,
        openness: float = 1.0,
    ) -> Tensor:
        """New potentials from the pulled-back errors.

        Args:
            log_rate: u, [batch, latents].
            anchor: u₀, broadcastable; None where the KL has no gradient.
            drive: J(z)ᵀ Σ⁻¹ (x − f(z)), [batch, latents].
            constants: `self.constants()`.
            openness: of the soft limits of `reference_compat`.
        """
        velocity = drive - (constants.curvature + constants.leak)
        if anchor is not None:
            pull = log_rate - anchor
            if self.options.anchor == "fixed":
                pull = self.prior_slope(log_rate)
            velocity = velocity - self.options.kl_weight * pull
        if self.options.reference_compat:
            return reference_compat.poisson_move(log_rate, constants.gain * velocity, openness)
        moved = log_rate + soft_clamp(constants.gain * velocity, self.options.max_step)
        return moved.clamp(MIN_LOG_RATE, self.options.max_log_rate)

    def terms(
        self, anchor: PoissonState, state: PoissonState, frame: Tensor, constants: Constants
    ) -> StepTerms:
        """Error of the draw (or the exact one), and the KL from the anchor."""
        nll = self.nll(frame, state.prediction, constants)
        if self.options.draws == "mean":
            nll = nll + state.spikes @ constants.curvature
        if self.options.anchor == "fixed":
            return StepTerms(nll, self.belief_kl((state.log_rate,)))
        divergence = reference_compat.poisson_kl if self.options.reference_compat else kl_divergence
        return StepTerms(nll, divergence(state.log_rate, anchor.log_rate))

    def activity(self, state: PoissonState) -> Tensor:
        """Spike counts z."""
        return state.spikes

    def mean_activity(self, state: PoissonState) -> Tensor:
        """Rates r = eᵘ."""
        return state.log_rate.exp()

    def potential(self, state: PoissonState) -> Tensor:
        """Membrane potentials u."""
        return state.log_rate

    # -- mean-field descent ----------------------------------------------------------------

    def prior_belief(self, batch: int) -> Belief:
        """(u₀,) for each example."""
        return (self.log_prior.expand(batch, -1),)

    def belief(self, state: PoissonState) -> Belief:
        """(u,)."""
        return (state.log_rate,)

    def draw(self, belief: Belief) -> Tensor:
        """Spike counts."""
        return sample_counts(belief[0].exp())

    def relaxed_draw(self, belief: Belief, temperature: float) -> Tensor:
        """Counts through a soft window."""
        return self.sample(belief[0], temperature)

    def moments(self, belief: Belief) -> Moments:
        """The rate is mean and variance."""
        rate = belief[0].exp()
        return Moments(rate, rate)

    def belief_kl(self, belief: Belief) -> Tensor:
        """KL from the prior, [batch, latents] in nats."""
        if self.gamma_prior is not None:
            return self.gamma_prior.kl(belief[0])
        return kl_divergence(belief[0], self.log_prior)

    def prior_slope(self, log_rate: Tensor) -> Tensor:
        """dKL/dr from the prior, [batch, latents]: u − u₀ where that is Poisson."""
        if self.gamma_prior is not None:
            return self.gamma_prior.slope(log_rate)
        return log_rate - self.log_prior

    def direction(
        self, belief: Belief, drive: Tensor, constants: Constants, kl_weight: float
    ) -> Belief:
        """The natural gradient over β + r diag(ΦᵀΣ⁻¹Φ), the curvature per spike of each latent."""
        (log_rate,) = belief
        velocity = drive - (constants.curvature + constants.leak)
        velocity = velocity - kl_weight * self.prior_slope(log_rate)
        stiffness = 2.0 * constants.curvature * log_rate.exp() + kl_weight
        return (velocity / stiffness.clamp_min(self.least_stiffness),)

    def move(self, belief: Belief, change: Belief) -> Belief:
        """New potentials within their limits."""
        step = change[0].clamp(-self.options.max_step, self.options.max_step)
        return ((belief[0] + step).clamp(MIN_LOG_RATE, self.options.max_log_rate),)

    def sample(self, log_rate: Tensor, temperature: float) -> Tensor:
        """Draw z ~ Pois(eᵘ): relaxed above temperature 0, and r itself under draws="mean"."""
        if self.options.draws == "mean":
            return log_rate.exp()
        if self.options.reference_compat:
            return reference_compat.poisson_sample(log_rate, temperature)
        return relaxed_sample(log_rate, temperature, self.options.window)

    def _draw(self, log_rate: Tensor, temperature: float) -> PoissonState:
        spikes = self.sample(log_rate, temperature)
        return PoissonState(log_rate, spikes, self.decoder(spikes))

    def _anchor(self, state: PoissonState) -> Tensor | None:
        """What the KL's gradient pulls towards; None where it is zero anyway."""
        if self.options.anchor == "fixed":
            return self.log_prior
        return state.log_rate if self.options.inner > 1 else None
