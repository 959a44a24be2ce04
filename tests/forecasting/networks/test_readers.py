"""What stands between a window and the features: several scales, and patches."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting import EVEForecaster
from vneuron.forecasting.networks.features import WindowFeatures
from vneuron.forecasting.networks.multiscale import SCALES, MultiscaleReader
from vneuron.forecasting.networks.patches import STRIDE, PatchReader


@given(rows=st.integers(1, 400), channels=st.integers(1, 2))
def test_scales_are_means_counted_from_the_end(rows, channels):
    x = torch.randn(2, channels * rows, dtype=torch.float64)
    found = MultiscaleReader(rows, channels)(x)
    expected = []
    for size, most in SCALES:
        count = (rows if most is None else min(most, rows)) // size
        series = x.view(2, channels, rows)
        for channel in range(channels):
            for i in range(count, 0, -1):
                stop = rows - (i - 1) * size
                expected.append(series[:, channel, stop - size : stop].mean(-1))
    torch.testing.assert_close(found, torch.stack(expected, -1))


def test_the_last_rows_pass_as_they_are():
    x = torch.randn(3, 336)
    torch.testing.assert_close(MultiscaleReader(336)(x)[:, :48], x[:, -48:])


@given(rows=st.integers(1, 200), channels=st.integers(1, 2))
def test_any_window_can_be_cut_into_patches(rows, channels):
    reader = PatchReader(rows, channels)
    assert reader(torch.randn(2, channels * rows)).shape == (2, reader.width)


def test_patches_share_a_map_and_only_the_first_rows_are_left_over():
    reader = PatchReader(37)
    with torch.no_grad():
        reader.mix.weight.zero_()
        reader.mix.bias.zero_()
    x = torch.randn(1, 37)
    found = reader(x).view(reader.count, -1)
    moved = reader(x.roll(STRIDE, -1)).view(reader.count, -1)
    torch.testing.assert_close(moved[1:], found[:-1])  # a shape is read alike wherever it lies
    assert reader.count == (37 - 16) // STRIDE + 1
    ahead = x.clone()
    ahead[:, :5] += 1.0  # 37 = 16 + 2 · 8 + 5
    torch.testing.assert_close(reader(ahead), reader(x))
    ahead[:, 5] += 1.0
    assert not torch.allclose(reader(ahead), reader(x))


def test_a_later_layer_adds_to_what_comes_before_it():
    features = WindowFeatures([6, 8, 8], dropout=0.0, skip=True)
    x = torch.randn(4, 6)
    first = features[1](features[0](x))
    torch.testing.assert_close(features(x, 4), first + features[4](features[3](first)))


@pytest.mark.parametrize("encoder", ["multiscale", "patch"])
def test_gaps_saving_and_priors_go_with_it(tiny, frame, tmp_path, encoder):
    gaps = frame.copy()
    gaps.loc[gaps.index % 7 == 3, "y"] = None
    options = {**tiny, "encoder": encoder, "prior": "autoregressive", "missing": "mask"}
    f = EVEForecaster(**options).fit(gaps, test_size=48)
    f.save(tmp_path / "model")
    assert EVEForecaster.load(tmp_path / "model").predict(gaps).equals(f.predict(gaps))
