"""The trajectory network: which loss reaches what, and what each contender is made of."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vneuron as vn
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import CONTENDERS, build_network
from vneuron.forecasting.networks.features import WindowFeatures
from vneuron.forecasting.networks.loading import cosine_loading
from vneuron.forecasting.networks.network import MINIMUM_DF, TrajectoryNetwork
from vneuron.forecasting.task import TrajectoryObjective

CONFIG = ForecasterConfig(horizon=4, input_size=6, units=3, hidden=8, dropout=0.0)


def network_of(contender="EVE", mask=False, **changes):
    config = ForecasterConfig(**{**CONFIG.as_dict(), **changes})
    network = build_network(contender, config, "mean", mask)
    torch.manual_seed(1)
    with torch.no_grad():  # away from the zeros that they start at
        for name, parameter in network.named_parameters():
            if name != "raw_df":
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def reached(network, loss):
    """Names of the parameters that a loss moves."""
    network.zero_grad(set_to_none=True)
    loss.backward()
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and bool((parameter.grad != 0).any())
    }


MEAN = {"mean_path.weight", "mean_path.bias"}
SPREAD = {"features.0.weight", "features.0.bias", "spread.weight", "spread.bias", "raw_df"}
DEEPER = {"features.3.weight", "features.3.bias", "mean_residual.weight", "mean_residual.bias"}
PATCHES = {f"reader.{name}" for name in ("embed.weight", "embed.bias", "place")}
PATCHES |= {"reader.mix.weight", "reader.mix.bias"}
UNIT_MEANS = {"units.loc.weight", "units.loc.bias", "mean_reader"}
OWN = {"own_features.0.weight", "own_features.0.bias"}
OWN_DEEPER = {"own_features.3.weight", "own_features.3.bias"}
NOISE = {"noise.raw_persistence", "noise.persistence_reader", "noise.weight_reader"}
DEPENDENCE = {"loading", "units.raw_scale", "units.scale_weight"} | OWN
STEERED = DEPENDENCE | NOISE


@pytest.mark.parametrize("encoder", ["linear", "mlp", "multiscale", "patch"])
@pytest.mark.parametrize(
    ("noise", "dependence"),
    [
        ("white", DEPENDENCE),
        ("lasting", DEPENDENCE | {"noise.raw_persistence"}),
        ("steered", STEERED),
    ],
)
def test_marginal_and_joint_terms_each_reach_their_own(encoder, noise, dependence):
    network = network_of(encoder=encoder, noise=noise)
    x, y = torch.randn(16, 6), torch.randn(16, 4)
    margins = MEAN | SPREAD | UNIT_MEANS | (set() if encoder == "linear" else DEEPER)
    if encoder == "patch":
        margins = margins | PATCHES
    if encoder != "linear":
        dependence = dependence | OWN_DEEPER
    path = network(x)
    assert reached(network, path.marginal_nll(y).sum()) == margins
    path = network(x)
    assert reached(network, path.with_fixed_margins().joint_nll(y).sum()) == dependence
    path = network(x)
    assert reached(network, path.joint_nll(y).sum()) == margins | dependence


def test_the_mlp_encoder_starts_from_a_linear_mean_path():
    network = TrajectoryNetwork(6, 4, hidden=8, encoder="mlp")
    x = torch.randn(5, 6)
    mean, scale = x.mean(-1, keepdim=True), (x.var(-1, correction=0, keepdim=True) + 1e-4).sqrt()
    torch.testing.assert_close(network(x).loc, mean.expand(5, 4), rtol=0, atol=1e-6)
    with torch.no_grad():
        network.mean_residual.bias.fill_(1.0)
    torch.testing.assert_close(network(x).loc, (mean + scale).expand(5, 4), rtol=0, atol=1e-6)


def test_windows_and_predecessors_lack_the_same_features():
    features = WindowFeatures([6, 8, 8], dropout=0.5)
    x = torch.randn(5, 6)
    both = features(torch.cat([x, x]), 5)
    assert torch.equal(both[:5] == 0, both[5:] == 0)
    torch.testing.assert_close(both[:5], both[5:])
    assert not torch.equal(both[:5] == 0, features(torch.cat([x, x]), 5)[:5] == 0)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(
        ValueError, match=r"encoder is 'conv', expected one of \('linear', 'mlp', 'mul"
    ):
        TrajectoryNetwork(6, 4, encoder="conv")


def test_the_kl_reaches_the_units_and_not_the_shared_features():
    network, x = network_of(), torch.randn(16, 6)
    _, terms = vn.Collect(network)(x)
    expected = {name for name, _ in network.named_parameters() if name.startswith("units.")}
    assert reached(network, terms[0].kl.sum()) == expected | OWN


def test_features_of_their_own_move_what_units_spread_and_no_step():
    network, x = network_of(encoder="mlp").eval(), torch.randn(16, 6)
    with torch.no_grad():
        before = network.read(x)
        for parameter in network.own_features.parameters():
            parameter.add_(torch.randn_like(parameter))
        after = network.read(x)
    assert torch.equal(after.latent.loc, before.latent.loc)
    assert torch.equal(after.mean_path, before.mean_path)
    assert torch.equal(after.spread, before.spread)
    assert float((after.latent.scale - before.latent.scale).abs().min()) > 1e-5


def test_features_of_their_own_leave_everything_else_at_the_same_start():
    own, shared = (
        build_network("EVE", replace(CONFIG, unit_features=kind), "mean", False).state_dict()
        for kind in ("own", "shared")
    )
    assert {name for name in own if name not in shared} == OWN
    for name, value in shared.items():
        if name != "units.scale_weight":
            assert torch.equal(own[name].nan_to_num(), value.nan_to_num()), name
    assert own["units.scale_weight"].shape == (3, 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"unit_features": "shared"},
        {"scale": "per_unit"},
        {"units_family": "poisson"},
        {"likelihood": "poisson"},
        {"likelihood": "negbinomial"},
    ],
)
def test_where_units_have_the_shared_features_alone(changes):
    network = build_network("EVE", replace(CONFIG, **changes), "mean", False)
    core = getattr(network, "core", network)
    assert core.own_features is None
    assert core.units.in_features == 8


@pytest.mark.parametrize("contender", ["twin", "linear", "lowrank"])
def test_nothing_else_has_features_for_units(contender):
    assert network_of(contender).own_features is None


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (vn.GaussianUnits(8, 3), r"take 8 features, expected 16 \(hidden, twice"),
        (vn.GaussianUnits(16, 3), r"own_features with GaussianUnits, .*loc_features=hidden"),
        (vn.DeterministicUnits(16, 3), "own_features with DeterministicUnits"),
    ],
)
def test_units_that_cannot_have_features_of_their_own_are_refused(units, message):
    with pytest.raises(ValueError, match=message):
        TrajectoryNetwork(6, 4, units=units, hidden=8, own_features=True)


@pytest.mark.parametrize("prior", ["autoregressive", "macro"])
def test_priors_with_a_context_take_features_of_their_own(prior):
    network = network_of(prior=prior, lag=2)
    x, y = torch.randn(16, network.lookback), torch.randn(16, 4)
    nll, terms, *_ = TrajectoryObjective(network)(x, y)
    assert reached(network, vn.free_energy(nll, terms)) >= OWN


def test_the_objective_is_the_sum_of_its_three_parts():
    network, x, y = network_of(beta=0.7), torch.randn(16, 6), torch.randn(16, 4)
    nll, terms, penalty, logs = TrajectoryObjective(network)(x, y)
    path = network(x)
    torch.testing.assert_close(nll, path.marginal_nll(y).sum(-1) + path.joint_nll(y))
    assert float(penalty) == 0.0
    torch.testing.assert_close(logs["nll"], path.marginal_nll(y).mean())
    torch.testing.assert_close(logs["joint_nll"], path.joint_nll(y).mean() / 4)
    loss = vn.free_energy(nll, terms, penalty)
    torch.testing.assert_close(loss, (nll + 0.7 * terms[0].kl.sum(-1)).mean())


def test_all_of_the_objective_together_reaches_every_parameter():
    for contender in CONTENDERS:
        network = network_of(contender)
        nll, terms, *_ = TrajectoryObjective(network)(torch.randn(16, 6), torch.randn(16, 4))
        everything = {name for name, p in network.named_parameters() if p.requires_grad}
        assert reached(network, vn.free_energy(nll, terms)) == everything, contender


@pytest.mark.parametrize("contender", CONTENDERS)
def test_what_each_contender_is(contender):
    network = network_of(contender)
    path, terms = vn.Collect(network)(torch.randn(5, 6))
    dependent = contender in ("EVE", "lowrank")
    assert (path.loading is not None) == dependent
    assert len(terms) == (contender in ("EVE", "twin"))
    y = torch.randn(5, 4)
    independent = path.whiten(path.residual(y)).logdet.abs().max() < 1e-6
    assert independent == (not dependent)
    if contender == "EVE":
        assert path.unit_scale.shape == (5, 3)
    if contender == "lowrank":
        assert path.loading.shape == (4, 3)
        assert path.unit_scale.shape == (3,)
    if contender == "twin":
        assert bool((terms[0].kl == 0).all())


@pytest.mark.parametrize("k", [1, 2])
def test_k_latents_a_unit_are_k_columns(k):
    path, terms = vn.Collect(network_of(latent_dim=k))(torch.randn(5, 6))
    assert path.loading.shape == (4, 3 * k)
    assert path.unit_scale.shape == (5, 3 * k)
    torch.testing.assert_close(path.unit_scale, terms[0].scale.flatten(1))
    assert network_of("lowrank", latent_dim=k).loading.shape == (4, 3 * k)


def test_the_same_seed_builds_the_same_network_whatever_was_drawn_before():
    first = build_network("EVE", CONFIG, "mean", False).state_dict()
    torch.rand(7)
    second = build_network("EVE", CONFIG, "mean", False).state_dict()
    assert all(torch.equal(first[name].nan_to_num(), second[name].nan_to_num()) for name in first)
    before = torch.random.get_rng_state()
    build_network("twin", CONFIG, "mean", False)
    assert torch.equal(before, torch.random.get_rng_state())


@given(st.floats(-100, 100), st.floats(0.1, 100))
def test_a_series_in_another_unit_has_the_same_forecast_in_that_unit(shift, factor):
    """Window by window: location and scale go through (up to the floor under the scale)."""
    network = network_of().double().eval()
    x = torch.randn(4, 6, dtype=torch.float64) * 10
    y = torch.randn(4, 4, dtype=torch.float64)
    plain, moved = network(x), network(x * factor + shift)
    torch.testing.assert_close(moved.loc, plain.loc * factor + shift, rtol=1e-3, atol=1e-3 * factor)
    torch.testing.assert_close(moved.scale, plain.scale * factor, rtol=2e-3, atol=0)
    one = plain.marginal_nll(plain.loc + y)
    other = moved.marginal_nll(moved.loc + y * factor)
    torch.testing.assert_close(other, one + torch.tensor(factor).log(), rtol=0, atol=0.02)


@pytest.mark.parametrize("mask", [False, True])
def test_what_was_not_observed_does_not_matter(mask):
    network = network_of(mask=mask).eval()
    x, observed = torch.randn(5, 6), torch.ones(5, 6, dtype=torch.bool)
    observed[:, 2], observed[3, :5] = False, False
    target, seen = torch.randn(5, 4), torch.ones(5, 4, dtype=torch.bool)
    seen[0, 1], seen[2] = False, False
    objective = TrajectoryObjective(network)
    nll = objective(x, target, observed, seen)[0]
    changed = target.masked_fill(~seen, 1e3)
    torch.testing.assert_close(objective(x, changed, observed, seen)[0], nll)
    # Values that stand for missing ones are seen by the mean path, but do not set the scale.
    reading = network.read(x, observed).window
    other = network.read(x.masked_fill(~observed, 50.0), observed).window
    torch.testing.assert_close(reading, other)
    assert nll[2].item() == 0.0


def test_a_network_that_is_told_of_the_mask_reads_it():
    network = network_of(mask=True).eval()
    x, observed = torch.randn(5, 6), torch.ones(5, 6, dtype=torch.bool)
    torch.testing.assert_close(network(x).scale, network(x, observed).scale)
    observed[:, 3] = False
    assert not torch.allclose(network(x).scale, network(x, observed).scale)


def test_training_with_a_mask_gives_finite_gradients():
    network = network_of(mask=True)
    observed, seen = torch.rand(8, 6) > 0.3, torch.rand(8, 4) > 0.5
    observed[:, 0] = True
    nll, terms, *_ = TrajectoryObjective(network)(
        torch.randn(8, 6), torch.randn(8, 4), observed, seen
    )
    vn.free_energy(nll, terms).backward()
    trained = [p for p in network.parameters() if p.requires_grad]
    assert all(bool(p.grad.isfinite().all()) for p in trained)


def test_forecasts_draw_nothing_of_the_units():
    """µ and s are read in closed form: two forecasts of a window are one."""
    network = network_of().eval()
    x = torch.randn(3, 6)
    first, second = network(x), network(x)
    assert torch.equal(first.loc, second.loc)
    assert torch.equal(first.unit_scale, second.unit_scale)


def test_the_gain_scales_what_units_add_in_evaluation_only():
    network, x = network_of(), torch.randn(3, 6)
    network.mean_gain.fill_(0.25)
    reading = network.read(x)
    shift = reading.window.scale * network.mean_shift(reading.latent)
    base = reading.window.location + reading.window.scale * reading.mean_path
    torch.testing.assert_close(network.train()(x).loc, base + shift)
    torch.testing.assert_close(network.eval()(x).loc, base + 0.25 * shift)


@pytest.mark.parametrize("size", [1e-30, 1e9, 1e15])
def test_inputs_of_any_size_give_finite_scores(size):
    network = network_of()
    path = network(torch.randn(3, 6) * size)
    assert bool(path.loc.isfinite().all())
    assert bool((path.scale > 0).all())
    nll = path.marginal_nll(torch.zeros(3, 4)).sum(-1) + path.joint_nll(torch.zeros(3, 4))
    nll.sum().backward()
    assert bool(nll.isfinite().all())
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters())


@pytest.mark.parametrize("location", ["mean", "last"])
def test_at_the_start_it_repeats_the_windows_location(location):
    network = TrajectoryNetwork(6, 4, hidden=8, location=location)
    x = torch.randn(3, 6)
    expected = x.mean(-1) if location == "mean" else x[:, -1]
    torch.testing.assert_close(network(x).loc, expected[:, None].expand(3, 4))


def test_horizon_and_context_of_one():
    network = TrajectoryNetwork(1, 1, units=vn.GaussianUnits(8, 2), hidden=8)
    path = network(torch.randn(3, 1))
    torch.testing.assert_close(path.joint_nll(path.loc + 1), path.marginal_nll(path.loc + 1)[:, 0])


def test_degrees_of_freedom_stay_where_a_variance_exists():
    network = TrajectoryNetwork(6, 4, hidden=8)
    with torch.no_grad():
        network.raw_df.fill_(-1e4)
    assert float(network.df().detach()) == pytest.approx(MINIMUM_DF)
    assert TrajectoryNetwork(6, 4, hidden=8, likelihood="gaussian").df() is None


def test_the_first_loadings_are_orthogonal_cosines():
    loading = cosine_loading(16, 5, amplitude=1.0).double()
    weights = torch.arange(1, 6).double()
    gram = (loading * weights).T @ (loading * weights)
    expected = torch.diag(torch.tensor([16.0, 8, 8, 8, 8]).double())
    torch.testing.assert_close(gram, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likelihood": "cauchy"}, "likelihood is 'cauchy'"),
        ({"units": vn.GaussianUnits(8, 2), "static_rank": 2}, "static_rank is 2 beside units"),
        ({"units": vn.GaussianUnits(5, 2)}, "the units take 5 features, expected 8"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        TrajectoryNetwork(6, 4, hidden=8, **options)


def test_a_scale_of_the_unit_alone_costs_one_factor_for_the_batch():
    torch.manual_seed(0)
    units = vn.GaussianUnits(16, 3, scale="per_unit")
    network = TrajectoryNetwork(12, 5, units=units, hidden=16).eval()
    context, target = torch.randn(4, 12), torch.randn(4, 5)
    path = network(context)
    assert path.unit_scale.shape == (3,)
    spread = replace(path, unit_scale=path.unit_scale.expand(4, -1).clone())
    torch.testing.assert_close(path.joint_nll(target), spread.joint_nll(target))
    path.joint_nll(target).sum().backward()
    assert units.raw_scale.grad.abs().min() > 0


@pytest.mark.parametrize("scale", ["per_unit", "scalar"])
def test_units_of_one_scale_steer_every_window_alike(scale):
    """Whether the constant δ goes into W's rows, for a batch, or stays, for one window."""
    network = network_of(scale=scale).eval()
    x, y = torch.randn(5, 6), torch.randn(5, 4)
    path = network(x)
    assert path.own_noise.weight is None
    alone = torch.cat([network(x[i : i + 1]).joint_nll(y[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(path.joint_nll(y), alone)


def test_units_in_another_gauge_steer_as_before():
    network, x = network_of().eval(), torch.randn(5, 6)
    before = network(x).own_noise
    vn.rescale(network.units, torch.tensor([0.5, 1.0, 3.0]), form="gauge")
    after = network(x).own_noise
    torch.testing.assert_close(after.persistence, before.persistence)
    torch.testing.assert_close(after.weight, before.weight)
