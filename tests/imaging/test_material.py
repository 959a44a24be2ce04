"""Images are divided without overlap, prepared alike, and told by their facts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.imaging import ImageError, whiten
from vneuron.imaging.material import BUNDLED, Recipe, prepare, read_alike
from vneuron.imaging.patches import tile


def numbered(n: int, h: int, w: int) -> np.ndarray:
    """Pictures in which every pixel is another number."""
    return np.arange(n * h * w, dtype=np.float32).reshape(n, h, w)


@given(n=st.integers(3, 40), share=st.floats(0.01, 0.99), seed=st.integers(0, 99))
def test_every_image_is_on_one_side(
    n: int, share: float, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("a") / "a.npy"
    np.save(path, numbered(n, 2, 3))
    found = prepare(str(path), Recipe(), share, seed)
    assert len(found.train) >= 2
    assert len(found.test) >= 1
    together = np.concatenate([found.train, found.test])
    np.testing.assert_array_equal(np.sort(together, axis=0), numbered(n, 2, 3))


def test_no_pixel_is_in_patches_of_both_sides(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", numbered(2, 20, 40))
    recipe = Recipe(patches=200, patch_size=5, min_contrast=0.0)
    found = prepare(str(tmp_path / "a.npy"), recipe, 0.25)
    assert (len(found.train), len(found.test)) == (150, 50)
    assert not set(found.train.ravel().tolist()) & set(found.test.ravel().tolist())


def test_the_same_pixels_have_the_same_digest(tmp_path: Path) -> None:
    pictures = numbered(5, 4, 4)
    np.save(tmp_path / "a.npy", pictures)
    np.savez(tmp_path / "b.npz", x=pictures)
    pictures[0, 0, 0] = 7.5
    np.save(tmp_path / "c.npy", pictures)
    a, b, c = (
        prepare(str(tmp_path / name), Recipe()).facts["sha256"]
        for name in ("a.npy", "b.npz", "c.npy")
    )
    assert a == b != c


def test_tiles_put_together_are_the_picture() -> None:
    pictures = numbered(3, 9, 13)
    squares = tile(pictures, 4)
    assert squares.shape == (3 * 2 * 3, 4, 4)
    back = squares.reshape(3, 2, 3, 4, 4).swapaxes(2, 3).reshape(3, 8, 12)
    np.testing.assert_array_equal(back, pictures[:, :8, :12])


def test_new_pictures_are_prepared_as_the_fits_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.random((2, 96, 96)).astype(np.float32)
    np.save(tmp_path / "a.npy", pictures)
    recipe = Recipe(patches=50, patch_size=8, whiten=True, limit=1)
    found = read_alike(str(tmp_path / "a.npy"), recipe, (8, 8))
    np.testing.assert_array_equal(found.images, tile(whiten(pictures)[:, 8:-8, 8:-8], 8))
    np.save(tmp_path / "b.npy", pictures[:, :8, :8])
    same = read_alike(str(tmp_path / "b.npy"), recipe, (8, 8))
    np.testing.assert_array_equal(same.images, pictures[:, :8, :8])
    assert "not whitened" in same.notes[0]
    with pytest.raises(ImageError, match="96 x 96 pixels, and the model was fitted to 8 x 8"):
        read_alike(str(tmp_path / "a.npy"), Recipe(), (8, 8))


def test_flat_squares_can_be_left_out(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).random((1, 16, 16)).astype(np.float32)
    pictures[:, :8] = 0.5
    np.save(tmp_path / "a.npy", pictures)
    recipe = Recipe(patches=5, patch_size=8)
    assert len(read_alike(str(tmp_path / "a.npy"), recipe, (8, 8)).images) == 4
    found = read_alike(str(tmp_path / "a.npy"), recipe, (8, 8), drop_flat=True)
    np.testing.assert_array_equal(found.images, tile(pictures, 8)[2:])
    assert found.notes == ("2 of 4 squares are flat and left out",)


def test_what_ships_is_there() -> None:
    digits = prepare("digits", BUNDLED["digits"])
    assert len(digits.train) + len(digits.test) == 1797
    recipe = Recipe(patches=40, whiten=True)
    photographs = prepare("photographs", recipe)
    assert photographs.train.shape == (36, 16, 16)
    assert photographs.facts["images"] == 2


def test_a_folder_named_like_what_ships_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not any("./digits" in note for note in prepare("digits", Recipe(limit=9)).notes)
    folder = tmp_path / "digits"
    folder.mkdir()
    np.save(folder / "a.npy", numbered(5, 2, 3))
    assert any("./digits" in note for note in prepare("digits", Recipe(limit=9)).notes)
    assert prepare("./digits/a.npy", Recipe()).train.shape == (4, 2, 3)
