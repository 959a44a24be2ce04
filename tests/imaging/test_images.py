"""Reading images of every usual form, whitening and cutting, and scores against plain numpy."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vneuron.imaging import ImageError, cut_patches, load_images, whiten
from vneuron.imaging.decoders import build_decoder
from vneuron.imaging.evaluation import CodeStatistics, linear_probe, r_squared, treves_rolls
from vneuron.imaging.images import to_rows


def picture(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)


def test_arrays_come_back_from_every_kind_of_file(pixels: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels)
    np.savez(tmp_path / "a.npz", images=pixels, labels=np.arange(3))
    idx = struct.pack(">BBBB3i", 0, 0, 8, 3, *pixels.shape) + pixels.tobytes()
    (tmp_path / "a-idx3-ubyte").write_bytes(idx)
    (tmp_path / "b-idx3-ubyte.gz").write_bytes(gzip.compress(idx))
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number, image in enumerate(pixels):
            archive.writestr(f"{number}.png", picture(image))
            (tmp_path / "folder" / f"{number}.png").write_bytes(picture(image))
    for name in ("a.npy", "a.npz", "a-idx3-ubyte", "b-idx3-ubyte.gz", "a.zip", "folder"):
        np.testing.assert_array_equal(load_images(tmp_path / name), pixels, err_msg=name)


def test_files_that_cannot_be_used_are_named(pixels: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=pixels, b=pixels)
    (tmp_path / "cut-idx3-ubyte").write_bytes(struct.pack(">BBBB3i", 0, 0, 8, 3, 9, 9, 9))
    (tmp_path / "no-idx").write_bytes(b"text")
    (tmp_path / "notes.txt").write_bytes(b"text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.png").write_bytes(picture(pixels[0]))
    (tmp_path / "mixed" / "b.png").write_bytes(picture(pixels[0].T.copy()))
    for name, message in {
        "absent": "no such file",
        "two.npz": "pass key",
        "cut-idx3-ubyte": "cut short",
        "no-idx": "not an idx file",
        "notes.txt": "not a kind",
        "empty": "holds no picture",
        "mixed": "one size",
    }.items():
        with pytest.raises(ImageError, match=message):
            load_images(tmp_path / name)
    np.testing.assert_array_equal(load_images(tmp_path / "two.npz", key="b"), pixels)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros(5), "shape"),
        (np.zeros((0, 4)), "shape"),
        (np.array([["a"]]), "expected numbers"),
        (np.array([[0.0, np.inf]]), "image 0"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        to_rows(images)


def test_tensors_and_colours_become_rows() -> None:
    rows, shape = to_rows(torch.zeros(2, 4, 5, 3, dtype=torch.uint8))
    assert rows.shape == (2, 60)
    assert rows.dtype == torch.float32
    assert shape == (4, 5, 3)


def test_whitening_flattens_a_natural_spectrum() -> None:
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None])
    amplitude = 1 / np.maximum(frequency, 1 / 64)
    pink = np.fft.ifft2(np.fft.fft2(rng.standard_normal((20, 64, 64))) * amplitude).real
    white = whiten(pink, logarithm=False)
    power = (np.abs(np.fft.fft2(white)) ** 2).mean(0)
    low = power[(frequency > 0.03) & (frequency < 0.1)].mean()
    high = power[(frequency > 0.15) & (frequency < 0.22)].mean()
    assert 0.7 < low / high < 1.5
    np.testing.assert_allclose(white.std((1, 2)), 1.0, rtol=1e-5)
    with pytest.raises(ImageError, match="logarithm"):
        whiten(pink)
    with pytest.raises(ImageError, match="stack"):
        whiten(pink[0])


def test_patches_are_windows_of_the_pictures() -> None:
    pictures = np.arange(2 * 20 * 20, dtype=np.float32).reshape(2, 20, 20)
    patches = cut_patches(pictures, 50, size=8, seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (8, 8), axis=(1, 2))
    starts = patches[:, 0, 0].astype(int)
    for patch, start in zip(patches, starts, strict=True):
        place = np.unravel_index(start, pictures.shape)
        np.testing.assert_array_equal(patch, windows[place])
    np.testing.assert_array_equal(cut_patches(pictures, 50, size=8, seed=1), patches)
    flat = pictures.copy()
    flat[1] = 0.0
    assert (cut_patches(flat, 20, 8, min_contrast=0.1).std((1, 2)) > 0).all()
    with pytest.raises(ImageError, match="at least 30 x 30"):
        cut_patches(pictures, 5, size=30)
    with pytest.raises(ImageError, match="min_contrast"):
        cut_patches(pictures, 5, size=8, min_contrast=100.0)


@pytest.mark.parametrize("kind", ["linear", "mlp", "conv"])
def test_decoders_fit_any_size_of_image(kind: str) -> None:
    decoder = build_decoder(kind, 5, (7, 10))  # type: ignore[arg-type]
    z = torch.rand(3, 5)
    assert decoder(z).shape == (3, 70)
    error = torch.randn(3, 70)
    z.requires_grad_()
    (expected,) = torch.autograd.grad((decoder(z) * error).sum(), z)
    torch.testing.assert_close(decoder.pull_back(z, error), expected)


def test_convolutions_need_a_picture() -> None:
    with pytest.raises(ValueError, match="n, h, w"):
        build_decoder("conv", 5, (70,))


def test_sparsity_of_one_and_of_all() -> None:
    z = np.random.default_rng(0).gamma(0.5, size=(40, 6))
    expected = (1 - z.sum(0) ** 2 / (40 * (z**2).sum(0))) / (1 - 1 / 40)
    found = treves_rolls(torch.tensor(z).sum(0), torch.tensor(z**2).sum(0), 40)
    np.testing.assert_allclose(found, expected)


def test_streamed_statistics_are_those_of_all_at_once() -> None:
    rng = np.random.default_rng(0)
    x, sampled, mapped = (torch.tensor(rng.standard_normal((30, 8))) for _ in range(3))
    z = torch.tensor(rng.poisson(0.7, (30, 5))).double()
    u, before = (torch.tensor(rng.standard_normal((30, 5))) for _ in range(2))
    streamed = CodeStatistics(5)
    for part in torch.arange(30).split(7):
        streamed.update(x[part], sampled[part], mapped[part], z[part], u[part], before[part])
    row = streamed.row()
    centred = (x - x.mean(1, keepdim=True)).square()
    pooled = 1 - float((x - sampled).square().sum() / centred.sum())
    assert row["r2_pooled"] == pytest.approx(pooled)
    assert row["r2"] == pytest.approx(float(r_squared(x, sampled).mean()))
    assert row["zeros"] == pytest.approx(float((z == 0).double().mean()))
    assert row["distance"] == pytest.approx(math.hypot(1 - pooled, 1 - row["zeros"]))
    assert row["change"] == pytest.approx(float((u - before).norm(dim=1).mean()))
    assert row["mse"] == pytest.approx(float((x - sampled).square().mean()))
    lifetime = treves_rolls(z.sum(0), z.square().sum(0), 30)
    assert row["lifetime_sparsity"] == pytest.approx(float(lifetime.mean()))


def test_a_linear_probe_reads_what_is_there() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    codes = np.eye(3)[labels] + 0.1 * rng.standard_normal((400, 3))
    assert linear_probe(codes[:300], labels[:300], codes[300:], labels[300:]) > 0.97
    noise = rng.standard_normal((400, 3))
    assert linear_probe(noise[:300], labels[:300], noise[300:], labels[300:]) < 0.6


def test_a_probe_chooses_its_penalty_on_training_codes() -> None:
    # Few examples in many dimensions, one of which tells: a weak penalty fits noise.
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 1200)
    codes = rng.standard_normal((1200, 200))
    codes[:, 0] += 2.0 * labels
    parts = codes[:600], labels[:600], codes[600:], labels[600:]
    strict, loose = (linear_probe(*parts, strengths=(c,)) for c in (0.1, 1000.0))
    assert linear_probe(*parts, strengths=(1000.0, 0.1)) == strict
    assert strict > loose + 0.02
