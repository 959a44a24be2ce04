"""Pictures of every mode, and what was done to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vneuron.imaging import ImageError, load_images
from vneuron.imaging.files import read_images


def test_colours_become_luminance_and_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    Image.fromarray(np.repeat(colours[..., :1], 3, axis=2)).save(tmp_path / "b.png")
    found = read_images(tmp_path)
    expected = colours @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(found.images[0], expected, atol=1.0)
    np.testing.assert_array_equal(found.images[1], colours[..., 0])
    assert found.notes == ("1 of 2 pictures are in colour: read in grey",)


def test_deep_greys_are_not_cut_off(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (5, 4)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_images(tmp_path / "a.png")[0], deep)


def test_black_and_white_and_palettes(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 2, (5, 4)).astype(np.uint8) * 255
    Image.fromarray(grey).convert("1").save(tmp_path / "a.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "b.png")
    found = read_images(tmp_path)
    np.testing.assert_array_equal(found.images[0], grey)
    np.testing.assert_array_equal(found.images[1], grey)
    assert found.notes == ()


def test_pictures_are_found_below_and_hidden_ones_are_not(tmp_path: Path) -> None:
    grey = np.zeros((5, 4), dtype=np.uint8)
    (tmp_path / "sub").mkdir()
    for name in ("b.png", "sub/a.PNG", ".hidden.png"):
        Image.fromarray(grey).save(tmp_path / name, format="PNG")
    (tmp_path / "._a.png").write_bytes(b"a Mac was here")
    assert len(load_images(tmp_path)) == 2


def test_an_array_that_would_run_code_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "a.npz", images=np.array([{"a": 1}], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ImageError, match="cannot be read"):
            load_images(tmp_path / name)
