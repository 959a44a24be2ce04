"""One layer of units at every position of an input."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import vneuron as vn


@pytest.mark.parametrize(("shape", "dim"), [((2, 3, 4, 5), 1), ((2, 6, 3), -1), ((2, 3, 7), 1)])
def test_it_is_the_layer_itself_position_by_position(shape: tuple[int, ...], dim: int) -> None:
    layer = vn.EachPosition(vn.GaussianUnits(3, 4, latent_dim=2), dim)
    x = torch.randn(*shape)
    with vn.deterministic(layer):
        y, terms = vn.Collect(layer)(x)
        rows = x.movedim(dim, -1).reshape(-1, 3)
        alone = layer.units.infer(rows)
    expected = alone.loc.mean(-1).view(*x.movedim(dim, -1).shape[:-1], 4).movedim(-1, dim)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(terms[0].kl, alone.kl.view(2, -1, 4).sum(1))


def test_it_stands_in_a_convolutional_network_and_trains() -> None:
    model = vn.Collect(
        nn.Sequential(
            nn.Conv2d(1, 4, 3),
            vn.EachPosition(vn.GaussianUnits(4, 4)),
            nn.Flatten(),
            nn.Linear(4 * 6 * 6, 2),
        )
    )
    y, terms = model(torch.randn(5, 1, 8, 8))
    vn.free_energy(y.square().sum(-1), terms).backward()
    vn.control_step(model, terms)
    assert all(p.grad is not None for p in model.parameters())
    assert vn.health(model).units["layer"].tolist() == ["1.units"] * 4


def test_flat_inputs_and_raw_activities_are_refused() -> None:
    layer = vn.EachPosition(vn.GaussianUnits(3, 4))
    with pytest.raises(ValueError, match=r"\(2, 3\), expected at least three axes"):
        layer(torch.zeros(2, 3))
    with pytest.raises(ValueError, match='activity "raw"'):
        vn.EachPosition(vn.GaussianUnits(3, 4, activity="raw"))
