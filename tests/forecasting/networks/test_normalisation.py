"""The window's own location and scale."""

import pytest
import torch

from vneuron.forecasting.networks.normalisation import FLOOR, choose_location, window_scale


def test_mean_and_last_value():
    context = torch.tensor([[1.0, 3.0, 5.0]])
    mean, last = window_scale(context), window_scale(context, location="last")
    assert (mean.location.item(), last.location.item()) == (3.0, 5.0)
    expected = (context.var(correction=0) + FLOOR**2).sqrt()
    torch.testing.assert_close(mean.scale.squeeze(), expected)
    torch.testing.assert_close(last.scale, mean.scale)


def test_a_window_that_stands_still_keeps_a_scale():
    window = window_scale(torch.full((1, 5), 3.0))
    assert window.scale.item() == pytest.approx(FLOOR)
    assert bool((window.apply(torch.full((1, 5), 3.0)) == 0).all())


def test_one_value_is_a_window():
    window = window_scale(torch.tensor([[2.0]]))
    assert (window.location.item(), window.scale.item()) == (2.0, pytest.approx(FLOOR))


def test_only_observed_values_count():
    context = torch.tensor([[1.0, 100.0, 3.0, 3.0]])
    observed = torch.tensor([[True, False, True, False]])
    window = window_scale(context, observed)
    assert window.location.item() == 2.0
    assert window.scale.item() == pytest.approx((1 + FLOOR**2) ** 0.5)


def test_location_by_what_foretells_the_targets():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 30, generator=generator)
    assert choose_location(noise[:, :24], noise[:, 24:]) == "mean"
    walk = noise.cumsum(-1)
    assert choose_location(walk[:, :24], walk[:, 24:]) == "last"
    target = walk[:, 24:].clone()
    target[:, ::2] = torch.nan
    assert choose_location(walk[:, :24], target) == "last"


def test_an_unknown_location_is_refused():
    with pytest.raises(ValueError, match="location is 'median'.*'mean', 'last'"):
        window_scale(torch.zeros(1, 3), location="median")
