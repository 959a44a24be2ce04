"""Laws of two readers put into one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.networks.pool import Margins, pool

numbers = st.floats(-50, 50)
spreads = st.floats(1e-3, 50)
dfs = st.floats(2.1, 100)


HALF = torch.tensor([0.5, 0.5], dtype=torch.float64)


def margins(mean, spread, df=None):
    return Margins(
        torch.tensor([[mean]], dtype=torch.float64),
        torch.tensor([[spread]], dtype=torch.float64),
        None if df is None else torch.tensor(df, dtype=torch.float64),
    )


@given(st.lists(st.tuples(numbers, spreads, dfs), min_size=1, max_size=4), st.randoms())
def test_a_pool_lies_between_its_readers_whatever_their_order(readers, random):
    share = torch.full((len(readers),), 1 / len(readers), dtype=torch.float64)
    found = pool([margins(*reader) for reader in readers], share).margins
    for value, column in zip(found, zip(*readers, strict=True), strict=True):
        assert min(column) - 1e-9 <= value.item() <= max(column) + 1e-9
    random.shuffle(readers)
    for value, other in zip(
        found, pool([margins(*reader) for reader in readers], share).margins, strict=True
    ):
        torch.testing.assert_close(value, other)


@given(numbers, numbers, spreads, spreads)
def test_weights_are_inverse_standard_deviations(first, second, tau, sigma):
    share = torch.tensor([0.75, 0.25], dtype=torch.float64)
    found = pool([margins(first, tau), margins(second, sigma)], share).margins
    expected = (3 * first / tau + second / sigma) / (3 / tau + 1 / sigma)
    assert found.mean_path.item() == pytest.approx(expected, abs=1e-9)
    assert found.df is None


def test_a_unit_change_passes_through():
    readers = [margins(1.0, 2.0), margins(-3.0, 5.0)]
    larger = [margins(10.0, 20.0), margins(-30.0, 50.0)]
    for value, other in zip(pool(readers, HALF)[0][:2], pool(larger, HALF)[0][:2], strict=True):
        torch.testing.assert_close(10.0 * value, other)


def test_a_reader_without_a_share_is_not_heard():
    share = torch.tensor([1.0, 0.0], dtype=torch.float64)
    first = margins(1.0, 2.0, 5.0)
    for value, expected in zip(pool([first, margins(9.0, 0.1, 3.0)], share)[0], first, strict=True):
        torch.testing.assert_close(value, expected)


def second(**options):
    return TrajectoryNetwork(12, 4, hidden=8, **options)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (second(static_rank=2), "columns"),
        (second(second=second()), "second reader of its own"),
        (second(likelihood="gaussian"), "heavy tails"),
        (TrajectoryNetwork(12, 5, hidden=8), "horizon"),
    ],
)
def test_a_second_reader_that_forecasts_something_else_is_refused(other, told):
    with pytest.raises(ValueError, match=told):
        TrajectoryNetwork(12, 4, hidden=8, second=other)
