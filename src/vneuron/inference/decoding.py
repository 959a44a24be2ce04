"""What a decoder is to inference: a map from activity to data that errors can go back through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AbstractDecoder(nn.Module, ABC):
    """A differentiable map f from activity [batch, latents] to data [batch, features].

    Attributes:
        latents: size of the activity, K.
        features: size of the data, M.
        is_linear: whether f(z) = Φ z, so that `curvature` is known.
    """

    latents: int
    features: int
    is_linear: ClassVar[bool] = False

    @abstractmethod
    def forward(self, activity: Tensor) -> Tensor:
        """f(z) for z of [batch, latents]: [batch, features]."""

    @abstractmethod
    def pull_back(self, activity: Tensor, error: Tensor) -> Tensor:
        """J(z)ᵀ e, where J is the Jacobian of f.

        Args:
            activity: z, [batch, latents].
            error: e, [batch, features].

        Returns:
            [batch, latents]. Gradients reach the parameters, z and e through it.
        """

    @abstractmethod
    def curvature(self, precision: Tensor) -> Tensor | None:
        """diag(JᵀΣ⁻¹J) where it is the same for every z; None for a map that is not linear.

        Args:
            precision: 1/σ², [features].

        Returns:
            [latents], or None.
        """


class LinearDecoder(AbstractDecoder):
    """f(z) = Φ z, with one column of the dictionary Φ for each latent.

    Args:
        latents: K.
        features: M.
        scale: standard deviation of the entries of Φ before training.

    Attributes:
        dictionary: Φ, [features, latents].

    Raises:
        ValueError: if a size or the scale is not positive.

    Example:
        >>> decoder = LinearDecoder(latents=2, features=3)
        >>> decoder(torch.zeros(1, 2))
        tensor([[0., 0., 0.]], grad_fn=...)
    """

    is_linear = True

    def __init__(self, latents: int, features: int, scale: float = 0.01) -> None:
        super().__init__()
        check_sizes(latents, features)
        if not scale > 0:
            raise ValueError(f"scale is {scale}, expected a positive standard deviation.")
        self.latents, self.features = latents, features
        self.dictionary = nn.Parameter(scale * torch.randn(features, latents))

    def forward(self, activity: Tensor) -> Tensor:
        """Φ z."""
        return F.linear(activity, self.dictionary)

    def pull_back(self, activity: Tensor, error: Tensor) -> Tensor:
        """Φᵀ e, whatever z is."""
        return error @ self.dictionary

    def curvature(self, precision: Tensor) -> Tensor:
        """Σ_i Φ_ik²/σ_i², [latents]."""
        return precision @ self.dictionary.square()

    def extra_repr(self) -> str:
        """Sizes, for `repr`."""
        return f"latents={self.latents}, features={self.features}"


class NonlinearDecoder(AbstractDecoder):
    """f given by any module: errors go back through its vector-Jacobian product.

    Args:
        body: a module from [batch, latents] to [batch, features] that treats examples one by one
            (no batch normalisation) and is smooth enough for a gradient of a gradient.
        latents: K.
        features: M.

    Example:
        >>> decoder = NonlinearDecoder(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), 2, 3)
        >>> decoder.pull_back(torch.zeros(1, 2), torch.ones(1, 3)).shape
        torch.Size([1, 2])
    """

    def __init__(self, body: nn.Module, latents: int, features: int) -> None:
        super().__init__()
        check_sizes(latents, features)
        self.body, self.latents, self.features = body, latents, features

    def forward(self, activity: Tensor) -> Tensor:
        """f(z)."""
        value: Tensor = self.body(activity)
        return value

    def pull_back(self, activity: Tensor, error: Tensor) -> Tensor:
        """J(z)ᵀ e by the vector-Jacobian product."""
        transposed = torch.func.vjp(self.body, activity)[1]
        result: Tensor = transposed(error)[0]
        return result

    def curvature(self, precision: Tensor) -> None:
        """None: J depends on z."""
        return


def check_sizes(latents: int, features: int) -> None:
    """Refuse sizes that are not positive.

    Raises:
        ValueError: naming the size.

    Example:
        >>> check_sizes(512, 256)
    """
    for label, size in (("latents", latents), ("features", features)):
        if size < 1:
            raise ValueError(f"{label} is {size}, expected at least 1.")
