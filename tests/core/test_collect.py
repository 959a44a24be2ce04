"""Collect: naming, outputs, arguments. What runs around it is in tests/contracts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import vneuron as vn


def test_it_names_layers_by_their_path_in_the_model() -> None:
    model = nn.Sequential(vn.GaussianUnits(3, 3), nn.Sequential(vn.DeterministicUnits(3, 2)))
    assert model[0].name == "GaussianUnits"
    _, terms = vn.Collect(model)(torch.zeros(2, 3))
    assert [term.name for term in terms] == ["0", "1.0"]


def test_a_bare_layer_keeps_the_name_of_its_class() -> None:
    _, terms = vn.Collect(vn.GaussianUnits(3, 2))(torch.zeros(2, 3))
    assert [term.name for term in terms] == ["GaussianUnits"]


def test_the_last_wrapper_names() -> None:
    layer = vn.GaussianUnits(3, 2)
    vn.Collect(nn.Sequential(layer))
    vn.Collect(nn.ModuleDict({"other": layer}))
    assert layer.name == "other"


def test_arguments_and_structured_outputs_pass_through() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor, *, double: bool) -> dict[str, Any]:
            return {"y": x * (2 if double else 1)}

    output, terms = vn.Collect(Model())(torch.ones(1), double=True)
    assert output["y"].item() == 2
    assert terms == ()


def test_it_adds_nothing_to_the_state_but_its_prefix() -> None:
    model = nn.Sequential(vn.GaussianUnits(3, 2))
    assert vn.Collect(model).state_dict().keys() == {f"model.{k}" for k in model.state_dict()}
