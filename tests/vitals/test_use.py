"""Use: of a unit that is read, of one that is not, and of one that always says the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import vneuron as vn


def model() -> nn.Sequential:
    """y = x0 read through unit 0; unit 1 is read not at all; unit 2 says 3 whatever it is given."""
    net = nn.Sequential(vn.GaussianUnits(3, 3, initial_scale=0.03), nn.Linear(3, 1))
    with torch.no_grad():
        net[0].loc.weight.copy_(torch.eye(3))
        net[0].loc.weight[2].zero_()
        net[0].loc.bias.copy_(torch.tensor([0.0, 0.0, 3.0]))
        net[1].weight.copy_(torch.tensor([[1.0, 0.0, 1.0]]))
        net[1].bias.fill_(-3.0)
    return net


def test_each_unit_is_worth_what_it_carries() -> None:
    net = model()
    x = torch.randn(4000, 3)
    vn.control_step(net, vn.Collect(net)(x)[1])
    state = torch.random.get_rng_state()
    vn.measure_use(net, lambda: 0.5 * (net(x)[:, 0] - x[:, 0]).square())
    assert torch.equal(state, torch.random.get_rng_state())
    statistics = net[0].statistics
    half = 0.5 * x[:, 0].var().item()
    assert statistics.use.tolist() == pytest.approx([half, 0.0, 0.0], abs=0.02)
    assert statistics.dynamic_use.tolist() == pytest.approx([half, 0.0, 0.0], abs=0.02)
    assert vn.health(net).counts == {"constant": 1, "ignored": 1, "living": 1}


def test_noise_that_is_read_as_such_is_a_static_use() -> None:
    """A unit whose σ alone matters: silencing it costs, freezing it does not."""
    net = nn.Sequential(vn.GaussianUnits(3, 1, initial_scale=1.0, scale="per_unit"))
    nn.init.zeros_(net[0].loc.weight)
    nn.init.zeros_(net[0].loc.bias)
    x, y = torch.randn(4000, 3), torch.randn(4000)
    vn.control_step(net, vn.Collect(net)(x)[1])

    def nll() -> torch.Tensor:
        """Of a Gaussian with the variance of what the unit sends."""
        variance = net(x)[:, 0].var(correction=0) + 1e-2
        return 0.5 * (y.square() / variance + variance.log())

    vn.measure_use(net, nll)
    assert net[0].statistics.use.item() > 10.0
    assert abs(net[0].statistics.dynamic_use.item()) < 0.1
    assert vn.health(net).counts == {"static": 1}


def test_a_layer_that_is_not_called_is_refused() -> None:
    net = model()
    vn.control_step(net, vn.Collect(net)(torch.randn(8, 3))[1])
    with pytest.raises(ValueError, match="did not run the layer '0'"):
        vn.measure_use(net, lambda: torch.zeros(4))


def test_an_untrained_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="no statistics yet"):
        vn.measure_use(model(), lambda: torch.zeros(4))


def test_the_layer_is_itself_again_afterwards_even_after_an_error() -> None:
    net, x = model(), torch.randn(8, 3)
    vn.control_step(net, vn.Collect(net)(x)[1])
    calls = 0

    def nll() -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise KeyError("x")
        return net(x)[:, 0]

    with pytest.raises(KeyError):
        vn.measure_use(net, nll)
    assert "infer" not in vars(net[0])
    assert net[0].infer(x).sample.shape == (8, 3, 1)


def test_freezing_what_does_not_move_costs_nothing_however_few_examples() -> None:
    """The frozen unit draws its own noise: other noise would look like a use, or like harm."""
    net = nn.Sequential(vn.GaussianUnits(3, 2, initial_scale=1.0, scale="per_unit"))
    nn.init.zeros_(net[0].loc.weight)
    nn.init.zeros_(net[0].loc.bias)
    x = torch.randn(20, 3)
    vn.control_step(net, vn.Collect(net)(x)[1])
    vn.measure_use(net, lambda: (net(x).sum(-1) - 1.0).square())
    torch.testing.assert_close(net[0].statistics.dynamic_use, torch.zeros(2), atol=1e-5, rtol=0)


def test_units_at_every_position_are_measured_too() -> None:
    each = vn.EachPosition(vn.GaussianUnits(2, 2, initial_scale=0.03))
    with torch.no_grad():
        each.units.loc.weight.copy_(torch.eye(2))
        each.units.loc.bias.zero_()
    x = torch.randn(400, 2, 5)
    vn.control_step(each, vn.Collect(each)(x)[1])
    vn.measure_use(each, lambda: 0.5 * (each(x)[:, 0] - x[:, 0]).square().sum(-1))
    half = 0.5 * x[:, 0].var().item() * 5
    assert each.units.statistics.use.tolist() == pytest.approx([half, 0.0], abs=0.05)
