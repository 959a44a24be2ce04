"""What z carries, on networks whose answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import vneuron as vn
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.split import RowRange
from vneuron.forecasting.data.windows import flatten, windows_between
from vneuron.forecasting.latent_share import measure_latent_share
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.networks.reference import ReferenceNetwork

L, H, HIDDEN = 12, 4, 8


@pytest.fixture(scope="module")
def windows():
    y = np.sin(np.arange(300) / 5.0) + 0.1 * np.random.default_rng(0).normal(size=300)
    panel = Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": range(300), "y": y}))
    flat = flatten(panel, Scaling(panel.ids, np.zeros(1), np.ones(1)))
    return windows_between(flat, RowRange(np.array([20]), np.array([300])), L + 2, H)


def trajectory(units=None, **options):
    torch.manual_seed(0)
    network = TrajectoryNetwork(L, H, units=units, hidden=HIDDEN, **options)
    return network.eval()


def test_without_units_nothing_is_carried(windows):
    for network in (trajectory(), trajectory(vn.DeterministicUnits(HIDDEN, 3))):
        share = measure_latent_share(network, windows)
        assert share.variance == 0.0
        assert share.spread_nats == pytest.approx(0.0, abs=1e-5)
        assert share.window_nats == pytest.approx(0.0, abs=1e-5)  # R starts at zero
        assert share.windows == len(windows)


@torch.no_grad()
def test_of_one_multivariate_t_it_is_what_the_formulas_say(windows):
    network = trajectory(vn.GaussianUnits(HIDDEN, 3))
    for parameter in network.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    share = measure_latent_share(network, windows)
    batch = windows.gather(torch.arange(len(windows)))
    path, y = network(batch.context), batch.target
    nll = path.joint_nll(y).mean()
    plain = path.without_latent().joint_nll(y).mean() - nll
    assert share.spread_nats == pytest.approx(plain.item(), rel=1e-3, abs=1e-4)
    variance = path.sd().square()
    expected = (variance * path.unit_share()).sum() / variance.sum()
    assert share.variance == pytest.approx(expected.item(), rel=1e-4)
    reading = network.read(batch.context)
    latent = reading.latent
    frozen = latent._replace(
        loc=latent.loc.mean(0).expand_as(latent.loc),
        scale=latent.scale.mean(0).expand_as(latent.loc),
    )
    still = network.distribution(reading._replace(latent=frozen)).joint_nll(y).mean() - nll
    assert share.window_nats == pytest.approx(still.item(), rel=1e-3, abs=1e-4)


def test_where_z_is_the_only_path_it_carries_all_that_is_known(windows):
    torch.manual_seed(0)
    network = ReferenceNetwork(
        L, H, vn.GaussianUnits(HIDDEN, 40), lag=2, hidden=HIDDEN, location="none"
    )
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    batch = windows.gather(torch.arange(len(windows)))
    for _ in range(60):
        optimiser.zero_grad()
        network(batch.context).joint_nll(batch.target).mean().backward()
        optimiser.step()
    share = measure_latent_share(network.eval(), windows)
    assert share.likelihood == 1.0
    assert share.window_nats > 1.0
    assert 0.0 < share.variance < 1.0


def test_a_network_that_knows_less_than_nothing_has_no_share(windows):
    network = trajectory(vn.GaussianUnits(HIDDEN, 3), likelihood="gaussian")
    with torch.no_grad():
        network.mean_path.bias.add_(50.0)
    assert math.isnan(measure_latent_share(network, windows).likelihood)


def test_windows_are_needed(windows):
    with pytest.raises(ValueError, match="no window has its whole target"):
        measure_latent_share(trajectory(), windows.take(torch.arange(0)))
