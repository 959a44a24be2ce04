"""Images that move, and given films: learned from through time, watched with explicit state."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vneuron.imaging import ImageError, IterativeGaussianVAE, IterativePoissonVAE
from vneuron.imaging.films import film_of, given_film
from vneuron.imaging.iterative import AbstractIterativeVAE
from vneuron.imaging.streams import jittering, rotating

SMALL: dict[str, Any] = {
    "latents": 16,
    "steps": 6,
    "epochs": 12,
    "batch_size": 50,
    "learning": "through_time",
    "learning_rate": 0.02,
}
MODELS = {"Poisson": IterativePoissonVAE, "Gaussian": IterativeGaussianVAE}


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    """Bright strokes, one or two an image, on 7 x 7."""
    rng = np.random.default_rng(0)
    found = 0.02 * rng.standard_normal((200, 7, 7))
    found[np.arange(200), :, rng.integers(0, 7, 200)] += 1.0
    return found.astype(np.float32)


def explained(model: AbstractIterativeVAE, frames: list[Any]) -> float:
    """R² of the draws at the second half of a film."""
    errors, spread = 0.0, 0.0
    for number, (frame, state) in enumerate(zip(frames, model.watch(frames), strict=True)):
        if number >= len(frames) // 2:
            back = model.inverse_transform(model.module_.activity(state))
            rows = np.asarray(frame).reshape(len(back), -1)
            errors += float(((rows - back.reshape(rows.shape)) ** 2).sum())
            spread += float(((rows - rows.mean(1, keepdims=True)) ** 2).sum())
    return 1.0 - errors / spread


@pytest.mark.parametrize("decoder", ["linear", "mlp", "conv"])
@pytest.mark.parametrize("motion", ["still", "rotating", "jittering"])
@pytest.mark.parametrize("kind", MODELS)
def test_it_learns_from_images_that_move(
    kind: str, motion: Any, decoder: Any, images: NDArray[np.float32]
) -> None:
    settings = SMALL | {"epochs": 1, "motion": motion, "decoder": decoder}
    model = MODELS[kind](**settings).fit(images)
    again = MODELS[kind](**settings).fit(images)
    before, after = model.module_.state_dict(), again.module_.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(torch.isfinite(value).all() for value in before.values())


def test_training_on_motion_helps_to_follow_it(images: NDArray[np.float32]) -> None:
    film = list(rotating(images[:60], 12))
    moved = IterativePoissonVAE(**SMALL, motion="rotating", beta=1.0).fit(images)
    rested = IterativePoissonVAE(**SMALL, beta=1.0).fit(images)
    assert explained(moved, film) > explained(rested, film) + 0.05


@pytest.mark.parametrize("truncate", [None, 2])
def test_a_film_of_equal_frames_is_a_still_image(
    truncate: int | None, images: NDArray[np.float32]
) -> None:
    settings = SMALL | {"epochs": 2, "truncate": truncate}
    still = IterativePoissonVAE(**settings).fit(images)
    films = np.repeat(images[:, None], SMALL["steps"], axis=1)
    given = IterativePoissonVAE(**settings).fit_films(films)
    assert given.shape_ == still.shape_
    # The same but for the scale of pixels, whose sum runs over more of them.
    assert given.scale_ == pytest.approx(still.scale_, rel=1e-4)
    difference = given.module_.decoder.dictionary - still.module_.decoder.dictionary
    assert difference.norm() < 0.2 * still.module_.decoder.dictionary.norm()


def test_given_films_are_learned_from(images: NDArray[np.float32]) -> None:
    films = np.stack([frame.numpy() for frame in rotating(images, 10)], axis=1)
    model = IterativePoissonVAE(**SMALL, beta=1.0).fit_films(films[:150])
    assert explained(model, list(films[150:].swapaxes(0, 1))) > 0.2
    assert model.transform(images[:3]).shape == (3, 16)


@pytest.mark.parametrize("motion", ["still", "rotating", "jittering", "given"])
def test_a_film_in_two_parts_is_the_film(motion: str, images: NDArray[np.float32]) -> None:
    model = IterativePoissonVAE(latents=16, steps=8, epochs=2, batch_size=50).fit(images)
    few = images[:4]
    film: list[Any] = {
        "still": list(itertools.repeat(few, 6)),
        "rotating": list(rotating(few, 6)),
        "jittering": list(jittering(few, 6, seed=3)),
        "given": [images[4 * t : 4 * t + 4] for t in range(6)],
    }[motion]
    torch.manual_seed(0)
    *_, whole = model.watch(film)
    torch.manual_seed(0)
    *_, part = model.watch(film[:2])
    *_, part = model.watch(film[2:], part)
    assert torch.equal(part.log_rate, whole.log_rate)


def test_rows_hold_frames_in_order() -> None:
    films = torch.arange(24.0).view(2, 3, 4)
    for t, frame in enumerate(given_film(films.flatten(1), 3)):
        assert torch.equal(frame, films[:, t])


def test_what_is_no_film_is_refused(images: NDArray[np.float32]) -> None:
    with pytest.raises(ImageError, match=r"expected \[n, frames"):
        IterativePoissonVAE(**SMALL).fit_films(images[0])
    with pytest.raises(ValueError, match="through_time"):
        IterativePoissonVAE(latents=4).fit_films(images[:, None])
    with pytest.raises(ValueError, match="codes that settle"):
        IterativePoissonVAE(latents=4, motion="rotating").fit(images)
    with pytest.raises(ValueError, match="motion is 'flying'"):
        IterativePoissonVAE(**SMALL, motion="flying").fit(images)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match=r"expected \(h, w\)"):
        film_of("jittering", (16,))
