"""How familiar a context looks: faults stand out, units of measure do not hide them."""

import numpy as np
import pandas as pd
import pytest

from vneuron.forecasting import EVEForecaster
from vneuron.forecasting.familiarity import PARTS, Familiarity

LENGTH = 96


def contexts(count=1500, seed=0, length=LENGTH):
    """A daily wave at any phase, and noise that persists."""
    random = np.random.default_rng(seed)
    phase = random.integers(24, size=(count, 1))
    wave = np.sin(2 * np.pi * (np.arange(length) + phase) / 24)
    noise = random.normal(size=(count, length + 3))
    noise = sum(noise[:, lag : lag + length] for lag in range(4)) / 4
    level = 0.5 * random.normal(size=(count, 1))
    return level + np.exp(0.2 * random.normal(size=(count, 1))) * (wave + 0.5 * noise)


@pytest.fixture(scope="module")
def known():
    return Familiarity.fit(contexts())


def share_above(usual, strange):
    """Probability that a strange window scores higher."""
    return (strange[:, None] > usual).mean()


def shifted(x):
    return x + 2.0 * (np.arange(LENGTH) > 60)


def stuck(x):
    return np.where(np.arange(LENGTH) > 80, x[:, 80:81], x)


def spiked(x):
    return x + 4.0 * (np.arange(LENGTH) == 40)


def louder(x):
    return np.where(np.arange(LENGTH) > 60, 3 * x, x)


def shuffled(x):
    return x.reshape(-1, 6, 16)[:, [3, 0, 5, 1, 4, 2]].reshape(x.shape)


@pytest.mark.parametrize(
    ("fault", "least"),
    [
        (shifted, 0.9), (stuck, 0.9), (spiked, 0.95), (louder, 0.95), (shuffled, 0.8),
        (lambda x: x + 4.0, 0.95), (lambda x: 5.0 * x, 0.95), (lambda x: 0.1 * x, 0.95),
    ],
)  # fmt: skip
def test_faults_stand_out(known, fault, least):
    usual, fresh = known.nats(contexts(500, seed=1)), contexts(500, seed=2)
    assert share_above(usual, known.nats(fault(fresh))) > least


def test_fresh_windows_of_the_same_kind_do_not(known):
    usual, fresh = known.nats(contexts(500, seed=1)), known.nats(contexts(500, seed=2))
    assert abs(share_above(usual, fresh) - 0.5) < 4.5 * (1 / 6 / 500) ** 0.5
    assert (fresh >= 0).all()
    # the mean of ½ z² is half the number of statistics for normal ones
    assert 0.5 < fresh.mean() / (len(known.median) / 2) < 1.5


def test_shape_is_read_apart_from_level_and_scale(known):
    x = contexts(50, seed=3)
    plain, moved = known.statistics(x), known.statistics(7.0 + 3.0 * x)
    np.testing.assert_allclose(moved[:, 0], 7.0 + 3.0 * plain[:, 0])
    np.testing.assert_allclose(moved[:, 1], plain[:, 1] + np.log(3.0), atol=1e-3)
    np.testing.assert_allclose(moved[:, 2:], plain[:, 2:], atol=0.02)
    assert plain.shape == (50, 7 + PARTS)


def test_a_window_that_stands_still_has_a_score(known):
    assert np.isfinite(known.nats(np.full((2, LENGTH), 3.0))).all()


@pytest.mark.parametrize("length", [16, 17, 50, 400])
def test_any_length(length):
    seen = contexts(200, length=length)
    assert np.isfinite(Familiarity.fit(seen).nats(seen)).all()


def test_too_short_to_describe():
    assert Familiarity.fit(contexts(100, length=15)) is None


def test_few_windows_are_enough_for_a_number():
    assert np.isfinite(Familiarity.fit(contexts(2)).nats(contexts(5))).all()


def test_it_is_kept_as_it_is(known):
    again = Familiarity.of_table(known.as_table())
    x = contexts(20, seed=4)
    assert (again.nats(x) == known.nats(x)).all()


def test_a_forecaster_tells_a_faulty_sensor(make_waves, tiny, tmp_path):
    frame = make_waves(rows=400)
    f = EVEForecaster(**tiny).fit(frame, test_size=48)
    usual = f.predict(uncertainty=True).groupby("unique_id")["EVE-novelty"].first()
    faulty = frame.copy()
    wrong = faulty["unique_id"] == "s1"
    faulty.loc[wrong, "y"] += 40.0
    found = f.predict(faulty, uncertainty=True).groupby("unique_id")["EVE-novelty"].first()
    assert found["s1"] > 5 * usual["s1"]
    assert found["s0"] == usual["s0"]
    f.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model")
    pd.testing.assert_frame_equal(
        again.predict(faulty, uncertainty=True), f.predict(faulty, uncertainty=True)
    )
