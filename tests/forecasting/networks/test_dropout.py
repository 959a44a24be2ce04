"""Dropout from bits: it is dropout."""

import pytest
import torch

from vneuron.forecasting.networks.dropout import ThinDropout


@pytest.mark.parametrize("p", [0.05, 0.3, 0.75])
def test_so_many_are_dropped_and_the_mean_stays(p):
    torch.manual_seed(0)
    size = 1_000_003  # draws hold four entries each
    out = ThinDropout(p)(torch.ones(size))
    dropped = (out == 0).double().mean().item()
    assert abs(dropped - p) < 4.5 * (p * (1 - p) / size) ** 0.5
    assert out.double().mean().item() == pytest.approx(1.0, abs=4.5 * (p / (1 - p) / size) ** 0.5)
    assert out.unique().numel() == 2
    assert out.max().item() == pytest.approx(1 / (1 - p), rel=1e-4)


def test_entries_are_dropped_independently_of_their_neighbours():
    torch.manual_seed(0)
    kept = (ThinDropout(0.5)(torch.ones(400_000)) > 0).double()
    for lag in range(1, 9):
        both = (kept[lag:] * kept[:-lag]).mean().item()
        assert abs(both - 0.25) < 4.5 * (0.1875 / 400_000) ** 0.5


def test_the_gradient_passes_what_was_kept():
    torch.manual_seed(0)
    x = torch.randn(64, 7, requires_grad=True)
    out = ThinDropout(0.3)(x)
    out.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), out.detach())


@pytest.mark.parametrize("p", [0.0, 1e-7, 1.0])
def test_the_ends_of_the_range(p):
    out = ThinDropout(p)(torch.ones(100))
    torch.testing.assert_close(out, torch.full((100,), 0.0 if p == 1.0 else 1.0))


def test_the_same_seed_drops_the_same_and_evaluation_nothing():
    layer = ThinDropout(0.3)
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(layer(torch.ones(50)))
    assert torch.equal(*found)
    assert torch.equal(layer.eval()(torch.ones(50)), torch.ones(50))
