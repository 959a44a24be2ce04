"""The pair encoder against its equations written out step by step."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vneuron.forecasting.networks.reference.encoder import PairEncoder, moving_average

L, LAG, FEATURES = 40, 6, 5


@pytest.mark.parametrize(("size", "width"), [(40, 25), (40, 24), (7, 7), (3, 1), (2, 2)])
def test_the_moving_average_is_a_padded_pool(size, width):
    x = torch.randn(3, size, dtype=torch.float64)
    width -= 1 - width % 2
    half = (width - 1) // 2
    padded = F.pad(x[:, None], (half, half), mode="replicate")
    expected = F.avg_pool1d(padded, width, stride=1)[:, 0]
    torch.testing.assert_close(x @ moving_average(size, width).double().T, expected)


def written_out(encoder: PairEncoder, rows: torch.Tensor) -> torch.Tensor:
    """The encoder's equations, one window after the other, with two maps in place of one."""

    def encode(x: torch.Tensor) -> torch.Tensor:
        padded = F.pad(x[:, None], (12, 12), mode="replicate")
        trend = F.avg_pool1d(padded, 25, stride=1)[:, 0]
        return encoder.seasonal(x - trend) + encoder.trend(trend)

    now, before = encode(rows[:, -L:]), encode(rows[:, :L])
    new = now - before
    gate = torch.sigmoid(encoder.gate(torch.cat([now, before, new], dim=-1)))
    mixed = encoder.persistence((now + before) / 2) + gate * encoder.innovation(new)
    return encoder.norm(F.gelu(mixed))


def test_features_are_those_of_the_equations():
    encoder, rows = PairEncoder(L, LAG, FEATURES), torch.randn(4, L + LAG)
    torch.testing.assert_close(encoder(rows), written_out(encoder, rows))


def test_so_are_the_gradients():
    encoder, rows = PairEncoder(L, LAG, FEATURES), torch.randn(4, L + LAG)
    weights = list(encoder.parameters())
    target = torch.randn(4, FEATURES)
    found = torch.autograd.grad((encoder(rows) * target).sum(), weights)
    expected = torch.autograd.grad((written_out(encoder, rows) * target).sum(), weights)
    for here, there in zip(found, expected, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-5)


def test_every_row_is_read():
    encoder, rows = PairEncoder(L, LAG, FEATURES), torch.randn(1, L + LAG, requires_grad=True)
    encoder(rows)[0, 0].backward()
    assert bool((rows.grad != 0).all())


def test_missing_values_are_told_where_wanted():
    rows, observed = torch.randn(2, L + LAG), torch.ones(2, L + LAG, dtype=torch.bool)
    encoder = PairEncoder(L, LAG, FEATURES, mask_inputs=True)
    torch.testing.assert_close(encoder(rows, observed), encoder(rows))
    observed[0, 10] = False
    changed = encoder(rows, observed) != encoder(rows)
    assert changed.any(1).tolist() == [True, False]
    assert not isinstance(PairEncoder(L, LAG, FEATURES).mask, nn.Module)


def test_a_lag_is_at_least_one_step():
    with pytest.raises(ValueError, match="lag is 0, expected at least 1"):
        PairEncoder(L, 0, FEATURES)
