"""Priors that are conditioned on an earlier window, or on what all units share."""

import pytest
import torch

import vneuron as vn
from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.macro_use import measure_macro_use
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.networks.reference import ReferenceNetwork
from vneuron.functional.autoregressive import expected_kl
from vneuron.functional.gaussian import kl_divergence

L, H, HIDDEN, UNITS, LAG = 12, 4, 8, 5, 3
KINDS = ["trajectory", "reference"]


def network(kind, prior=None, k=1, prior_lag=LAG, macro=None, mask_inputs=False, dropout=0.0):
    torch.manual_seed(0)
    prior = vn.AutoregressiveNormal(UNITS, k, phi=0.7) if prior is None else prior
    options = {
        "units": vn.GaussianUnits(HIDDEN, UNITS, k, prior=prior),
        "hidden": HIDDEN,
        "prior_lag": prior_lag,
        "macro": macro,
        "mask_inputs": mask_inputs,
        "dropout": dropout,
    }
    if kind == "trajectory":
        built = TrajectoryNetwork(L, H, **options)
    else:
        built = ReferenceNetwork(L, H, lag=2, **options)
    with torch.no_grad():  # away from the start, where σ is the same everywhere
        for parameter in built.units.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return built


def with_macro(kind, k=1):
    torch.manual_seed(1)
    macro = vn.GaussianUnits(HIDDEN, 2)
    return network(kind, vn.MacroNormal(UNITS, k, 2), k, prior_lag=0, macro=macro)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 3])
def test_the_kl_is_the_expected_one_under_the_posterior_of_the_window_before(kind, k):
    built = network(kind, k=k)
    context = torch.randn(6, built.lookback)
    _, (term,) = vn.Collect(built)(context)
    built.eval()
    now = built.read(context).latent
    before = built.read(context[:, :-LAG]).latent
    prior = built.units.prior
    moments = (now.loc, now.scale, before.loc, before.scale, prior.phi(), prior.tau())
    torch.testing.assert_close(term.kl, expected_kl(*moments).sum(-1))
    torch.testing.assert_close(term.previous_loc, before.loc)
    torch.testing.assert_close(term.previous_scale, before.scale)


@pytest.mark.parametrize("kind", KINDS)
def test_the_window_before_has_not_seen_the_last_rows(kind):
    built = network(kind)
    context = torch.randn(6, built.lookback)
    later = context.clone()
    later[:, -LAG:] = 100.0
    terms = [vn.Collect(built)(rows)[1][0] for rows in (context, later)]
    assert torch.equal(terms[0].previous_loc, terms[1].previous_loc)
    assert torch.equal(terms[0].previous_scale, terms[1].previous_scale)
    assert not torch.allclose(terms[0].loc, terms[1].loc)


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_series_of_that_period_nothing_changes_from_window_to_window(kind):
    """Dropout takes the same features from both, and each is normalised by its own rows."""
    built = network(kind, dropout=0.5)
    context = torch.randn(6, LAG).repeat(1, built.lookback // LAG + 1)[:, : built.lookback]
    _, (term,) = vn.Collect(built)(context)
    torch.testing.assert_close(term.loc, term.previous_loc)


@pytest.mark.parametrize("kind", KINDS)
def test_forecasts_take_neither_the_window_before_nor_the_prior(kind):
    built = network(kind).eval()
    context = torch.randn(6, built.lookback)
    path, (term,) = vn.Collect(built)(context)
    assert torch.equal(path.loc, built(context[:, LAG:]).loc)
    assert term.previous_loc is None
    start = kl_divergence(term.loc, term.scale, *built.units.prior.moments()).sum(-1)
    torch.testing.assert_close(term.kl, start)


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_before_that_holds_no_value_is_no_predecessor(kind):
    built = network(kind, mask_inputs=True)
    context = torch.randn(3, built.lookback)
    observed = torch.ones_like(context, dtype=torch.bool)
    observed[0, :-LAG] = False
    _, (term,) = vn.Collect(built)(context, observed)
    assert term.previous_loc[0].isnan().all()
    assert not term.previous_loc[1:].isnan().any()
    start = kl_divergence(term.loc, term.scale, *built.units.prior.moments()).sum(-1)
    torch.testing.assert_close(term.kl[0], start[0])
    assert not torch.allclose(term.kl[1:], start[1:])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 3])
def test_units_pay_for_what_the_macro_latent_does_not_say_and_it_pays_too(kind, k):
    built = with_macro(kind, k)
    torch.manual_seed(2)
    path, (micro, macro) = vn.Collect(built)(torch.randn(6, built.lookback))
    assert (micro.name, macro.name) == ("units", "macro")
    prior = built.units.prior
    centre = prior.loc + torch.einsum("bm,ukm->buk", macro.sample[..., 0], prior.weight)
    scale = prior.conditional(macro.sample.flatten(1))[1]
    expected = kl_divergence(micro.loc, micro.scale, centre, scale).sum(-1)
    torch.testing.assert_close(micro.kl, expected)
    nll = path.joint_nll(torch.zeros(6, H))
    vn.free_energy(nll, (micro, macro)).backward()
    grown = {name for name, p in built.macro.named_parameters() if p.grad.abs().max() > 0}
    assert grown == {"loc.weight", "loc.bias", "raw_scale", "scale_weight"}
    assert prior.weight.grad.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_use_of_the_macro_latent_is_what_it_saves_the_units(kind):
    """Held against draws of g, with and without each dimension."""
    built = with_macro(kind).eval()
    for parameter in (*built.macro.parameters(), built.units.prior.weight):
        parameter.add_(0.4 * torch.randn_like(parameter))
    context = torch.randn(40, built.lookback)
    batch = WindowBatch(context, torch.zeros(40, H), torch.zeros(40), None, None)
    use, dynamic = measure_macro_use(built, batch)
    reading, draws = built.read(context), 4000
    mean, spread = reading.macro.loc[..., 0], reading.macro.scale[..., 0]

    def saved(changed, sampled):
        g = mean + spread * noise
        other = g.clone()
        other[..., changed] = mean[:, changed].mean() + (
            spread[:, changed].mean() * noise[..., changed] if sampled else 0.0
        )
        nats = [
            kl_divergence(
                reading.latent.loc, reading.latent.scale, *built.units.prior.conditional(one)
            ).sum((1, 2))
            for one in (other.flatten(0, 1), g.flatten(0, 1))
        ]
        return nats[0].view(draws, 40).mean(1) - nats[1].view(draws, 40).mean(1)

    noise = torch.randn(draws, 40, 2)
    reading = reading._replace(latent=repeated(reading.latent, draws))
    for i in range(2):
        for found, sampled in ((use, False), (dynamic, True)):
            each = saved(i, sampled)
            error = float(each.std()) / draws**0.5
            assert float(found[i]) == pytest.approx(float(each.mean()), abs=4 * error + 1e-5)


def repeated(latent, draws):
    return vn.Latent(*(value.repeat(draws, *[1] * (value.ndim - 1)) for value in latent))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", [network, with_macro])
def test_they_compile_into_one_graph(kind, build):
    built = build(kind)
    collected = vn.Collect(built)
    compiled = torch.compile(collected, backend="eager", fullgraph=True)
    context = torch.randn(6, built.lookback)
    found = []
    for model in (collected, compiled):
        torch.manual_seed(3)
        _, terms = model(context)
        found.append(torch.cat([term.kl for term in terms], dim=1))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior_lag": 0}, "prior_lag is 0 and the units' prior is AutoregressiveNormal"),
        ({"prior": vn.StandardNormal()}, "prior_lag is 3 and the units' prior is StandardNormal"),
        ({"prior_lag": -1}, "prior_lag is -1"),
        ({"prior": vn.MacroNormal(UNITS, 1, 2), "prior_lag": 0}, "macro layer has None latents"),
        ({"macro": vn.GaussianUnits(HIDDEN, 2)}, "macro layer has 2 latents"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_without_what_it_takes_is_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        network(kind, **options)
