"""Running statistics against plain arithmetic."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

import vneuron as vn
from vneuron.vitals import measures

UNITS, K = 4, 2


def term(batch: int = 16, units: int = UNITS, k: int = K) -> vn.LocalTerm:
    loc, scale = torch.randn(batch, units, k), torch.rand(batch, units, k) + 0.1
    return vn.LocalTerm("u", torch.rand(batch, units), loc, loc, scale, torch.ones(units))


def moments(one: vn.LocalTerm) -> dict[str, Tensor]:
    return {
        "kl": one.kl.mean(0),
        "energy": one.loc.square().mean((0, 2)),
        "loc_mean": one.loc.mean(0),
        "loc_square": one.loc.square().mean(0),
        "scale_square": one.scale.square().mean(0),
        "log_scale": one.scale.log().mean(0),
    }


def test_the_first_update_copies_and_later_ones_move_a_tenth() -> None:
    statistics = vn.UnitStatistics(UNITS, K)
    expected: dict[str, Tensor] = {}
    for step in range(4):
        batch = term()
        statistics.update(batch)
        for name, value in moments(batch).items():
            before = expected.get(name, value)
            expected[name] = before + 0.1 * (value - before)
            torch.testing.assert_close(getattr(statistics, name), expected[name])
        assert statistics.updates.item() == step + 1
    assert statistics.use.isnan().all()


def test_rate_and_variance_are_those_of_the_batch_after_one_update() -> None:
    statistics, batch = vn.UnitStatistics(UNITS, K), term(batch=64)
    assert statistics.rate().tolist() == [0.0] * UNITS
    statistics.update(batch)
    torch.testing.assert_close(statistics.rate(), measures.rate(batch))
    torch.testing.assert_close(statistics.loc_variance(), measures.loc_variance(batch))


def test_running_kl_never_falls_below_the_running_rate() -> None:
    """R ≤ E KL holds for any mixture of batches, hence for running means of moments."""
    layer = vn.GaussianUnits(3, UNITS, latent_dim=K, initial_scale=0.2)
    collected = vn.Collect(layer)
    for step in range(20):
        _, terms = collected(torch.randn(8, 3) * (1 + step))
        vn.control_step(collected, terms)
    assert (layer.statistics.rate() > 0).all()
    assert (layer.statistics.kl >= layer.statistics.rate() - 1e-5).all()


def test_updating_leaves_the_graph_alone() -> None:
    batch = term()._replace(loc=torch.randn(16, UNITS, K, requires_grad=True))
    statistics = vn.UnitStatistics(UNITS, K)
    statistics.update(batch)
    assert not any(buffer.requires_grad for buffer in statistics.buffers())


def test_state_survives_saving_and_copying() -> None:
    statistics = vn.UnitStatistics(UNITS, K)
    statistics.update(term())
    statistics.use.fill_(0.5)
    fresh = vn.UnitStatistics(UNITS, K)
    fresh.load_state_dict(statistics.state_dict())
    batch = term()
    for each in (statistics, fresh, twin := copy.deepcopy(statistics)):
        each.update(batch)
    for name, value in statistics.state_dict().items():
        for other in (fresh, twin):
            torch.testing.assert_close(
                other.state_dict()[name], value, rtol=0, atol=0, equal_nan=True
            )


def test_a_twin_without_scale_keeps_finite_statistics() -> None:
    layer = vn.DeterministicUnits(3, UNITS)
    collected = vn.Collect(layer)
    for _ in range(3):
        _, terms = collected(torch.randn(8, 3))
        vn.control_step(collected, terms)
    assert layer.statistics.log_scale.isfinite().all()
    assert (layer.statistics.energy > 0).all()
    assert layer.statistics.kl.tolist() == [0.0] * UNITS


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_terms_of_another_precision_are_taken_in(dtype: torch.dtype) -> None:
    batch = term()
    cast = vn.LocalTerm(*(f.to(dtype) if isinstance(f, Tensor) else f for f in batch))
    statistics = vn.UnitStatistics(UNITS, K)
    statistics.update(cast)
    assert statistics.kl.dtype == torch.float32
    torch.testing.assert_close(statistics.kl, batch.kl.mean(0), rtol=2e-2, atol=0)


def test_shares_extremes_and_squares_are_those_of_the_batch() -> None:
    batch = term()._replace(kl=torch.tensor([[0.0, 0.2, 1e-5, 1.0]] * 8 + [[0.5] * 4] * 8))
    statistics = vn.UnitStatistics(UNITS, K)
    statistics.update(batch)
    assert statistics.alive_share.tolist() == [0.5, 1.0, 0.5, 1.0]
    torch.testing.assert_close(statistics.scale_min, batch.scale.amin((0, 2)))
    torch.testing.assert_close(statistics.scale_max, batch.scale.amax((0, 2)))
    torch.testing.assert_close(statistics.log_scale_square, batch.scale.log().square().mean(0))
    statistics.update(later := term())
    torch.testing.assert_close(statistics.scale_max, later.scale.amax((0, 2)))
    torch.testing.assert_close(statistics.last_log_scale, later.scale.log().mean(0))
    slow = batch.loc.square().mean((0, 2)).lerp(later.loc.square().mean((0, 2)), 0.01)
    torch.testing.assert_close(statistics.slow_energy, slow)


def test_rows_may_outnumber_examples() -> None:
    """A layer at several positions: KL by example, moments by row."""
    statistics, batch = vn.UnitStatistics(UNITS, K), term(batch=24)
    statistics.update(batch._replace(kl=batch.kl.view(8, 3, UNITS).sum(1)))
    torch.testing.assert_close(statistics.kl, 3 * batch.kl.mean(0))
    torch.testing.assert_close(statistics.loc_mean, batch.loc.mean(0))


def test_drift_is_the_symmetric_divergence_from_the_reference() -> None:
    from torch.distributions import Normal, kl_divergence

    statistics = vn.UnitStatistics(UNITS, K)
    statistics.update(term())
    assert statistics.drift().isnan().all()
    statistics.mark_reference()
    torch.testing.assert_close(statistics.drift(), torch.zeros(UNITS))
    then = Normal(statistics.reference_mean.clone(), statistics.reference_variance.sqrt())
    for _ in range(5):
        statistics.update(term()._replace(loc=2.0 + torch.randn(16, UNITS, K)))
    spread = statistics.scale_square + statistics.loc_variance()
    now = Normal(statistics.loc_mean, spread.sqrt())
    both = 0.5 * (kl_divergence(now, then) + kl_divergence(then, now)).sum(-1)
    torch.testing.assert_close(statistics.drift(), both, rtol=1e-4, atol=1e-5)
