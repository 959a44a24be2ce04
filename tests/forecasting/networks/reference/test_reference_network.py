"""The reference network: z as the only path, draws in pairs, the twin, and what is refused."""

import math

import pytest
import torch

import vneuron as vn
from vneuron.forecasting.laws.mixture import MixtureTrajectory
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.networks.reference import ReferenceNetwork, ReferenceObjective
from vneuron.forecasting.networks.reference.head import DrawHead

L, H, LAG, HIDDEN, UNITS = 30, 4, 3, 8, 6


def network_of(units=None, **options) -> ReferenceNetwork:
    torch.manual_seed(0)
    units = vn.GaussianUnits(HIDDEN, UNITS) if units is None else units
    network = ReferenceNetwork(L, H, units, lag=LAG, hidden=HIDDEN, **options)
    with torch.no_grad():  # away from the start, where σ is the same for every window
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def context(batch=5, seed=1):
    return torch.randn(batch, L + LAG, generator=torch.Generator().manual_seed(seed))


def test_pairs_of_draws_are_what_reading_each_gives():
    head, loc, off = DrawHead(7, H, width=5), torch.randn(3, 7), torch.randn(3, 2, 7)
    found, _ = head.paths(head.opposite(loc, off, 3))
    z = torch.stack([loc + off[:, 0], loc + off[:, 1], loc - off[:, 0]], dim=1)
    expected, _ = head.paths(head.split(head.read(z)))
    torch.testing.assert_close(found, expected)


def test_draws_share_a_dropout_mask():
    head = DrawHead(7, H, width=50, dropout=0.5).train()
    path, _ = head.paths(head.opposite(torch.randn(3, 7), torch.zeros(3, 2, 7), 4))
    torch.testing.assert_close(path, path[:, :1].expand_as(path))
    assert bool((path[0] != head.eval().paths(head.split(head.read(torch.randn(7))))[0]).any())


def test_without_normalisation_z_is_the_only_path():
    network = network_of(location="none").eval()
    one, other = network.read(context(seed=1)), network.read(context(seed=2))
    path = network.distribution(other._replace(latent=one.latent))
    expected = network.distribution(one)
    torch.testing.assert_close(path.loc, expected.loc, rtol=0, atol=0)
    torch.testing.assert_close(path.scale, expected.scale, rtol=0, atol=0)


def test_with_normalisation_forecasts_move_with_the_window():
    network, x = network_of(location="mean").eval(), context()
    plain, moved = network(x), network(5.0 * x + 100.0)
    torch.testing.assert_close(moved.loc, 5.0 * plain.loc + 100.0, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(moved.scale, 5.0 * plain.scale, rtol=1e-3, atol=1e-3)


def test_the_gradient_reaches_everything_that_is_trained():
    for combine in ("mean", "score"):
        network = network_of(combine=combine, mask_inputs=True)
        observed = torch.rand(5, L + LAG) > 0.2
        nll, terms, *_ = ReferenceObjective(network)(
            context(), torch.randn(5, H), observed, torch.ones(5, H, dtype=torch.bool)
        )
        vn.free_energy(nll, terms).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.isfinite().all()), name
            assert bool((parameter.grad != 0).any()), name


def test_the_objective_is_the_joint_mixture_in_nats_per_window():
    network, y = network_of(likelihood="gaussian"), torch.randn(5, H)
    torch.manual_seed(3)
    nll, terms, penalty, logs = ReferenceObjective(network)(context(), y)
    torch.manual_seed(3)
    path = network(context())
    noise = torch.distributions.Normal(path.loc, path.scale[:, None])
    logp = noise.log_prob(y[:, None]).sum(-1)
    torch.testing.assert_close(nll, math.log(4) - logp.logsumexp(1))
    assert terms[0].kl.shape == (5, UNITS)
    assert penalty.item() == 0.0
    torch.testing.assert_close(logs["joint_nll"], nll.detach().mean() / H)


def test_training_draws_anew_and_forecasts_agree():
    network, x = network_of(), context()
    assert network(x).loc.shape == (5, 4, H)
    assert not torch.equal(network(x).loc, network(x).loc)
    network.eval()
    whole = network(x)
    assert whole.loc.shape == (5, 8, H)
    state = torch.random.get_rng_state()
    torch.testing.assert_close(network(x[2:3]).loc, whole.loc[2:3])
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("activity", ["mean", "sum", "scaled_sum", "raw"])
def test_draws_of_the_head_are_draws_of_the_pooled_posterior(activity, k):
    units = vn.GaussianUnits(HIDDEN, UNITS, k, activity=activity)
    network, x = network_of(units, train_draws=3), context()
    latent = network.units.infer(network.encoder(x))
    inputs = network.head.first.in_features
    assert inputs == UNITS * (k if activity == "raw" else 1)
    with torch.no_grad():
        features = network.encoder(x)
        deviation = torch.stack(
            [network._deviation(network.units.infer(features)) for _ in range(1500)]
        )
    assert deviation.shape == (1500, 5, 2, inputs)
    torch.testing.assert_close(
        deviation.std(0), network.scale(latent)[:, None].expand(-1, 2, -1), rtol=0.12, atol=0
    )
    assert bool((deviation.mean(0).abs() < 5 * deviation.std(0) / math.sqrt(1500)).all())


def test_opposite_draws_leave_no_error_in_a_linear_mean():
    network = network_of(draws=4).eval()
    with torch.no_grad():
        network.head.second.weight.zero_()
        network.head.second.bias.zero_()
    x = context()
    drawn = network(x)
    with vn.deterministic(network):
        still = network(x)
    assert isinstance(drawn, MixtureTrajectory)
    assert isinstance(still, TrajectoryDistribution)
    torch.testing.assert_close(drawn.mean(), still.loc)
    assert bool((drawn.unit_share() > 0).all())


def test_combining_draws():
    x, y = context(), torch.randn(5, H)
    mean, median = (network_of(combine=c).eval()(x) for c in ("mean", "median"))
    torch.testing.assert_close(median.joint_nll(y), mean.joint_nll(y))
    torch.testing.assert_close(mean.point(), mean.loc.mean(1))
    torch.testing.assert_close(median.point(), median.loc.quantile(0.5, dim=1))
    score = network_of(combine="score").eval()(x)
    torch.testing.assert_close(score.log_weights.exp().sum(1), torch.ones(5))
    assert bool((score.log_weights.exp().std(1) > 1e-4).all())


def test_the_twin_has_the_same_structure_and_one_path():
    twin = network_of(vn.DeterministicUnits(HIDDEN, UNITS))
    eve = network_of(vn.GaussianUnits(HIDDEN, UNITS, scale="per_unit"))
    shapes = [{n: p.shape for n, p in one.named_parameters()} for one in (eve, twin)]
    assert shapes[0].keys() - shapes[1].keys() == {"units.raw_scale"}
    assert all(shapes[0][name] == shape for name, shape in shapes[1].items())
    path, terms = vn.Collect(twin)(context())
    assert isinstance(path, TrajectoryDistribution)
    assert terms[0].kl.sum() == 0
    assert bool((path.unit_share() == 0).all())


def test_longer_contexts_are_read_from_their_end():
    network, x = network_of().eval(), context()
    longer = torch.cat([torch.randn(5, 7), x], dim=1)
    torch.testing.assert_close(network(longer).loc, network(x).loc)
    with pytest.raises(ValueError, match="has 30 rows, expected at least 33"):
        network(x[:, LAG:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"combine": "best"}, "combine is 'best'"),
        ({"likelihood": "cauchy"}, "likelihood is 'cauchy'"),
        ({"draws": 0}, "draws is 0"),
        ({"train_draws": 0}, "train_draws is 0"),
        ({"units": vn.GaussianUnits(5, 2)}, "take 5 features, expected 8"),
    ],
)
def test_wrong_options_are_told_with_the_cure(options, message):
    with pytest.raises(ValueError, match=message):
        network_of(**options)
