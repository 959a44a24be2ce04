"""How unusual a window is: its mean over what the statistics hold is exactly the layer's rate."""

import torch

import vneuron as vn
from vneuron.core import Latent
from vneuron.forecasting.novelty import novelty


def layer_that_saw(loc, scale):
    layer = vn.GaussianUnits(3, loc.shape[1], latent_dim=loc.shape[2])
    term = vn.LocalTerm("0", loc.new_zeros(loc.shape[:2]), loc, loc, scale, torch.ones(1))
    layer.statistics.update(term)
    return layer


def latent_of(loc, scale):
    return Latent(loc, loc, scale, loc.new_zeros(loc.shape[:2]))


def test_its_mean_over_the_windows_seen_is_the_rate():
    loc, scale = torch.randn(64, 4, 2), torch.rand(64, 4, 2) + 0.2
    layer = layer_that_saw(loc, scale)
    found = novelty(layer, latent_of(loc, scale))
    assert found.shape == (64,)
    torch.testing.assert_close(found.mean(), layer.statistics.rate().sum(), rtol=1e-4, atol=1e-5)


def test_a_window_unlike_those_seen_stands_out():
    loc, scale = torch.randn(64, 4, 1), torch.full((64, 4, 1), 0.3)
    layer = layer_that_saw(loc, scale)
    usual = novelty(layer, latent_of(loc, scale))
    assert float(novelty(layer, latent_of(loc[:1] + 20, scale[:1]))) > 10 * float(usual.max())
    assert bool((usual >= 0).all())


def test_nothing_is_unusual_where_units_do_not_depend_on_the_window():
    loc, scale = torch.ones(8, 3, 1), torch.full((8, 3, 1), 0.5)
    found = novelty(layer_that_saw(loc, scale), latent_of(loc, scale))
    torch.testing.assert_close(found, torch.zeros(8), atol=1e-5, rtol=0)
