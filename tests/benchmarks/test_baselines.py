"""Quantile heads, conformal intervals, independent steps and full covariance, each by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from harness.baselines.full_covariance import as_correlation, as_loading, scatter, shrunk
from harness.baselines.heads import HeadTask, QuantileHead, QuantileHeads, SquaredError
from harness.baselines.independent import IndependentSteps
from harness.baselines.quantile_steps import QuantileNumbers, QuantileSteps
from harness.baselines.residuals import LEVELS, ConformalResiduals, GaussianResiduals
from harness.neuralforecast import InOrder
from scipy import stats

from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.scoring.quantile_scores import LEVELS as NINETEEN
from vneuron.forecasting.scoring.scores import crps_gaussian
from vneuron.functional.low_rank import correlation


class SomeWindows:
    """Independent Gaussian windows of two series, as conformal residuals read them."""

    class flat:
        ids = ("a", "b")

    def __init__(self, count: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.series = torch.arange(2).repeat_interleave(count)
        self.context = torch.randn(2 * count, 5, generator=generator)
        noise = torch.randn(2 * count, 3, generator=generator)
        self.target = self.context[:, -1:] + noise * (1 + self.series[:, None])

    def __len__(self) -> int:
        return len(self.series)

    def gather(self, index):
        return WindowBatch(self.context[index], self.target[index], self.series[index], None, None)

    def batches(self, size: int):
        for start in range(0, len(self), size):
            yield self.gather(torch.arange(start, min(start + size, len(self))))


def last_value(batch: WindowBatch) -> torch.Tensor:
    return batch.context[:, -1:].expand(-1, 3)


def test_crps_of_quantiles_is_nearly_the_laws() -> None:
    y = np.random.default_rng(0).normal(0, 1, 20_000)
    exact = crps_gaussian(y, 0.0, 1.0).mean()
    for levels, off in ((np.array(NINETEEN), 0.01), (LEVELS, 1e-3)):
        values = np.broadcast_to(stats.norm.ppf(levels), (len(y), len(levels)))
        assert QuantileNumbers(levels, values).crps(y).mean() == pytest.approx(exact, rel=off)


def test_quantiles_and_distribution_are_each_others_inverse() -> None:
    levels = np.array(NINETEEN)
    law = QuantileNumbers(levels, stats.norm.ppf(levels)[None])
    for p in (0.05, 0.33, 0.5, 0.95):
        assert law.cdf(law.quantile(p))[0] == pytest.approx(p, abs=1e-9)
    assert law.cdf(np.array([-9.0]))[0] == 0.0
    assert law.cdf(np.array([9.0]))[0] == 1.0
    assert np.isnan(law.cdf(np.array([np.nan]))[0])
    assert law.widest_interval == pytest.approx(0.9)


def test_draws_of_quantile_steps_follow_them() -> None:
    values = torch.from_numpy(stats.norm.ppf(LEVELS)).expand(2, 3, -1)
    steps = QuantileSteps(LEVELS, values)
    draws = steps.sample(20_000, torch.Generator().manual_seed(0))
    assert draws.shape == (2, 20_000, 3)
    assert abs(float((draws < -1.2816).double().mean()) - 0.1) < 0.01
    mean = steps.functional(torch.full((3,), 1 / 3))
    assert np.allclose(mean.quantile(0.9), 1.2816 / np.sqrt(3), rtol=0.02)


def test_conformal_intervals_cover_as_promised_and_no_wider_than_needed() -> None:
    model = ConformalResiduals(last_value, SomeWindows(400, seed=0))
    fresh = SomeWindows(4000, seed=1)
    law = model(fresh.gather(torch.arange(len(fresh)))).steps()
    for level in (0.5, 0.8, 0.95):
        low, high = law.quantile(0.5 - level / 2), law.quantile(0.5 + level / 2)
        y = fresh.target.double().numpy()
        by_series = ((y >= low) & (y <= high)).reshape(2, -1).mean(1)
        assert np.abs(by_series - level).max() < 0.04


def test_conformal_rank_is_that_of_split_conformal() -> None:
    windows = SomeWindows(19, seed=2)
    model = ConformalResiduals(last_value, windows)
    errors = (windows.target - last_value(windows)).abs().double()
    sorted_errors = errors[:19].sort(0).values
    batch = windows.gather(torch.tensor([0]))
    half = model(batch).steps().quantile(0.9) - last_value(batch).double().numpy()
    # 80% of n + 1 = 20 is the 16th smallest
    assert np.allclose(half[0], sorted_errors[15].numpy())


def test_gaussian_residuals_know_each_series() -> None:
    model = GaussianResiduals(last_value, SomeWindows(4000, seed=3))
    assert model.spread[0].mean() == pytest.approx(1.0, rel=0.05)
    assert model.spread[1].mean() == pytest.approx(2.0, rel=0.05)


def test_independent_steps_are_scipys() -> None:
    torch.manual_seed(0)
    loc, scale, df = torch.randn(2, 6), torch.rand(2, 6) + 0.5, 3 + 5 * torch.rand(2, 6)
    path, y = IndependentSteps(loc, scale, df), torch.randn(2, 6)
    own = stats.t(*(part.double().numpy() for part in (df, loc, scale)))
    assert np.allclose(path.marginal_nll(y).numpy(), -own.logpdf(y.numpy()), atol=1e-5)
    assert np.allclose(path.joint_nll(y).numpy(), -own.logpdf(y.numpy()).sum(1), atol=1e-4)
    assert np.allclose(path.sd().numpy(), own.std(), rtol=1e-5)
    draws = path.sample(40_000, torch.Generator().manual_seed(1))
    assert torch.allclose(draws.std(1), path.sd(), rtol=0.1)


def test_any_correlation_is_a_loading() -> None:
    torch.manual_seed(0)
    matrix = shrunk(as_correlation(torch.cov(torch.randn(7, 50).double())), 0.01)
    ones = torch.ones(7).double()
    assert torch.allclose(correlation(as_loading(matrix), ones), matrix, atol=1e-8)


@pytest.mark.parametrize("df", [None, 4.0])
def test_joint_density_of_full_covariance_is_scipys(df) -> None:
    torch.manual_seed(0)
    matrix = shrunk(as_correlation(torch.cov(torch.randn(5, 30).double())), 0.1)
    nu = None if df is None else torch.tensor(df).double()
    loc, scale = torch.randn(3, 5).double(), torch.rand(3, 5).double() + 0.5
    path = TrajectoryDistribution(loc, scale, nu, as_loading(matrix), torch.ones(5).double())
    y = torch.randn(3, 5).double()
    for i in range(3):
        shape = np.outer(scale[i], scale[i]) * matrix.numpy()
        own = (
            stats.multivariate_normal(loc[i].numpy(), shape)
            if df is None
            else stats.multivariate_t(loc[i].numpy(), shape, df=df)
        )
        assert float(path.joint_nll(y)[i]) == pytest.approx(-own.logpdf(y[i].numpy()), rel=1e-7)


@pytest.mark.parametrize("df", [None, 3.0])
def test_scatter_finds_the_correlation(df) -> None:
    truth = 0.8 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal(np.zeros(6), truth, size=20_000)
    if df is not None:
        draws /= np.sqrt(rng.chisquare(df, size=(20_000, 1)) / df)
    found = scatter(torch.from_numpy(draws), df).numpy()
    assert np.abs(found - truth).max() < 0.03


def test_quantiles_of_a_head_never_cross_and_start_as_a_gaussians() -> None:
    trunk = TrajectoryNetwork(24, 4, hidden=16, likelihood="gaussian")
    head = QuantileHead(trunk, NINETEEN).eval()
    with torch.no_grad():
        values = head.quantiles(10 * torch.randn(50, 24) + 3, None)
    assert values.shape == (50, 4, 19)
    assert (values.diff(dim=-1) > 0).all()


def two_readers(rows: int = 5) -> TrajectoryNetwork:
    second = TrajectoryNetwork(rows + 3, 3, hidden=8, dropout=0.0)
    return TrajectoryNetwork(rows, 3, hidden=16, dropout=0.0, second=second)


def test_quantiles_of_two_readers_learn_apart_and_are_averaged() -> None:
    trunk = two_readers()
    heads = QuantileHeads(trunk, NINETEEN)
    first, second = heads.heads
    assert (first.trunk.input_size, second.trunk.input_size) == (5, 8)
    context, target = torch.randn(20, 8), torch.randn(20, 3)
    loss = heads(context, target)[0]
    apart = [
        torch.autograd.grad(h(context, target)[0].sum(), h.parameters(), allow_unused=True)
        for h in heads.heads
    ]
    both = torch.autograd.grad(loss.sum(), heads.parameters(), allow_unused=True)
    for found, expected in zip(both, [*apart[0], *apart[1]], strict=True):
        assert (found is None) == (expected is None)
        if found is not None:
            torch.testing.assert_close(found, expected)
    heads.eval()
    batch = WindowBatch(context, target, torch.arange(20), None, None)
    values = torch.stack([head.quantiles(context) for head in heads.heads]).mean(0)
    torch.testing.assert_close(heads.forecast(batch).values, values)
    assert (values.diff(dim=-1) > 0).all()


@pytest.mark.parametrize("kind", ["point", "quantile"])
def test_a_head_is_trained_where_its_loss_reaches_and_nowhere_else(kind) -> None:
    trunk = TrajectoryNetwork(5, 3, hidden=16, likelihood="student", encoder="mlp")
    module = SquaredError(trunk) if kind == "point" else QuantileHead(trunk, NINETEEN)
    windows = SomeWindows(200, seed=4)
    task = HeadTask(module, windows, windows)
    spread = trunk.spread.weight.requires_grad
    assert spread is (kind == "quantile")
    assert not trunk.raw_df.requires_grad
    trained = [p for group in task.parameter_groups() for p in group["params"]]
    assert trained
    with torch.no_grad():
        before = task.validate(module)["val_loss"]
    optimiser = torch.optim.Adam(trained, lr=1e-2)
    for _ in range(60):
        loss, terms, penalty, _ = module(*task.batch(torch.arange(400), torch.device("cpu")))
        assert terms == ()
        assert float(penalty.detach()) == 0.0
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
    module.eval()
    with torch.no_grad():
        assert task.validate(module)["val_loss"] < before


def test_forecasts_from_elsewhere_come_in_the_order_of_windows() -> None:
    found = {"loc": torch.arange(10.0)[:, None].expand(-1, 3)}
    windows = SomeWindows(5, seed=0)
    model = InOrder(found, 10)
    for _ in range(2):
        parts = [model(batch) for batch in windows.batches(4)]
        assert torch.cat(parts)[:, 0].tolist() == list(range(10))
    with pytest.raises(ValueError, match="expected 9"):
        InOrder(found, 9)
