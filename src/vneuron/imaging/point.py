"""What models with point estimates of codes share: a linear dictionary."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..inference import LinearDecoder
from .estimator import AbstractImageModel

__all__ = ["AbstractPointModel", "largest_eigenvalue"]

_POWER_STEPS = 12


class AbstractPointModel(AbstractImageModel):
    """A linear dictionary and codes without a distribution: a draw is the code itself."""

    module_: LinearDecoder

    def _build(self) -> nn.Module:
        return LinearDecoder(self.latents, self.n_features_in_, self.n_features_in_**-0.5)

    def _decode(self, activity: Tensor) -> Tensor:
        return self.module_(activity)  # type: ignore[no-any-return]

    def _check_positive(self, *names: str) -> None:
        for name in names:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a positive number.")


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
