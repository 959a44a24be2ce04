"""The window's own location and scale."""

import pytest
import torch

from vneuron.forecasting.networks.normalisation import FEW, FLOOR, choose_location, window_scale


def test_mean_and_last_value():
    context = torch.tensor([[1.0, 3.0, 3.0, 5.0]])
    mean, last = window_scale(context), window_scale(context, location="last")
    assert (mean.location.item(), last.location.item()) == (3.0, 5.0)
    expected = (context.var(correction=0) + FLOOR**2).sqrt()
    torch.testing.assert_close(mean.scale.squeeze(), expected)
    torch.testing.assert_close(last.scale, mean.scale)


def test_a_window_that_stands_still_keeps_a_scale():
    window = window_scale(torch.full((1, 5), 3.0))
    assert window.scale.item() == pytest.approx(FLOOR)
    assert bool((window.apply(torch.full((1, 5), 3.0)) == 0).all())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_variance_of_a_few_values_is_drawn_towards_the_series(count):
    """As if there were four of them, the missing ones a deviation of the series away."""
    values = torch.tensor([[2.0, 5.0, 3.5]])[:, :count]
    square = values.var(correction=0) * count
    expected = ((square + FEW - count) / FEW + FLOOR**2).sqrt()
    whole = window_scale(values)
    assert whole.location.item() == pytest.approx(values.mean().item())
    torch.testing.assert_close(whole.scale.squeeze(), expected)
    context = torch.cat([torch.full((1, 4), 7.0), values], dim=1)
    observed = torch.tensor([[False] * 4 + [True] * count])
    torch.testing.assert_close(window_scale(context, observed), whole)


def test_only_observed_values_count():
    context = torch.tensor([[1.0, 100.0, 3.0, 3.0]])
    observed = torch.tensor([[True, False, True, False]])
    window = window_scale(context, observed)
    assert window.location.item() == 2.0
    assert window.scale.item() == pytest.approx(((1 + 1 + 2) / 4 + FLOOR**2) ** 0.5)


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
