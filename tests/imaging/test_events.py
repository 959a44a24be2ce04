"""Events say what codes say, and give the same images without touching the silent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.imaging import IterativePoissonVAE, PoissonVAE, SparseCoding
from vneuron.imaging.events import EventDecoder, pack


@given(
    n=st.integers(1, 8), latents=st.integers(1, 9), density=st.floats(0, 1), seed=st.integers(0, 99)
)
def test_events_are_the_code_without_zeros(n: int, latents: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 9, (n, latents)) * (rng.random((n, latents)) < density)
    events = pack(codes)
    back = np.zeros_like(codes)
    ends = [*events.start.tolist()[1:], len(events.latent)]
    for image, (start, end) in enumerate(zip(events.start.tolist(), ends, strict=True)):
        back[image, events.latent[start:end].numpy()] = events.amount[start:end].numpy()
    np.testing.assert_array_equal(back, codes)
    assert len(events.latent) == np.count_nonzero(codes)
    assert events.latents == latents


@pytest.mark.parametrize(
    "model",
    [
        IterativePoissonVAE(latents=20, steps=8, epochs=1),
        SparseCoding(latents=20, steps=20, epochs=1),
        PoissonVAE(latents=20, epochs=1, encoder="mlp"),
    ],
)
def test_images_from_events_are_those_from_codes(model: IterativePoissonVAE) -> None:
    images = np.random.default_rng(0).random((40, 5, 7))
    codes = model.fit(images).transform(images)
    codes[3] = 0  # an image without any event
    found = EventDecoder(model)(pack(codes))
    assert found.shape == (40, 5, 7)
    np.testing.assert_allclose(found, model.inverse_transform(codes), atol=1e-5)
    assert float(found[3].abs().max()) == 0.0


def test_what_does_not_fit_is_refused() -> None:
    images = np.random.default_rng(0).random((40, 6, 6))
    decoder = EventDecoder(IterativePoissonVAE(latents=8, steps=4, epochs=1).fit(images))
    with pytest.raises(ValueError, match="9 latents, expected 8"):
        decoder(pack(torch.zeros(3, 9)))
    with pytest.raises(ValueError, match="expected \\[n, latents\\]"):
        pack(torch.zeros(3))
    bent = PoissonVAE(latents=8, epochs=1, decoder="mlp").fit(images)
    with pytest.raises(ValueError, match="expected a linear one"):
        EventDecoder(bent)
