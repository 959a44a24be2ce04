"""The cost of codes against entropies, and moving images against rotations that are exact."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from vneuron.imaging import ImageError
from vneuron.imaging.codes import code_cost, count_model
from vneuron.imaging.streams import jittering, rotating


def test_bits_are_the_entropy_of_the_counts() -> None:
    rng = np.random.default_rng(0)
    rates = np.array([0.05, 0.5, 4.0])
    train, test = rng.poisson(rates, (50_000, 3)), rng.poisson(rates, (50_000, 3))
    cost = code_cost(test, count_model(train), pixels=100)
    entropy = sum(scipy.stats.poisson(rate).entropy() for rate in rates) / np.log(2)
    assert cost.bits == pytest.approx(float(entropy), rel=0.01)
    assert cost.bits_per_pixel == pytest.approx(cost.bits / 100)
    assert cost.spikes == pytest.approx(rates.sum(), rel=0.01)
    assert cost.active == pytest.approx((1 - np.exp(-rates)).sum(), rel=0.01)


def test_large_counts_pay_for_what_is_beyond_the_table() -> None:
    model = count_model(np.array([[64], [64]]))
    at, beyond = (code_cost(np.array([[z]]), model, 1).bits for z in (64, 64 + 127))
    assert beyond - at == pytest.approx(2 * 7)


@pytest.mark.parametrize("codes", [np.array([[0.5]]), np.array([[-1]]), np.array([1, 2])])
def test_what_is_no_count_is_refused(codes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not counts"):
        count_model(codes)


def test_a_model_of_other_latents_is_refused() -> None:
    with pytest.raises(ValueError, match="2 latents"):
        code_cost(np.zeros((3, 4), dtype=int), count_model(np.zeros((3, 2), dtype=int)), 5)


def test_quarter_turns_are_exact() -> None:
    pictures = torch.rand(3, 8, 8)
    frames = list(rotating(pictures, steps=5, degrees=90.0))
    for quarter, frame in enumerate(frames):
        torch.testing.assert_close(frame, torch.rot90(pictures, quarter, (1, 2)), atol=1e-4, rtol=0)


def test_jitter_follows_its_seed_and_stays_near() -> None:
    picture = torch.zeros(1, 33, 33)
    picture[0, 16, 16] = 1.0
    film = torch.cat(list(jittering(picture, 400, diffusion=0.6, spring=0.1, seed=2)))
    again = torch.cat(list(jittering(picture, 400, diffusion=0.6, spring=0.1, seed=2)))
    assert torch.equal(film, again)
    place = torch.arange(33.0) - 16
    mass = film.sum((1, 2)).clamp_min(1e-6)
    x = (film.sum(1) @ place) / mass
    stationary = 0.6 / (1 - 0.9**2)
    assert 0.3 * stationary < float(x.var()) < 2.5 * stationary


def test_films_need_pictures() -> None:
    with pytest.raises(ImageError, match="n, h, w"):
        next(rotating(torch.zeros(3, 64), 1))
