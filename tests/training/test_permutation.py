"""A permutation that is computed: every number once, another one for another seed, no pattern."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.training import order
from vneuron.training.order import ExampleOrder
from vneuron.training.permutation import Permutation


@given(st.integers(1, 3000), st.integers(0, 2**63), st.integers(0, 3000))
def test_every_number_comes_once_however_it_is_cut(count, seed, cut):
    cut = min(cut, count)
    found = Permutation(count, seed)
    both = np.concatenate([found.part(0, cut), found.part(cut, count + 5)])
    assert sorted(both.tolist()) == list(range(count))


def test_it_is_the_seeds_own():
    one, again, other = (Permutation(10**10, seed).part(0, 1000) for seed in (1, 1, 2))
    assert (one == again).all()
    assert not (one == other).any()
    assert one.min() >= 0
    assert one.max() < 10**10


def test_it_looks_like_chance():
    """Halves and neighbours: chi-squared of 16 × 16 cells of (place, value), and no runs."""
    count = 2**17 + 5
    values = Permutation(count, 3).part(0, count)
    cells = np.bincount(np.arange(count) * 16 // count * 16 + values * 16 // count, minlength=256)
    expected = count / 256
    chi_squared = ((cells - expected) ** 2 / expected).sum()
    assert 140 < chi_squared < 320  # 225 degrees of freedom: 4.5 standard deviations
    steps = np.diff(values) % count
    assert np.bincount(steps).max() < 20  # Poisson of mean 1
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 5 / np.sqrt(count)


@pytest.mark.parametrize("world", [1, 2])
def test_epochs_over_computed_passes_see_every_example_once(monkeypatch, world):
    monkeypatch.setattr(order, "LISTED_UP_TO", 10)
    found = ExampleOrder(100, 7, world=world, min_steps=1)
    seen = [found.epoch(epoch, rank) for epoch in range(3) for rank in range(world)]
    counts = torch.bincount(torch.cat([part.flatten() for part in seen]), minlength=100)
    assert counts.max() - counts.min() <= 1
