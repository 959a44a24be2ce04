"""Pruning: what is kept is what it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import vneuron as vn

KEEP = torch.tensor([True, False, True, True, False])


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("scale", ["input", "per_unit", "scalar"])
def test_kept_units_are_unchanged_and_readers_fit(k: int, scale: str) -> None:
    layer = vn.GaussianUnits(
        7, 5, latent_dim=k, scale=scale, activity="raw", prior=vn.LearnedNormal(5, k)
    )
    head = nn.Linear(5 * k, 2)
    layer.readers.append(vn.Reader(head))
    layer.controls.extend([vn.KLBudget(5), vn.EnergyBand(5, spread=4.0), vn.ScaleGuard(5, k)])
    model, x = vn.Collect(layer), torch.randn(16, 7)
    vn.control_step(layer, model(x)[1])
    before, weight = layer.infer(x), head.weight.clone()
    state = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    vn.prune(layer, KEEP)
    after = layer.infer(x)
    for label in ("loc", "scale", "kl"):
        torch.testing.assert_close(getattr(after, label), getattr(before, label)[:, KEEP])
    columns = KEEP.repeat_interleave(k)
    torch.testing.assert_close(head.weight, weight[:, columns])
    assert head(layer(x).flatten(1)).shape == (16, 2)
    torch.testing.assert_close(layer.statistics.kl, state["statistics.kl"][KEEP])
    torch.testing.assert_close(layer.controls[1].targets, state["controls.1.targets"][KEEP])
    vn.control_step(layer, model(x)[1])  # everything still fits together
    assert len(vn.health(layer).units) == 3


@pytest.mark.parametrize("keep", [torch.zeros(5, dtype=torch.bool), torch.ones(5), KEEP[:3]])
def test_a_wrong_choice_is_refused(keep: torch.Tensor) -> None:
    layer = vn.GaussianUnits(7, 5)
    layer.readers.append(vn.Reader(nn.Linear(5, 2)))
    with pytest.raises(ValueError, match=r"expected bool \[5\]"):
        vn.prune(layer, keep)


def test_unknown_readers_are_refused() -> None:
    with pytest.raises(ValueError, match="no reader"):
        vn.prune(vn.GaussianUnits(7, 5), KEEP)
