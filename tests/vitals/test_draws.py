"""What draws say: against definitions by enumeration, and Monte Carlo."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import vneuron as vn


def test_draws_differ_by_what_the_units_say() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(vn.GaussianUnits(3, 4, initial_scale=0.7), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    with torch.no_grad():
        outputs = vn.draw_outputs(model, x, draws=4000)
        expected = (model[1].weight.square().sum(-1) * 0.49).expand(5, 2)
    found = vn.conditional_variance(outputs)
    assert ((found / expected - 1).abs() < 5 * math.sqrt(2 / 4000)).all()


def test_drawing_records_nothing() -> None:
    layer = vn.GaussianUnits(3, 4)

    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            vn.draw_outputs(self.layer, x, 3)
            return self.layer(x)

    assert len(vn.Collect(Aside())(torch.zeros(2, 3))[1]) == 1


def test_categorical_information_is_the_mutual_information_of_the_table() -> None:
    torch.manual_seed(0)
    table = torch.softmax(torch.randn(6, 1, 3, dtype=torch.float64), -1)
    joint = table[:, 0] / 6
    marginal = joint.sum(0)
    expected = (joint * (joint / (marginal / 6)).log()).sum()
    torch.testing.assert_close(vn.categorical_information(table)[0], expected)
    same = table[:1].expand(4, 1, 3)
    assert vn.categorical_information(same).item() == pytest.approx(0.0, abs=1e-12)


def test_gaussian_information_is_that_of_the_channel() -> None:
    torch.manual_seed(0)
    means = 2.0 * torch.randn(100_000, 1)
    found = vn.gaussian_information(means, torch.tensor(0.5))
    assert found.item() == pytest.approx(0.5 * math.log(1 + 4 / 0.25), abs=0.01)


def test_one_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="draws is 1, expected at least 2"):
        vn.draw_outputs(vn.GaussianUnits(3, 4), torch.zeros(2, 3), 1)
