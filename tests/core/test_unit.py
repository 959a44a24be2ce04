"""What every layer of units refuses, states and records."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

import vneuron as vn
from vneuron.core import units_of


@pytest.mark.parametrize("size", ["in_features", "units", "latent_dim"])
@pytest.mark.parametrize("value", [0, -3])
def test_a_size_below_one_is_refused(size: str, value: int) -> None:
    sizes: dict[str, Any] = {"in_features": 3, "units": 4, "latent_dim": 2, size: value}
    with pytest.raises(ValueError, match=f"{size} is {value}, expected at least 1"):
        vn.GaussianUnits(**sizes)


@pytest.mark.parametrize(
    ("beta", "message"),
    [
        (-0.1, "not negative"),
        (math.nan, "finite"),
        (math.inf, "finite"),
        (torch.ones(3), r"shape \(3,\), expected a number or a tensor \[4\]"),
        (torch.tensor([1.0, 1.0, 1.0, -1.0]), "not negative"),
    ],
)
def test_a_beta_that_is_no_weight_is_refused(beta: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vn.GaussianUnits(3, 4, beta=beta)


def test_beta_is_a_buffer_per_unit_of_its_own() -> None:
    given = torch.tensor([0.1, 0.2, 0.3, 0.4])
    layer = vn.GaussianUnits(3, 4, beta=given)
    layer.beta.mul_(2)
    assert given[0].item() == pytest.approx(0.1)
    assert layer.state_dict()["beta"].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert vn.GaussianUnits(3, 2, beta=0.5).beta.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("shape", [(3,), (2, 5, 3), (2, 4)])
def test_misshapen_features_are_refused_with_the_cure(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \[batch, 3\]: flatten .*h\.flatten\(0, -2\)"):
        vn.GaussianUnits(3, 4)(torch.zeros(shape))


def test_an_empty_batch_passes() -> None:
    latent = vn.GaussianUnits(3, 4, latent_dim=2).infer(torch.zeros(0, 3))
    assert latent.sample.shape == (0, 4, 2)
    assert latent.kl.shape == (0, 4)


def test_infer_records_nothing_and_observe_does() -> None:
    class Explicit(nn.Module):
        def __init__(self, observe: bool) -> None:
            super().__init__()
            self.units, self.observe = vn.GaussianUnits(3, 4, beta=0.7), observe

        def forward(self, x: torch.Tensor) -> vn.Latent:
            latent = self.units.infer(x)
            if self.observe:
                self.units.observe(latent)
            return latent

    x = torch.randn(2, 3)
    assert vn.Collect(Explicit(observe=False))(x)[1] == ()
    latent, (term,) = vn.Collect(Explicit(observe=True))(x)
    assert term.name == "units"
    for field in ("sample", "loc", "scale", "kl"):
        assert getattr(term, field) is getattr(latent, field)
    assert term.beta.tolist() == pytest.approx([0.7] * 4)


def test_units_are_found_with_their_paths() -> None:
    model = nn.ModuleDict({"a": vn.GaussianUnits(3, 2), "b": nn.Sequential(nn.Tanh())})
    model["b"].append(vn.DeterministicUnits(3, 2))
    assert [path for path, _ in units_of(model)] == ["a", "b.1"]


def test_a_seed_fixes_the_layer_and_its_draws() -> None:
    outputs = []
    for _ in range(2):
        torch.manual_seed(11)
        outputs.append(vn.GaussianUnits(3, 4)(torch.ones(2, 3)))
    assert torch.equal(*outputs)
