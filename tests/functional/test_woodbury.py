"""Windows for which single precision does not do are factored in double."""

import pytest
import torch

from vneuron.forecasting.networks.loading import cosine_loading
from vneuron.functional import woodbury
from vneuron.functional.own_noise import OwnNoise, precision
from vneuron.functional.woodbury import solve

STEPS, UNITS, BATCH = 96, 32, 600
WIDE = [3, 300, 599]


def problem(shared=False):
    """Most windows are mild; in a few, units are wide and noise lasts and weighs little."""
    torch.manual_seed(0)
    loading = cosine_loading(STEPS, UNITS, 3.7)
    scale = torch.rand(BATCH, UNITS) * 0.5 + 0.2
    weight = torch.rand(BATCH, STEPS) + 0.5
    persistence = torch.full((BATCH,), 0.3)
    scale[WIDE] *= 20.0
    weight[WIDE], persistence[WIDE] = torch.linspace(0.1, 9.0, STEPS), 0.9
    own = OwnNoise(persistence, weight)
    if shared:
        own = OwnNoise(torch.tensor(0.9), torch.full((1, STEPS), 0.1))
    found = precision(own, STEPS)
    residual = torch.randn(BATCH, STEPS)
    # what the units all but explain: paths far from nought, and a little noise
    path = torch.randn(len(WIDE), 6) @ cosine_loading(STEPS, 6, 1000.0).T
    residual[WIDE] = path + 0.1 * residual[WIDE]
    return residual, loading, scale, found.diagonal, found.beside


def values_and_slopes(given, dtype):
    inputs = [each.detach().to(dtype).requires_grad_() for each in given]
    found = solve(*inputs)
    slopes = torch.autograd.grad((found.quadratic + found.logdet).mean(), inputs)
    return [each.detach().double() for each in (*found, *slopes)]


@pytest.mark.parametrize("shared", [False, True])
def test_they_come_out_as_in_double_precision(shared, monkeypatch):
    given = problem(shared)
    double = values_and_slopes(given, torch.float64)
    single = values_and_slopes(given, torch.float32)
    torch.testing.assert_close(single[0], double[0], rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(single[1], double[1], rtol=1e-4, atol=1e-2)
    for found, wanted in zip(single, double, strict=True):
        assert float((found - wanted).norm() / wanted.norm()) < 0.02
    monkeypatch.setattr(woodbury, "_lost", lambda *_: None)
    plain = values_and_slopes(given, torch.float32)
    assert float(((plain[0] - double[0]) / double[0]).abs().max()) > 0.01


def test_mild_windows_keep_their_bits(monkeypatch):
    given = problem()
    mended = solve(*given)
    monkeypatch.setattr(woodbury, "_lost", lambda *_: None)
    plain = solve(*given)
    mild = torch.ones(BATCH, dtype=torch.bool)
    mild[WIDE] = False
    assert torch.equal(mended.quadratic[mild], plain.quadratic[mild])
    assert torch.equal(mended.logdet[mild], plain.logdet[mild])


def test_without_slopes_too():
    given = problem()
    with torch.no_grad():
        found = solve(*given)
        wanted = solve(*(each.double() for each in given))
    torch.testing.assert_close(found.quadratic.double(), wanted.quadratic, rtol=2e-3, atol=2e-3)


def test_what_is_no_number_stays_none():
    residual, loading, scale, alpha, beta = problem()
    scale[5] = torch.nan
    found = solve(residual, loading, scale, alpha, beta)
    assert found.logdet.isnan().nonzero().tolist() == [[5]]
