"""What units are worth, against scores of networks that were changed by hand."""

import copy
import dataclasses

import pytest
import torch

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import build_network
from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.usefulness import HeldOut, measure_usefulness
from vneuron.functional.gaussian import SCALE_FLOOR


def trained(k=1, likelihood="student", gain=1.0, noise="steered", scale="input", start="level"):
    config = ForecasterConfig(
        horizon=4, input_size=6, units=3, latent_dim=k, hidden=8, likelihood=likelihood,
        noise=noise, scale=scale, start=start,
    )  # fmt: skip
    network = build_network("EVE", config, "mean", False).double()
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim():
                parameter.add_(0.3 * torch.randn_like(parameter))
        if network.base is not None:
            network.base.set(torch.randn(6, 4), torch.randn(4), torch.rand(4) + 0.5)
    network.mean_gain.fill_(gain)
    return network.eval()


def windows(n=32, observed=None):
    x, y = torch.randn(n, 6).double(), torch.randn(n, 4).double()
    series = torch.zeros(n, dtype=torch.int64)
    known = None if observed is None else torch.ones(n, 6, dtype=torch.bool)
    return WindowBatch(x, y, series, known, observed)


def mean_joint_nll(network, batch, changed=None, silent=None):
    """Through the network itself, its units' posteriors replaced before they are read."""
    reading = network.read(batch.context)
    before = network.distribution(reading)
    if changed is not None:
        reading = reading._replace(latent=changed(reading.latent))
    path = network.distribution(reading)
    if silent is not None:  # its column gone, what it steers held
        path = dataclasses.replace(path, loc=before.loc, unit_scale=silent(path.unit_scale))
    return path.joint_nll(batch.target).mean()


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("likelihood", ["student", "gaussian"])
@pytest.mark.parametrize(
    ("gain", "noise", "start"),
    [(0.0, "steered", "level"), (0.5, "white", "ridge"), (1.0, "lasting", "level")],
)
def test_use_and_dynamic_use_by_brute_force(k, likelihood, gain, noise, start):
    network, batch = trained(k, likelihood, gain, noise, start=start), windows()
    found = measure_usefulness(network, batch)
    with torch.no_grad():
        present = mean_joint_nll(network, batch)
        for unit in range(3):

            def silent(scale, unit=unit):
                scale = scale.clone()
                scale[:, unit * k : (unit + 1) * k] = 0.0
                return scale

            def frozen(latent, unit=unit):
                loc, scale = latent.loc.clone(), latent.scale.clone()
                loc[:, unit], scale[:, unit] = loc[:, unit].mean(0), scale[:, unit].mean(0)
                return latent._replace(loc=loc, scale=scale)

            use = mean_joint_nll(network, batch, frozen, silent) - present
            dynamic = mean_joint_nll(network, batch, frozen) - present
            torch.testing.assert_close(found.use[unit], use, rtol=1e-8, atol=1e-9)
            torch.testing.assert_close(found.dynamic_use[unit], dynamic, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("scale", ["input", "per_unit", "scalar"])
def test_what_is_changed_begins_at_the_density_of_the_path(scale):
    """Where σ is the same for all windows, the path's loading holds the steps' own noise."""
    network, batch = trained(scale=scale), windows()
    reading = network.read(*batch.inputs)
    path = network.distribution(reading)
    residual = path.residual(batch.target)
    held_out = HeldOut.of(
        path, residual, network.units, reading.latent, loading=network.loading,
        reader=network.mean_gain * network.mean_reader, spread=reading.spread,
        own_noise=network.own_noise,
    )  # fmt: skip
    found = held_out.present(residual, held_out.scale, held_out.scale)
    expected = path.joint_nll(batch.target) - path.scale.log().sum(-1)
    torch.testing.assert_close(found, expected.mean(), rtol=1e-9, atol=1e-9)


def test_a_unit_that_nothing_reads_is_worth_nothing():
    network, batch = trained(), windows()
    with torch.no_grad():
        network.loading[:, 1] = 0.0
        network.mean_reader[:, 1] = 0.0
        network.noise.weight_reader[:, 1] = 0.0
        network.noise.persistence_reader[1] = 0.0
    found = measure_usefulness(network, batch)
    for value in found:
        assert abs(float(value[1])) < 1e-12
        assert abs(float(value[0])) > 1e-6


def test_a_static_unit_has_use_but_no_dynamic_use():
    network, batch = trained(), windows()
    with torch.no_grad():
        network.units.scale_weight.zero_()
        network.units.loc.weight.zero_()
    found = measure_usefulness(network, batch)
    assert bool((found.dynamic_use.abs() < 1e-9).all())
    assert bool((found.use.abs() > 1e-6).all())


def test_at_the_smallest_scale_silencing_changes_next_to_nothing():
    network, batch = trained(noise="lasting"), windows()
    with torch.no_grad():
        network.units.scale_weight.zero_()
        network.units.raw_scale.fill_(-1e4)
        assert float(network.units.infer(torch.zeros(1, 16).double()).scale[0, 0, 0]) < (
            1.01 * SCALE_FLOOR
        )
    assert bool((measure_usefulness(network, batch).use.abs() < 1e-3).all())


def test_windows_with_a_missing_target_are_left_out():
    network = trained()
    observed = torch.ones(32, 4, dtype=torch.bool)
    observed[::2, 1] = False
    batch = windows(observed=observed)
    rest = WindowBatch(batch.context[1::2], batch.target[1::2], batch.series[1::2], None, None)
    for one, other in zip(
        measure_usefulness(network, batch), measure_usefulness(network, rest), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_there_may_be_nothing_to_measure():
    observed = torch.zeros(32, 4, dtype=torch.bool)
    assert measure_usefulness(trained(), windows(observed=observed)) is None
    config = ForecasterConfig(horizon=4, input_size=6, units=3, hidden=8)
    for contender in ("twin", "linear", "lowrank"):
        network = build_network(contender, config, "mean", False).double()
        assert measure_usefulness(network, windows()) is None


def test_measuring_changes_nothing():
    network = trained()
    before = copy.deepcopy(network.state_dict())
    measure_usefulness(network, windows())
    after = network.state_dict()
    assert all(torch.equal(before[n].nan_to_num(), after[n].nan_to_num()) for n in before)


def test_marginal_use_against_finite_differences() -> None:
    """-dJ/da over dR/da, with J and R of the network whose units follow windows a little more."""
    torch.manual_seed(0)
    network = trained()
    batch = windows(40)
    found = measure_usefulness(network, batch)
    assert found is not None
    reading = network.read(batch.context)
    loc, log_scale = reading.latent.loc.squeeze(-1), reading.latent.scale.squeeze(-1).log()

    @torch.no_grad()
    def scores(unit: int, amplitude: float) -> tuple[float, float]:
        a = torch.ones(3).double()
        a[unit] = amplitude
        mean, centre = loc.mean(0), log_scale.mean(0)
        moved = mean + a * (loc - mean)
        scale = (centre + a * (log_scale - centre)).exp()
        latent = reading.latent._replace(loc=moved[..., None], scale=scale[..., None])
        path = network.distribution(reading._replace(latent=latent))
        nll = path.joint_nll(batch.target).mean()
        variance = moved.var(0, unbiased=False)
        rate = 0.5 * (scale.square().mean(0) + variance).log() - scale.log().mean(0)
        return float(nll), float(rate.sum())

    for unit in range(3):
        (nll_up, rate_up), (nll_down, rate_down) = scores(unit, 1 + 1e-5), scores(unit, 1 - 1e-5)
        slope, cost = (nll_up - nll_down) / 2e-5, (rate_up - rate_down) / 2e-5
        assert found.marginal_use[unit] == pytest.approx(-slope / (cost + 1e-3), rel=1e-4)
