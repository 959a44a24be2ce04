"""deterministic(): means inside, draws outside, and no trace of having been there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import vneuron as vn


def draws(model: nn.Module) -> bool:
    x = torch.ones(4, 3)
    return not torch.equal(model(x), model(x))


def test_inside_the_means_are_used_and_recorded() -> None:
    model = nn.Sequential(vn.GaussianUnits(3, 3), vn.GaussianUnits(3, 2))
    with vn.deterministic(model):
        assert not draws(model)
        _, terms = vn.Collect(model)(torch.ones(4, 3))
    for term in terms:
        assert torch.equal(term.sample, term.loc)
        assert (term.kl > 0).all()
    assert draws(model)


def test_train_and_eval_draw_alike() -> None:
    model = nn.Sequential(vn.GaussianUnits(3, 3))
    assert draws(model.train())
    assert draws(model.eval())


def test_an_exception_restores() -> None:
    model = nn.Sequential(vn.GaussianUnits(3, 3))
    with pytest.raises(KeyError), vn.deterministic(model):
        raise KeyError
    assert draws(model)


def test_each_layer_gets_its_own_earlier_state_back() -> None:
    model = nn.Sequential(vn.GaussianUnits(3, 3), vn.GaussianUnits(3, 3))
    model[0].deterministic = True
    with vn.deterministic(model), vn.deterministic(model):
        pass
    assert [layer.deterministic for layer in model] == [True, False]


def test_other_models_keep_drawing() -> None:
    model, other = (nn.Sequential(vn.GaussianUnits(3, 3)) for _ in range(2))
    with vn.deterministic(model):
        assert draws(other)
