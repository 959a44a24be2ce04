"""Sparse codes as lists of events, and images from them without touching what is silent."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..inference import LinearDecoder
from .estimator import AbstractImageModel

__all__ = ["EventDecoder", "Events", "pack"]


class Events(NamedTuple):
    """Codes without their zeros: for each image, which latents are active and how much.

    Attributes:
        latent: which, int32 [events], image after image.
        amount: how much, float32 [events].
        start: where each image's events begin, int32 [n].
        latents: size of a code.
    """

    latent: Tensor
    amount: Tensor
    start: Tensor
    latents: int


def pack(codes: Any) -> Events:
    """The events of codes.

    Args:
        codes: [n, latents].

    Raises:
        ValueError: if they have another shape.

    Example:
        >>> pack([[0, 3], [0, 0], [1, 2]]).latent
        tensor([1, 0, 1], dtype=torch.int32)
    """
    dense = torch.as_tensor(codes if isinstance(codes, Tensor) else np.asarray(codes))
    if dense.ndim != 2:
        raise ValueError(
            f"codes have shape {tuple(dense.shape)}, expected [n, latents]: pass what transform "
            "returned."
        )
    image, latent = dense.nonzero(as_tuple=True)
    per_image = torch.bincount(image, minlength=len(dense))
    start = per_image.cumsum(0) - per_image
    amount = dense[image, latent].float()
    return Events(latent.int(), amount, start.int(), dense.shape[1])


class EventDecoder:
    """Images from events by a linear decoder: the sum of the active latents' atoms.

    x̂ = Σ_active z_k Φ_k: active times pixels multiply–adds where a dense decoder makes latents
    times pixels. It reads the dictionary atom by atom, so a copy with one atom a row is made once.

    Args:
        model: fitted, with a linear decoder.

    Raises:
        ValueError: if its decoder is not linear.

    Example:
        >>> import numpy as np
        >>> from vneuron.imaging import IterativePoissonVAE
        >>> images = np.random.default_rng(0).random((40, 6, 6))
        >>> model = IterativePoissonVAE(latents=12, steps=8, epochs=1).fit(images)
        >>> codes = model.transform(images)
        >>> back = EventDecoder(model)(pack(codes))
        >>> bool(np.allclose(back, model.inverse_transform(codes), atol=1e-5))
        True
    """

    def __init__(self, model: AbstractImageModel) -> None:
        decoder = getattr(model.module_, "decoder", model.module_)
        if not isinstance(decoder, LinearDecoder):
            raise ValueError(
                f"the decoder is a {type(decoder).__name__}, expected a linear one: use "
                "inverse_transform."
            )
        self.shape = model.shape_
        self.atoms = (decoder.dictionary.detach().T * model.scale_).contiguous()

    def __call__(self, events: Events) -> Tensor:
        """Images, [n, *shape], in the scale of those that were fitted.

        Raises:
            ValueError: if the events are of codes of another size.
        """
        if events.latents != len(self.atoms):
            raise ValueError(
                f"codes have {events.latents} latents, expected {len(self.atoms)}: pass codes of "
                "the same model."
            )
        device = self.atoms.device
        # The operator itself: torch.nn.functional's checks cost more than a single image does.
        rows: Tensor = torch.embedding_bag(
            self.atoms,
            events.latent.to(device),
            events.start.to(device),
            per_sample_weights=events.amount.to(device),
        )[0]
        return rows.view(-1, *self.shape)
