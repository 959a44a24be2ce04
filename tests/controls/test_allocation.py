"""Budgets by use: the price follows held-out marginal use, once per measurement."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import vneuron as vn


def measured(layer: vn.GaussianUnits, use: list[float]) -> None:
    layer.statistics.marginal_use.copy_(torch.tensor(use))
    layer.statistics.measurements.add_(1)


def step(layer: vn.GaussianUnits) -> None:
    _, terms = vn.Collect(layer)(torch.randn(16, layer.in_features))
    vn.control_step(layer, terms)


def layer_of(units: int, **options: float) -> vn.GaussianUnits:
    layer = vn.GaussianUnits(3, units, beta=0.1)
    layer.controls.append(vn.Allocation(units, **options))
    return layer


def test_price_falls_where_nats_pay_and_rises_where_they_do_not() -> None:
    layer = layer_of(3, worth=0.2)
    measured(layer, [2.0, 0.2, -2.0])
    step(layer)
    cheaper, same, dearer = layer.beta.tolist()
    assert cheaper < 0.1 < dearer
    assert same == pytest.approx(0.1)


def test_acts_once_for_each_measurement() -> None:
    layer = layer_of(1)
    measured(layer, [-1.0])
    step(layer)
    after = layer.beta.clone()
    step(layer)
    assert torch.equal(layer.beta, after)
    measured(layer, [-1.0])
    step(layer)
    assert bool((layer.beta > after).all())


def test_without_a_measurement_the_price_stays() -> None:
    layer = layer_of(2)
    for _ in range(3):
        step(layer)
    assert torch.equal(layer.beta, torch.full((2,), 0.1))
    measured(layer, [float("nan"), 1.0])
    step(layer)
    assert layer.beta[0] == pytest.approx(0.1)
    assert layer.beta[1] < 0.1


def test_price_keeps_to_its_range() -> None:
    layer = layer_of(2, beta_min=0.01, beta_max=1.0)
    for _ in range(10):
        measured(layer, [9.0, -9.0])
        step(layer)
    torch.testing.assert_close(layer.beta, torch.tensor([0.01, 1.0]))


def test_state_is_saved_so_that_a_resumed_run_does_not_act_twice() -> None:
    layer = layer_of(1)
    measured(layer, [-1.0])
    step(layer)
    again = layer_of(1)
    again.load_state_dict(layer.state_dict())
    step(again)
    assert torch.equal(again.beta, layer.beta)


@pytest.mark.parametrize("options", [{"worth": 0.0}, {"beta_min": 1.0, "beta_max": 0.1}])
def test_refuses_impossible_settings(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        vn.Allocation(2, **options)


def test_finds_the_unit_that_pays() -> None:
    """A unit that carries what the outcome depends on keeps it; one that carries noise lets go.

    Outcome y = x₀ + noise. Both units start out following their own input; only the first is read
    to any avail. Marginal use is measured by finite differences of the held-out NLL in the
    amplitude with which a unit follows its input, as `Allocation` documents it.
    """
    torch.manual_seed(0)
    layer = layer_of(2, worth=0.2)
    with torch.no_grad():
        layer.loc.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    head = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.3]]))  # the second is a spurious habit
    x = torch.randn(4000, 3)
    y = x[:, 0] + 0.3 * torch.randn(4000)

    @torch.no_grad()
    def nll(amplitude: torch.Tensor) -> torch.Tensor:
        loc = layer.infer(x).loc.squeeze(-1) * amplitude
        return (y - head(loc).squeeze(-1)).square().mean() / (2 * 0.3**2)

    rises = []
    for unit in range(2):
        nudge = torch.ones(2)
        nudge[unit] += 1e-2
        rises.append(float((nll(nudge) - nll(torch.ones(2))) / 1e-2))
    measured(layer, [-rise for rise in rises])
    step(layer)
    assert layer.beta[1] > 0.2  # what it carries costs on held-out data
    assert layer.beta[0] < layer.beta[1]
