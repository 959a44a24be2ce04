"""Units silenced one by one against networks changed by hand, and to second order against that."""

import pytest
import torch

import vneuron as vn
from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.networks.reference import ReferenceNetwork
from vneuron.forecasting.networks.reference.use import _HeldOut, measure_use, measure_use_exactly
from vneuron.forecasting.usefulness import SMALLEST_RATE

L, H, LAG, HIDDEN = 30, 5, 3, 8


def network_of(units=6, k=1, activity="mean", **options) -> ReferenceNetwork:
    torch.manual_seed(0)
    layer = vn.GaussianUnits(HIDDEN, units, k, activity=activity)
    network = ReferenceNetwork(L, H, layer, lag=LAG, hidden=HIDDEN, location="none", **options)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network.eval()


def windows(batch=40, seed=1):
    g = torch.Generator().manual_seed(seed)
    return WindowBatch(
        torch.randn(batch, L + LAG, generator=g), torch.randn(batch, H, generator=g),
        torch.zeros(batch, dtype=torch.int64), None, None,
    )  # fmt: skip


def nll_of(network, batch, z):
    hidden = network.head.split(network.head.read(z))
    reading = network.read(batch.context)
    return network.mixture(reading, hidden).joint_nll(batch.target).mean()


def draws_of(network, batch):
    latent = network.read(batch.context).latent
    noise = network.signed_noise(latent)
    return latent, noise, network.loc(latent)[:, None] + network.scale(latent)[:, None] * noise


@pytest.mark.parametrize("combine", ["mean", "score"])
@pytest.mark.parametrize(("k", "activity"), [(1, "mean"), (2, "mean"), (2, "raw")])
@torch.no_grad()
def test_a_silenced_unit_stands_at_its_mean(k, activity, combine):
    network, batch = network_of(k=k, activity=activity, combine=combine), windows()
    use, dynamic = measure_use_exactly(network, batch, range(6))
    latent, noise, z = draws_of(network, batch)
    present = nll_of(network, batch, z)
    torch.testing.assert_close(present, network(batch.context).joint_nll(batch.target).mean())
    per = z.shape[-1] // 6
    for unit in (0, 3):
        own = slice(unit * per, (unit + 1) * per)
        silenced, frozen = z.clone(), z.clone()
        silenced[..., own] = z[..., own].mean((0, 1))
        still = network.loc(latent).mean(0) + network.scale(latent).mean(0) * noise
        frozen[..., own] = still[..., own]
        expected = nll_of(network, batch, silenced) - present
        torch.testing.assert_close(use[unit], expected, atol=1e-5, rtol=1e-3)
        expected = nll_of(network, batch, frozen) - present
        torch.testing.assert_close(dynamic[unit], expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("likelihood", ["gaussian", "student"])
@pytest.mark.parametrize(("combine", "draws"), [("mean", 8), ("score", 8), ("mean", 1)])
@torch.no_grad()
def test_second_order_is_silencing_where_each_unit_says_little(likelihood, combine, draws):
    options = {"likelihood": likelihood, "combine": combine, "draws": draws}
    network, batch = network_of(units=40, **options).double(), windows(batch=1000)
    batch = batch._replace(context=batch.context.double(), target=batch.target.double())
    network.head.first.weight.mul_(0.01)
    held_out = _HeldOut(network, batch)
    for found, exact in zip(held_out.second_order(), held_out.exactly(range(40)), strict=True):
        assert float((found - exact).abs().max()) < 0.1 * float(exact.abs().max())


@torch.no_grad()
def test_a_linear_head_has_no_third_order_but_for_chance():
    network, batch = network_of(units=40, draws=1, likelihood="gaussian"), windows(batch=2000)
    network.head.second.weight.zero_()
    held_out = _HeldOut(network, batch)
    for found, exact in zip(held_out.second_order(), held_out.exactly(range(40)), strict=True):
        # one probe of signs over 5 steps: its diagonal has a relative error of about 1/√2000
        assert float((found - exact).abs().max()) < 0.06 * float(exact.abs().max())


@torch.no_grad()
def test_few_units_are_silenced_one_by_one_and_windows_with_gaps_left_out():
    network, batch = network_of(), windows()
    found = measure_use(network, batch)
    exact = measure_use_exactly(network, batch, range(6))
    torch.testing.assert_close(found.use, exact[0])
    torch.testing.assert_close(found.dynamic_use, exact[1])
    assert bool(found.outcome_information.isnan().all())
    observed = torch.ones(40, H, dtype=torch.bool)
    observed[20:, 1] = False
    gaps = batch._replace(
        target_observed=observed, context_observed=torch.ones_like(batch.context, dtype=torch.bool)
    )
    first = measure_use(network, batch.keep(torch.arange(40) < 20))
    torch.testing.assert_close(measure_use(network, gaps).use, first.use)
    assert measure_use(network, gaps._replace(target_observed=~observed & False)) is None


@torch.no_grad()
def test_a_unit_that_nothing_reads_is_of_no_use():
    network, batch = network_of(units=40), windows()
    network.head.first.weight[:, 7] = 0.0
    found = measure_use(network, batch)
    assert found.use[7] == 0.0
    assert found.dynamic_use[7] == 0.0
    assert bool((found.use != 0).sum() == 39)


@torch.no_grad()
def test_marginal_use_is_the_price_of_following_the_window_more():
    network, batch = network_of(units=4).double(), windows()
    batch = batch._replace(context=batch.context.double(), target=batch.target.double())
    found = measure_use(network, batch).marginal_use
    latent = network.read(batch.context).latent

    def moved(amplitude, unit):
        log_scale = latent.scale.log()
        factor = torch.ones(4, 1, dtype=torch.float64)
        factor[unit] = amplitude
        loc = latent.loc.mean(0) + factor * (latent.loc - latent.loc.mean(0))
        scale = (log_scale.mean(0) + factor * (log_scale - log_scale.mean(0))).exp()
        variance = loc.var(0, correction=0)
        rate = 0.5 * (scale.square().mean(0) + variance).log() - scale.log().mean(0)
        reading = network.read(batch.context)._replace(latent=latent._replace(loc=loc, scale=scale))
        return network.distribution(reading).joint_nll(batch.target).mean(), rate.sum()

    for unit in range(4):
        (above, dear), (below, cheap) = moved(1 + 1e-5, unit), moved(1 - 1e-5, unit)
        expected = -(above - below) / (dear - cheap + 2e-5 * SMALLEST_RATE)
        torch.testing.assert_close(found[unit], expected, rtol=1e-4, atol=1e-7)
