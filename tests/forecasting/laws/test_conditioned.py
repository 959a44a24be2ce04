"""Conditional trajectories: dense algebra, SciPy's densities, Monte Carlo, evidence in parts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vneuron.forecasting.laws.conditioned import ConditionedTrajectory
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.functional.low_rank import correlation
from vneuron.functional.own_noise import OwnNoise, own_correlation

H, UNITS, BATCH = 7, 3, 4
DF = [4.0, None]
NOISE = ["white", "steered"]


def path_of(df=4.0, seed=0, units=UNITS, batch=BATCH, noise="white"):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return TrajectoryDistribution(
        loc=normal(batch, H),
        scale=normal(batch, H).abs() + 0.2,
        df=None if df is None else torch.tensor(df, dtype=torch.float64),
        loading=normal(H, units) * 1.5 if units else None,
        unit_scale=normal(batch, units).abs() + 0.3 if units else None,
        own_noise=OwnNoise(normal(batch).tanh(), normal(batch, H).exp())
        if noise == "steered" and units
        else None,
    )


def scale_matrix(path, window):
    d = np.diag(path.scale[window].numpy())
    if path.loading is None:
        return d @ d
    own = path.own_noise
    if own is not None:
        own = OwnNoise(own.persistence[window], own.weight[window])
    return d @ correlation(path.loading, path.unit_scale[window], own).numpy() @ d


def dense(path, window, weights, values):
    """Location, scale matrix and ν by the textbook, through H x H matrices."""
    loc, sigma = path.loc[window].numpy(), scale_matrix(path, window)
    gap = values - weights @ loc
    inner = np.linalg.inv(weights @ sigma @ weights.T)
    moved = loc + sigma @ weights.T @ inner @ gap
    left = sigma - sigma @ weights.T @ inner @ weights @ sigma
    if path.df is None:
        return moved, left, None
    df = float(path.df)
    return moved, left * (df + gap @ inner @ gap) / (df + len(gap)), df + len(gap)


def own_matrix(known, window):
    """The scale matrix that a conditional trajectory holds."""
    units = torch.eye(known.shared.shape[-1] + known.horizon, dtype=torch.float64)
    root = known.deviation(units.expand(len(known), -1, -1))[window]
    return (root.T @ root).numpy()


def assert_same(known, window, expected):
    loc, sigma, df = expected
    np.testing.assert_allclose(known.loc[window], loc, atol=1e-8)
    np.testing.assert_allclose(own_matrix(known, window), sigma, atol=1e-8)
    np.testing.assert_allclose(known.scale()[window].square(), np.diag(sigma), atol=1e-8)
    if df is not None:
        assert float(known.df[window]) == df


def some_seen(seed=1):
    generator = torch.Generator().manual_seed(seed)
    seen = torch.rand(BATCH, H, generator=generator) < 0.5
    seen[0], seen[1] = False, True
    seen[1, 3] = False
    return torch.randn(BATCH, H, generator=generator).double() * 2, seen


@pytest.mark.parametrize("df", DF)
@pytest.mark.parametrize(("units", "noise"), [(0, "white"), (UNITS, "white"), (UNITS, "steered")])
def test_observed_steps_are_the_dense_conditional(df, units, noise):
    """Windows with nothing, one, some and nearly all steps observed, in one batch."""
    path = path_of(df, units=units, noise=noise)
    y, seen = some_seen()
    known = ConditionedTrajectory.of(path).observe(y, seen)
    for window in range(BATCH):
        rows = np.eye(H)[seen[window].numpy()]
        assert_same(known, window, dense(path, window, rows, rows @ y[window].numpy()))
    assert bool((known.sd()[seen] == 0).all())
    assert bool((known.loc[seen] == y[seen]).all())


@pytest.mark.parametrize("df", DF)
@pytest.mark.parametrize("noise", NOISE)
def test_linear_equalities_are_the_dense_conditional(df, noise):
    path = path_of(df, noise=noise)
    weights = torch.randn(BATCH, 2, H).double()
    weights[2, 1] = 0.0  # this window has one equality less
    values = torch.randn(BATCH, 2).double()
    known = ConditionedTrajectory.of(path).equate(weights, values)
    for window in range(BATCH):
        rows = weights[window].numpy()[: 1 if window == 2 else 2]
        assert_same(known, window, dense(path, window, rows, values[window].numpy()[: len(rows)]))
    held = torch.einsum("bfh,bsh->bsf", weights, known.sample(50))
    torch.testing.assert_close(held[:2], values[:2, None].expand(-1, 50, -1))


@pytest.mark.parametrize("df", DF)
@pytest.mark.parametrize("noise", NOISE)
def test_sums_after_observed_steps_and_steps_after_sums(df, noise):
    path = path_of(df, noise=noise)
    y, seen = some_seen()
    seen[1, 4] = False
    total, value = torch.ones(BATCH, 1, H).double(), torch.full((BATCH, 1), 3.0).double()
    start = ConditionedTrajectory.of(path)
    first = start.observe(y, seen).equate(total, value)
    second = start.equate(total, value).observe(y, seen)
    for window in range(BATCH):
        select = np.eye(H)[seen[window].numpy()]
        rows = np.concatenate([select, np.ones((1, H))])
        expected = dense(path, window, rows, np.append(select @ y[window].numpy(), 3.0))
        assert_same(first, window, expected)
        assert_same(second, window, expected)
    np.testing.assert_allclose(first.joint_nll(first.loc), second.joint_nll(first.loc), rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    df=st.sampled_from([2.3, 8.0, None]),
    weight=st.sampled_from([0.0, 0.1, 1.0]),
    noise=st.sampled_from(NOISE),
)
def test_evidence_in_parts_is_evidence_at_once(seed, df, weight, noise):
    """Yesterday's posterior is today's prior."""
    path = path_of(df, seed, noise=noise)
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(BATCH, H, generator=generator).double()
    when = torch.randint(0, 3, (BATCH, H), generator=generator)
    start = ConditionedTrajectory.of(path, weight)
    parts = start.observe(y, when == 0).observe(y, when == 1)
    whole = start.observe(y, when < 2)
    torch.testing.assert_close(parts.loc, whole.loc, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(parts.scale(), whole.scale(), atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(parts.joint_nll(y), whole.joint_nll(y), atol=1e-7, rtol=1e-8)


@pytest.mark.parametrize("df", DF)
@pytest.mark.parametrize("noise", NOISE)
def test_the_density_of_the_rest_is_joint_less_observed(df, noise):
    path = path_of(df, noise=noise)
    y, seen = some_seen()
    known = ConditionedTrajectory.of(path).observe(y, seen)
    expected = path.joint_nll(y) - path.joint_nll(y, seen)
    torch.testing.assert_close(known.joint_nll(y), expected)
    some = torch.rand(BATCH, H) < 0.5
    expected = path.joint_nll(y, seen | some) - path.joint_nll(y, seen)
    torch.testing.assert_close(known.joint_nll(y, some), expected)


@pytest.mark.parametrize("df", DF)
@pytest.mark.parametrize("noise", NOISE)
def test_the_density_given_a_sum_is_that_over_its_plane(df, noise):
    """Against the joint density over the density of the sum, and the area the plane takes."""
    path = path_of(df, noise=noise)
    y = torch.randn(BATCH, H).double()
    weights = torch.randn(BATCH, 1, H).double()
    value = torch.einsum("bfh,bh->bf", weights, y)
    known = ConditionedTrajectory.of(path).equate(weights, value)
    for window in range(BATCH):
        law = path.functional(weights[window, 0])
        of_sum = law.nll(np.broadcast_to(value[window].numpy(), (BATCH,)))[window]
        area = float(weights[window].norm().log())
        expected = float(path.joint_nll(y)[window]) - of_sum + area
        assert float(known.joint_nll(y)[window]) == pytest.approx(expected, abs=1e-7)
    assert bool(torch.isinf(known.joint_nll(y + 1.0)).all())


@pytest.mark.parametrize("df", DF)
@pytest.mark.parametrize("noise", NOISE)
def test_draws_follow_the_law(df, noise):
    path = path_of(6.0 if df else None, noise=noise)
    y, seen = some_seen()
    known = ConditionedTrajectory.of(path).observe(y, seen)
    known = known.equate(torch.ones(BATCH, 1, H).double() * ~seen[:, None], torch.ones(BATCH, 1))
    draws = known.sample(40_000, torch.Generator().manual_seed(0))
    weights = torch.linspace(-1, 1, H).double()
    for law, values in (
        (known.steps(), draws),
        (known.functional(weights), (draws @ weights)),
    ):
        for p in (0.1, 0.5, 0.9):
            below = (values.numpy() <= law.quantile(p)[:, None] + 1e-9).mean(1)
            free = law.scale > 0
            assert np.abs(below[free] - p).max() < 4.5 * (p * (1 - p) / 40_000) ** 0.5


@pytest.mark.parametrize("noise", NOISE)
def test_the_posterior_of_draws_that_happen_to_agree(noise):
    """Draws of the forecast whose first steps come near the observed ones are distributed so."""
    path = path_of(5.0, batch=1, noise=noise)
    generator = torch.Generator().manual_seed(1)
    draws = path.sample(400_000, generator)[0]
    y, seen = path.loc + 0.4, torch.zeros(1, H, dtype=torch.bool)
    seen[0, :2] = True
    near = ((draws - y)[:, :2].abs() < 0.05).all(-1)
    known = ConditionedTrajectory.of(path).observe(y, seen)
    count = int(near.sum())
    assert count > 200
    kept = draws[near][:, 2:].numpy()
    reach = 4.5 * kept.std(0) / np.sqrt(count)
    assert (np.abs(kept.mean(0) - known.loc[0, 2:].numpy()) < reach).all()
    below = (kept < known.steps().quantile(0.9)[0, 2:]).mean(0)
    assert np.abs(below - 0.9).max() < 4.5 * (0.09 / count) ** 0.5


@pytest.mark.parametrize("df", DF)
@pytest.mark.parametrize("noise", NOISE)
def test_the_units_share_is_variance_explained(df, noise):
    """By Monte Carlo over z given the sum, of the path expected given both."""
    path = path_of(df, batch=1, noise=noise)
    known = ConditionedTrajectory.of(path).equate(torch.ones(1, 1, H).double(), torch.ones(1, 1))
    generator = torch.Generator().manual_seed(0)
    units = known.shared.shape[-1]
    # (z, ε) given the sum are normal about nothing, less their part along the sum
    own = torch.diag(known.own[0].square())
    if known.persistence is not None:
        tied = own_correlation(known.persistence, H)[0]
        own = known.own[0][:, None] * tied * known.own[0]
    root = torch.cat([known.shared[0], torch.linalg.cholesky(own)], 1)
    row = known.rows[0, 0] @ root
    noise = torch.randn(1, 200_000, units + H, generator=generator).double()
    given = noise - (noise @ row)[..., None] * row
    # the noise makes good what z does to the sum, each step by its covariance with the noise's sum
    raw = given[..., :units] @ known.shared.mT
    weight = own.sum(0) / own.sum()
    mean_given_z = raw - raw.sum(-1, keepdim=True) * weight
    share = mean_given_z.var(1) / known.scale().square()
    torch.testing.assert_close(known.unit_share(), share, atol=0.02, rtol=0.02)


def test_units_and_numbers_scale_together():
    path = path_of(5.0)
    y, seen = some_seen()
    mean, sd = torch.randn(BATCH).double(), torch.rand(BATCH).double() + 0.5
    total, value = torch.ones(BATCH, 1, H).double(), torch.randn(BATCH, 1).double()
    before = ConditionedTrajectory.of(path).equate(total, value).rescale(mean, sd)
    raw = ConditionedTrajectory.of(path.rescale(mean, sd))
    after = raw.equate(total, value * sd[:, None] + H * mean[:, None])
    torch.testing.assert_close(before.loc, after.loc)
    torch.testing.assert_close(before.scale(), after.scale())
    moved = y * sd[:, None] + mean[:, None]
    torch.testing.assert_close(
        before.observe(moved, seen).scale(), after.observe(moved, seen).scale()
    )


def test_margins_stay_without_the_latent():
    path = path_of(5.0)
    known = ConditionedTrajectory.of(path).equate(
        torch.ones(BATCH, 1, H).double(), torch.ones(4, 1)
    )
    alone = known.without_latent()
    torch.testing.assert_close(alone.scale(), known.scale())
    assert not bool(alone.unit_share().any())
    nll = known.marginal_nll(path.loc)
    expected = stats.t.logpdf(path.loc, float(known.df[0]), known.loc, known.scale())
    np.testing.assert_allclose(nll, -expected)


def test_the_weight_tempers_what_is_learned_of_the_scale_alone():
    path = path_of(4.0)
    y, seen = some_seen()
    y = y * 4  # far out, so that full conditioning widens
    none, some, full = (ConditionedTrajectory.of(path, w).observe(y, seen) for w in (0.0, 0.1, 1.0))
    torch.testing.assert_close(some.loc, full.loc)
    count = seen.sum(-1).double()
    torch.testing.assert_close(some.df, 4.0 + 0.1 * count)
    # against a Gaussian's conditional, which never learns a scale
    bare = ConditionedTrajectory.of(path_of(None)).observe(y, seen)
    torch.testing.assert_close(none.scale(), bare.scale())
    r = torch.where(bare.scale() > 0, some.scale() / bare.scale(), 1.0)
    full_r = torch.where(bare.scale() > 0, full.scale() / bare.scale(), 1.0)
    delta = full_r.square().amax(-1) * (4.0 + count) - 4.0
    expected = (4.0 + 0.1 * delta) / (4.0 + 0.1 * count)
    torch.testing.assert_close(r.amax(-1).square()[count > 0], expected[count > 0])
    with pytest.raises(ValueError, match="scale_weight is 1.5"):
        ConditionedTrajectory.of(path, 1.5)


def test_sums_that_are_known_already_are_refused():
    start = ConditionedTrajectory.of(path_of())
    total, value = torch.ones(BATCH, 1, H).double(), torch.ones(BATCH, 1).double()
    once = start.equate(total, value)
    for times in (1.0, 2.0):
        with pytest.raises(ValueError, match="says nothing new.*leave out sums"):
            once.equate(times * total, times * value)
    with pytest.raises(ValueError, match="contradicts what is known.*a sum is 1, .* to be 2"):
        once.equate(2.0 * total, value)
    with pytest.raises(ValueError, match="says nothing new"):
        start.equate(total.expand(-1, 2, -1), value.expand(-1, 2))


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("df", DF)
def test_steps_may_tell_less_than_they_are(df, noise):
    start = ConditionedTrajectory.of(path_of(df, noise=noise))
    y, seen = some_seen()
    told = y.clamp(-0.5, 0.5)
    found, other = start.observe(y, seen, told), start.observe(told, seen)
    torch.testing.assert_close(found.loc, torch.where(seen, y, other.loc))
    torch.testing.assert_close(found.scale(), other.scale())
    # sums of known steps count with what they are, where one is known and two are not
    mixed = [k for k, count in enumerate(seen.sum(-1).tolist()) if 0 < count < H - 1]
    assert mixed
    for one, known in ((found.window(k), seen[k]) for k in mixed):
        value = one.loc.sum(-1, keepdim=True) + 1.0
        gain = one.equate(torch.ones(1, 1, H).double(), value).loc - one.loc
        torch.testing.assert_close(gain.sum(-1), torch.ones(1).double())
        torch.testing.assert_close(gain[0][known], torch.zeros(int(known.sum())).double())


def test_a_path_is_drawn_in_by_scales_of_its_steps():
    path = path_of()
    far = path.loc + path.scale * torch.linspace(-20.0, 20.0, H, dtype=torch.float64)
    within = path.residual(path.within(far, 3.0))
    torch.testing.assert_close(within, path.residual(far).clamp(-3.0, 3.0))
    torch.testing.assert_close(path.within(far, torch.inf), far)
