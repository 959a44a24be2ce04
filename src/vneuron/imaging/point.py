"""What models with point estimates of codes share: a decoder, and codes that settle under it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..inference import AbstractDecoder, LinearDecoder
from .decoders import DecoderKind, build_decoder
from .estimator import AbstractImageModel, CodeStep

__all__ = ["AbstractPointModel", "DecoderLearner", "dictionary_of", "largest_eigenvalue", "settle"]

_POWER_STEPS = 12
_FIRST_GAIN = 0.1
_GROWTH, _SHRINKAGE = 1.3, 0.5

Proximal = Callable[[Tensor, Tensor], Tensor]
"""From codes [batch, latents] and the gain of each example [batch, 1] to codes."""


class AbstractPointModel(AbstractImageModel):
    """A decoder and codes without a distribution: a draw is the code itself."""

    module_: AbstractDecoder
    decoder: DecoderKind

    def _build(self) -> nn.Module:
        return build_decoder(self.decoder, self.latents, self.shape_, self.n_features_in_**-0.5)

    def _infer(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        if self.module_.is_linear:
            return self._infer_linear(images, steps)
        return settle(self.module_, images, steps, self._cost, self._proximal)

    @abstractmethod
    def _infer_linear(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        """Codes after each step, under a linear decoder."""

    @abstractmethod
    def _cost(self, code: Tensor) -> Tensor:
        """What a code costs beside the error of its prediction, [batch]."""

    @abstractmethod
    def _proximal(self, code: Tensor, gain: Tensor) -> Tensor:
        """The code nearest to `code` at a fair cost: argmin ½ ‖a − code‖² + gain · cost(a)."""

    def _decode(self, activity: Tensor) -> Tensor:
        return self.module_(activity)  # type: ignore[no-any-return]

    def _check_positive(self, *names: str) -> None:
        for name in names:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a positive number.")


def settle(
    decoder: AbstractDecoder,
    images: Tensor,
    steps: int,
    cost: Callable[[Tensor], Tensor],
    proximal: Proximal,
) -> Iterator[CodeStep]:
    """Codes that descend on ½ ‖x − f(a)‖² + cost(a), under any decoder, by guarded steps.

    a ← prox_h(a + h J(a)ᵀ(x − f(a))), each example with its own gain h: where the energy would rise
    the code stays and h is halved, elsewhere it moves and h grows by 30%.

    Args:
        decoder: f.
        images: x, [batch, features].
        steps: how many.
        cost: of a code, [batch].
        proximal: its proximal map.

    Yields:
        The codes after each step.
    """
    code = images.new_zeros(len(images), decoder.latents)
    gain = images.new_full((len(images), 1), _FIRST_GAIN)
    for _ in range(steps):
        with torch.no_grad():
            # Afresh in each step: incremental learning moves the decoder between them.
            error = images - decoder(code)
            energy = 0.5 * error.square().sum(1) + cost(code)
            trial = proximal(code + gain * decoder.pull_back(code, error), gain)
            tried = 0.5 * (images - decoder(trial)).square().sum(1) + cost(trial)
            falls = (tried <= energy).unsqueeze(-1)
            code = torch.where(falls, trial, code)
            gain = torch.where(falls, _GROWTH * gain, _SHRINKAGE * gain)
        yield CodeStep(code.clone, code, code)


class DecoderLearner(nn.Module):
    """Adam on the error of predictions from given codes, for decoders of any form.

    The columns that meet the code are held within the unit ball, as in a dictionary: else a cost on
    codes is escaped by shrinking them.

    Args:
        decoder: what is learned.
        learning_rate: of Adam.
    """

    def __init__(self, decoder: AbstractDecoder, learning_rate: float) -> None:
        super().__init__()
        self.decoder = decoder
        self.optimizer = torch.optim.Adam(decoder.parameters(), lr=learning_rate)

    def learn(self, images: Tensor, code: Tensor) -> None:
        """One step.

        Args:
            images: x, [batch, features].
            code: a, [batch, latents].
        """
        with torch.enable_grad():
            self.optimizer.zero_grad(set_to_none=True)
            error = 0.5 * (images - self.decoder(code.detach())).square().sum(1).mean()
            error.backward()
        self.optimizer.step()
        with torch.no_grad():
            for module in self.decoder.modules():
                if isinstance(module, nn.Linear) and module.in_features == self.decoder.latents:
                    norm = module.weight.norm(dim=0, keepdim=True).clamp_min(1.0)
                    module.weight.div_(norm)
                    break


def dictionary_of(decoder: AbstractDecoder) -> Tensor:
    """Φ of a linear decoder, without a gradient, [features, latents].

    Raises:
        TypeError: if the decoder is of another kind.
    """
    if not isinstance(decoder, LinearDecoder):
        raise TypeError(f"a {type(decoder).__name__} has no dictionary")
    return decoder.dictionary.detach()


def largest_eigenvalue(gram: Tensor) -> Tensor:
    """Of a positive semidefinite matrix, from below, by power iteration with a fixed start.

    Example:
        >>> round(largest_eigenvalue(torch.diag(torch.tensor([1.0, 3.0]))).item(), 3)
        3.0
    """
    vector = torch.ones(len(gram), dtype=gram.dtype, device=gram.device)
    vector = vector + 0.1 * torch.arange(len(gram), device=gram.device) / len(gram)
    for _ in range(_POWER_STEPS):
        vector = gram @ vector
        vector = vector / vector.norm().clamp_min(1e-30)
    return vector @ gram @ vector
