"""Laws of one number against SciPy, quadrature, and each other."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from vneuron.forecasting.laws.law import MixtureLaw, StudentLaw
from vneuron.forecasting.scoring.mean_difference import mean_difference

DEGREES = [None, 2.1, 7.0]


def standard(df):
    return stats.norm() if df is None else stats.t(df)


def mixture(rng, df, components=3, size=4):
    weights = rng.dirichlet(np.ones(components), size)
    return MixtureLaw(
        rng.normal(scale=3.0, size=(size, components)), rng.uniform(0.3, 2.0, size), df, weights
    )


@pytest.mark.parametrize("df", DEGREES)
def test_one_component_is_the_t_itself(rng, df):
    loc, scale, y = rng.normal(size=5), rng.uniform(0.5, 2.0, 5), rng.normal(size=5)
    one = MixtureLaw(loc[:, None], scale, df, np.ones(1))
    law = StudentLaw(loc, scale, df)
    for name in ("cdf", "nll", "crps"):
        np.testing.assert_allclose(getattr(one, name)(y), getattr(law, name)(y), rtol=1e-9)
    np.testing.assert_allclose(one.mean(), law.mean())
    for probability in (0.001, 0.3, 0.5, 0.975):
        expected = law.quantile(probability)
        np.testing.assert_allclose(one.quantile(probability), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.median(), law.median(), atol=1e-12)


@pytest.mark.parametrize("df", DEGREES)
def test_mixtures_add_up_their_components(rng, df):
    law, y = mixture(rng, df), rng.normal(scale=3.0, size=4)
    for i in range(4):
        z = (y[i] - law.loc[i]) / law.scale[i]
        density = law.weights[i] @ standard(df).pdf(z) / law.scale[i]
        assert law.cdf(y)[i] == pytest.approx(law.weights[i] @ standard(df).cdf(z))
        assert law.nll(y)[i] == pytest.approx(-np.log(density))
        assert law.mean()[i] == pytest.approx(law.weights[i] @ law.loc[i])


@given(
    st.integers(0, 10_000),
    st.floats(1e-4, 1 - 1e-4),
    st.sampled_from(DEGREES),
    st.floats(1e-6, 1e3),
)
def test_quantiles_invert_the_distribution_function(seed, probability, df, spread):
    rng = np.random.default_rng(seed)
    law = MixtureLaw(rng.normal(scale=spread, size=(3, 4)), np.ones(3), df, np.full(4, 0.25))
    q = law.quantile(probability)
    width = 1e-8 * (1.0 + np.abs(q))
    assert (law.cdf(q - width) <= probability).all()
    assert (law.cdf(q + width) >= probability).all()


def test_quantiles_between_distant_components():
    law = MixtureLaw(np.array([[-1e6, 1e6]]), np.array([1e-3]), None, np.full(2, 0.5))
    assert law.quantile(0.25) == pytest.approx(-1e6)
    assert law.quantile(0.75) == pytest.approx(1e6)


@pytest.mark.parametrize("df", DEGREES)
def test_crps_is_the_integral_over_thresholds(rng, df):
    law, y = mixture(rng, df), rng.normal(scale=3.0, size=4)
    found = law.crps(y)
    for i in range(4):
        one = MixtureLaw(law.loc[[i]], law.scale[[i]], df, law.weights[[i]])

        def below(x, one=one):
            return float(one.cdf(np.array([x]))[0]) ** 2

        def above(x, one=one):
            return (1.0 - float(one.cdf(np.array([x]))[0])) ** 2

        expected = sum(
            integrate.quad(f, a, b, limit=200, epsabs=1e-9)[0]
            for f, a, b in (
                (below, -np.inf, y[i] - 20.0),
                (below, y[i] - 20.0, y[i]),
                (above, y[i], y[i] + 20.0),
                (above, y[i] + 20.0, np.inf),
            )
        )
        assert found[i] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("df", DEGREES)
def test_missing_values_have_no_score(rng, df):
    law = mixture(rng, df)
    missing = np.array([0.0, np.nan, 1.0, 2.0])
    for score in (law.cdf, law.nll, law.crps):
        assert np.isnan(score(missing)).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("df", "apart"), [(2.1, 0.0), (2.1, 80.0), (3.0, 0.37), (30.0, 5.0), (1e4, 0.0)]
)
def test_mean_difference_is_its_integral(df, apart):
    t = stats.t(df)

    def absolute(z):  # E|T − z|
        return z * (2 * t.cdf(z) - 1) + 2 * t.pdf(z) * (df + z * z) / (df - 1)

    edges = sorted({-np.inf, -100.0, -10.0, 0.0, apart, apart + 10.0, apart + 100.0, np.inf})
    expected = sum(
        integrate.quad(lambda x: t.pdf(x) * absolute(apart - x), a, b, limit=200)[0]
        for a, b in itertools.pairwise(edges)
    )
    assert mean_difference(np.array([apart]), df)[0] == pytest.approx(expected, abs=1e-6)


def test_mean_difference_grows_from_the_gaussian_and_far_away_is_the_distance():
    apart = np.array([0.0, 0.5, 3.0, 1e5, 1e8])
    gaussian = mean_difference(apart, None)
    np.testing.assert_allclose(mean_difference(apart, 1e7), gaussian, atol=1e-5)
    heavy = mean_difference(apart, 2.2)
    assert (heavy >= gaussian).all()
    np.testing.assert_allclose(heavy[-2:], apart[-2:], rtol=1e-6)
    with pytest.raises(ValueError, match="df is 1.2, expected at least 1.5"):
        mean_difference(apart, 1.2)
