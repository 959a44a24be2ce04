"""Learning without gradients through time: settle, gather moments, solve for the dictionary.

One round of variational expectation–maximisation per batch. Inference descends to the posterior of
each image; given the mean m and variance v of the codes, the expected squared error

E ‖x − Φ z‖² = ‖x − Φ m‖² + Σ_k v_k ‖Φ_k‖²

is quadratic in Φ, with the minimum Φ = (Σ x mᵀ) (Σ m mᵀ + diag Σ v)⁻¹. The code's own variance is
the ridge. Noise and prior follow in closed form from the same sums. These are running means whose
step falls as t^−0.6 (Cappé and Moulines, arXiv:0712.4273), so that early codes are forgotten.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from ..inference import (
    AbstractIterativeModel,
    DescentState,
    IterativeGaussian,
    IterativePoisson,
    LinearDecoder,
    descend,
)
from ..inference.model import LOG_SIGMA_BOUND

__all__ = ["ClosedFormLearner", "Noise"]

Noise: TypeAlias = Literal["shared", "pixel"]

_FORGETTING = 0.6
_RIDGE = 1e-6
_LEAST_VARIANCE = 4e-3  # the bound on ln σ lets no less through
_LEAST_RATE = 1e-5
_FIRST_NOISE = 1.0
_FIRST_RATE = 0.08
_FIRST_NORM = 0.04
_NO_LEAK = -30.0
_LARGEST_RESCALE = 1.1


class ClosedFormLearner(nn.Module):
    """The model and the running sums that its parameters are solved from.

    Args:
        model: with a linear decoder.
        noise: whether σ is one for all pixels or one for each.
        prior_rate: r₀ of all Poisson latents, held there; None learns one for each. A learned r₀
            rises with the code: the bound prefers many spikes of small atoms, and few zeros.
        fineness: with a held r₀, weight of the code's noise when the scale of atoms is chosen: 1
            is the bound's own balance; more makes atoms finer, spikes more, and noise less.

    Attributes:
        gram: E[m mᵀ + diag v], [latents, latents].
        cross: E[x mᵀ], [features, latents].
        square: E[x²], [features].
        prior_sums: what prior and scale are solved from, [2, latents]: E r and E[r dKL/dr] of
            Poisson latents, E µ and E[µ² + σ²] of Gaussian ones.
        updates: batches seen, int64.

    Raises:
        ValueError: if the decoder is not linear.
    """

    gram: Tensor
    cross: Tensor
    square: Tensor
    prior_sums: Tensor
    updates: Tensor

    def __init__(
        self,
        model: AbstractIterativeModel[Any],
        noise: Noise = "shared",
        prior_rate: float | None = None,
        fineness: float = 1.0,
    ) -> None:
        super().__init__()
        if not isinstance(model.decoder, LinearDecoder):
            raise ValueError(
                f"learning in closed form needs a linear decoder, not a "
                f"{type(model.decoder).__name__}: pass learning='through_time'."
            )
        self.model = model
        self.noise = noise
        self.prior_rate = prior_rate
        self.fineness = fineness
        features, latents = model.decoder.features, model.decoder.latents
        self.register_buffer("gram", torch.zeros(latents, latents))
        self.register_buffer("cross", torch.zeros(features, latents))
        self.register_buffer("square", torch.zeros(features))
        self.register_buffer("prior_sums", torch.zeros(2, latents))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.warm_up = 5

    @torch.no_grad()
    def start(self, images: Tensor) -> None:
        """Begin from images: columns of the dictionary are short copies of random ones."""
        model, decoder = self.model, self._decoder
        chosen = images[torch.randint(len(images), (decoder.latents,))]
        typical = images.square().sum(1).mean().sqrt()
        columns = chosen + 0.3 * images.std() * torch.randn_like(chosen)
        columns = columns / columns.norm(dim=1, keepdim=True)
        decoder.dictionary.copy_((_FIRST_NORM * typical * columns).T)
        self._set_noise(images.square().mean(0).mean().expand(decoder.features) * _FIRST_NOISE)
        model.log_leak.fill_(_NO_LEAK)
        if isinstance(model, IterativePoisson):
            first = _FIRST_RATE if self.prior_rate is None else self.prior_rate
            model.log_prior.fill_(math.log(first))

    @torch.no_grad()
    def learn(self, images: Tensor, steps: int, kl_weight: float) -> DescentState:
        """One batch: infer, add up, solve.

        Args:
            images: x, [batch, features].
            steps: guarded steps of inference.
            kl_weight: β.

        Returns:
            Where inference ended, under the parameters before the update.
        """
        state = descend(self.model, images, steps, kl_weight)
        mean, variance = self.model.moments(state.belief)
        batch, rate = len(images), (int(self.updates) + 1) ** -_FORGETTING
        gram = mean.T @ mean / batch
        gram.diagonal().add_(variance.mean(0))
        self.gram.lerp_(gram, rate)
        self.cross.lerp_(images.T @ mean / batch, rate)
        self.square.lerp_(images.square().mean(0), rate)
        self.prior_sums.lerp_(self._prior_moments(state, mean), rate)
        self.updates.add_(1)
        if int(self.updates) > self.warm_up:
            self._solve()
            if isinstance(self.model, IterativePoisson) and self.prior_rate and kl_weight > 0:
                self._rescale(self.model, kl_weight)
        return state

    def _prior_moments(self, state: DescentState, mean: Tensor) -> Tensor:
        if isinstance(self.model, IterativePoisson):
            slope = self.model.prior_slope(state.belief[0])
            return torch.stack([mean.mean(0), (mean * slope).mean(0)])
        loc, log_scale = state.belief
        second = loc.square() + torch.exp(2.0 * log_scale)
        return torch.stack([loc.mean(0), second.mean(0)])

    def _solve(self) -> None:
        decoder = self._decoder
        ridge = _RIDGE * self.gram.diagonal().mean() + 1e-12
        system = self.gram + ridge * torch.eye(decoder.latents, device=self.gram.device)
        factor, failed = torch.linalg.cholesky_ex(system)
        if int(failed) > 0:  # rounding made it indefinite: keep the dictionary for this batch
            return
        dictionary = torch.cholesky_solve(self.cross.T, factor).T
        decoder.dictionary.copy_(dictionary)
        residual = self.square - (dictionary * self.cross).sum(1)
        self._set_noise(residual - ridge * dictionary.square().sum(1))
        self._set_prior()

    def _rescale(self, model: IterativePoisson, kl_weight: float) -> None:
        """Move each latent towards its best scale: more spikes of a smaller atom, or fewer.

        Under r → c r, Φ → Φ/c the mean image stays. The code's noise ½ r W falls as 1/c, and the
        KL rises by r dKL/dr per ln c, which is r (u − u₀) for a Poisson prior. They balance at
        c² = ½ r W / β r dKL/dr.
        Alternating inference and solving would get there too, but creeps. With a fineness κ the
        noise counts κ times: atoms get √κ times finer than the bound alone would have them.
        """
        rate, slope = self.prior_sums
        noise = self.fineness * rate * model.constants().curvature
        used = (rate > _LEAST_RATE) & (slope > 0) & (noise > 0)
        best = torch.where(used, noise / (kl_weight * slope).clamp_min(1e-12), 1.0).sqrt()
        factor = best.clamp(1.0 / _LARGEST_RESCALE, _LARGEST_RESCALE)
        self._decoder.dictionary.div_(factor)
        # E[m mᵀ] goes with c cᵀ, and the variance on its diagonal, which is the rate, with c.
        self.gram.diagonal().sub_(rate)
        self.gram.mul_(factor).mul_(factor.unsqueeze(-1))
        self.cross.mul_(factor)
        self.prior_sums.mul_(factor)
        self.gram.diagonal().add_(self.prior_sums[0])

    def _set_prior(self) -> None:
        model = self.model
        if isinstance(model, IterativePoisson):
            if self.prior_rate is None:
                model.log_prior.copy_(self.prior_sums[0].clamp_min(_LEAST_RATE).log())
        elif isinstance(model, IterativeGaussian) and model.activation == "rectified":
            loc, second = self.prior_sums
            model.prior_loc.copy_(loc)
            model.prior_log_scale.copy_(0.5 * (second - loc.square()).clamp_min(1e-6).log())

    def _set_noise(self, variance: Tensor) -> None:
        if self.noise == "shared":
            variance = variance.mean().expand_as(variance)
        log_sigma = 0.5 * variance.clamp_min(_LEAST_VARIANCE).log()
        limit = 0.999
        unbounded = torch.atanh((log_sigma / LOG_SIGMA_BOUND).clamp(-limit, limit))
        self.model.raw_log_sigma.copy_(LOG_SIGMA_BOUND * unbounded)

    @property
    def _decoder(self) -> LinearDecoder:
        decoder = self.model.decoder
        if not isinstance(decoder, LinearDecoder):
            raise TypeError(f"the decoder became a {type(decoder).__name__}")
        return decoder
