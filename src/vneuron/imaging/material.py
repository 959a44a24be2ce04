"""What a model is fitted to and judged by: images from a source, prepared and divided."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .files import ImageFile, read_images
from .images import ImageError, to_rows
from .patches import cut_patches, tile, whiten

__all__ = ["BUNDLED", "Material", "Recipe", "prepare", "read_alike"]

_LUMINANCE = np.array([0.299, 0.587, 0.114])
_LEAST = 3
_MANY_PIXELS = 64 * 64
_MARGIN = 8


@dataclass(frozen=True)
class Recipe:
    """How what a source holds becomes images of one size; plain values, kept with a run.

    Attributes:
        key: which array of an .npz.
        limit: take so many of the first; None takes all.
        patches: cut so many squares out of the pictures; 0 takes pictures as they are.
        patch_size: side of a square, in pixels.
        whiten: flatten the pictures' spectrum first (`patches.whiten`); where patches are cut, a
            margin of 8 pixels is left out, as the filter runs around the picture's edges.
        min_contrast: leave out squares with less, in units of the pictures' standard deviation.

    Raises:
        ImageError: if a number is out of range.

    Example:
        >>> Recipe(patches=1000).patch_size
        16
    """

    key: str | None = None
    limit: int | None = None
    patches: int = 0
    patch_size: int = 16
    whiten: bool = False
    min_contrast: float = 0.5

    def __post_init__(self) -> None:
        least = {"patches": 0, "patch_size": 2, "min_contrast": 0}
        if self.limit is not None:
            least["limit"] = 1
        for name, bound in least.items():
            value = getattr(self, name)
            if not value >= bound:
                raise ImageError(f"{name} is {value}, expected at least {bound}")


class Material(NamedTuple):
    """Images to learn from, images to be judged by, and where they come from.

    Attributes:
        train: [n, ...].
        test: [m, ...], of the same size.
        notes: what was done, in sentences for people.
        facts: source, numbers, SHA-256 of the pixels, recipe; plain values.
    """

    train: NDArray[Any]
    test: NDArray[Any]
    notes: tuple[str, ...]
    facts: dict[str, Any]


def _digits() -> ImageFile:
    from sklearn.datasets import load_digits

    return ImageFile(np.asarray(load_digits().images, dtype=np.float32), ())


def _photographs() -> ImageFile:
    from sklearn.datasets import load_sample_images

    return ImageFile(np.stack(load_sample_images().images), ())


_READERS = {"digits": _digits, "photographs": _photographs}

BUNDLED: dict[str, Recipe] = {
    "digits": Recipe(),
    "photographs": Recipe(patches=10_000, whiten=True),
}
"""Images that ship with scikit-learn, and how they are prepared where nothing else is asked for:
1,797 handwritten digits of 8 x 8, and two photographs of 427 x 640."""


def prepare(source: str, recipe: Recipe, test_size: float = 0.1, seed: int = 0) -> Material:
    """Read a source, prepare it, and hold a part out for the scores.

    Whole images are divided at random. Of pictures that are cut into patches, the right part of
    each is for testing and the left part for learning, so that no pixel is in both.

    Args:
        source: a file or a folder, as of `files.read_images`, or a name in `BUNDLED`.
        recipe: how to prepare it.
        test_size: share that is held out, above 0 and below 1.
        seed: of the division and of the patches' places.

    Raises:
        ImageError: if the source cannot be used; it is named.

    Example:
        >>> material = prepare("digits", Recipe(limit=100), test_size=0.2)
        >>> material.train.shape, material.test.shape
        ((80, 8, 8), (20, 8, 8))
    """
    if not 0 < test_size < 1:
        raise ImageError(f"test_size is {test_size}, expected a share above 0 and below 1")
    images, notes = _read(source, recipe)
    facts = {
        "path": source if source in BUNDLED else str(Path(source).resolve()),
        "images": len(images),
        "size": list(images.shape[1:]),
        "sha256": hashlib.sha256(images.tobytes()).hexdigest(),
        "recipe": asdict(recipe),
        "test_size": test_size,
    }
    if recipe.patches:
        train, test = _patches(source, images, recipe, test_size, seed)
        notes += (f"{len(train):,} patches to learn from, {len(test):,} from other parts to test",)
    else:
        if len(images) < _LEAST:
            raise ImageError(
                f"{source}: holds {len(images)} image(s), expected at least {_LEAST}: one to "
                "learn from, one to watch, one to test; add images, or cut patches"
            )
        held_out = min(len(images) - 2, max(1, round(test_size * len(images))))
        order = np.random.default_rng(seed).permutation(len(images))
        train, test = images[order[held_out:]], images[order[:held_out]]
        if train[0].size > _MANY_PIXELS:
            notes += (f"images have {train[0].size:,} pixels: patches of them would learn faster",)
    return Material(train, test, notes, facts)


def read_alike(
    source: str, recipe: Recipe, shape: tuple[int, ...], *, drop_flat: bool = False
) -> ImageFile:
    """Images of the size that a model was fitted to, prepared as its own were.

    Images that have that size already are taken as they are. Larger pictures are prepared by the
    recipe and cut into squares side by side, row after row, if the recipe is one of patches.

    Args:
        source: a file, a folder or a name in `BUNDLED`.
        recipe: of the fit; its limit is not applied.
        shape: of an image that the model was fitted to.
        drop_flat: leave out squares with less than the recipe's contrast.

    Raises:
        ImageError: if the source cannot be used; it is named.
    """
    images, notes = _read(source, Recipe(key=recipe.key), whitening=False)
    if images[0].size == np.prod(shape):
        if recipe.whiten:
            notes += ("images have the fitted size: taken as they are, not whitened",)
        return ImageFile(images, notes)
    if not recipe.patches or images.ndim != 3:
        raise ImageError(
            f"{source}: images are {_size(images.shape[1:])}, and the model was fitted to "
            f"{_size(shape)}: resize or crop them to that"
        )
    if recipe.whiten:
        images = _whitened(source, images, True)
    squares = _about(source, tile, images, recipe.patch_size)
    if drop_flat:
        kept = squares.std((1, 2)) >= recipe.min_contrast * images.std()
        notes += (f"{int((~kept).sum())} of {len(kept)} squares are flat and left out",)
        squares = squares[kept]
        if not len(squares):
            raise ImageError(f"{source}: all squares are flat: give pictures with more contrast")
    return ImageFile(squares, notes)


def _read(source: str, recipe: Recipe, whitening: bool = True) -> ImageFile:
    """What a source holds, in grey, limited and whitened."""
    found = _READERS[source]() if source in _READERS else read_images(source, recipe.key)
    images, notes = _grey(source, found.images), found.notes
    if source in _READERS and Path(source).exists():
        notes += (f"{source} are scikit-learn's: give ./{source} for what has that name here",)
    if images.shape != found.images.shape:
        notes += ("images are in colour: read in grey",)
    images = images[: recipe.limit]
    _about(source, to_rows, images)
    if recipe.whiten and whitening:
        images = _whitened(source, images, recipe.patches > 0)
    return ImageFile(images, notes)


def _grey(source: str, images: NDArray[Any]) -> NDArray[Any]:
    """[n, h, w] from [n, h, w, channels]; anything else as it is."""
    if images.ndim != 4:
        return images
    channels = images.shape[-1]
    if channels not in (1, 3, 4):
        raise ImageError(
            f"{source}: holds an array of shape {images.shape}, expected [n, h, w] or 1, 3 or 4 "
            "channels last: move the axis of the channels to the end"
        )
    if channels == 1:
        return images[..., 0]
    grey: NDArray[Any] = (images[..., :3] @ _LUMINANCE).astype(np.float32)
    return grey


def _whitened(source: str, images: NDArray[Any], patches: bool) -> NDArray[np.float32]:
    white: NDArray[np.float32] = _about(source, whiten, images, logarithm=bool(images.min() >= 0))
    if patches and min(white.shape[1:]) > 8 * _MARGIN:
        white = white[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return white


def _patches(
    source: str, pictures: NDArray[Any], recipe: Recipe, test_size: float, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Patches of the pictures' left parts to learn from, and of their right parts to test."""
    size = recipe.patch_size
    if pictures.ndim != 3 or pictures.shape[1] < size or pictures.shape[2] < 2 * size:
        raise ImageError(
            f"{source}: images are {_size(pictures.shape[1:])}, expected at least {size} rows and "
            f"{2 * size} columns to cut patches of {size} x {size}: lower the size of patches"
        )
    held_out = max(1, round(test_size * recipe.patches))
    if recipe.patches - held_out < 2:
        raise ImageError(f"patches is {recipe.patches}, expected more: 3 at least, or 0 for none")
    columns = max(size, round(test_size * pictures.shape[2]))
    left, right = pictures[:, :, :-columns], pictures[:, :, -columns:]
    learned_from, contrast = recipe.patches - held_out, recipe.min_contrast
    train = _about(source, cut_patches, left, learned_from, size, contrast, seed)
    test = _about(source, cut_patches, right, held_out, size, contrast, seed + 1)
    return train, test


def _about(source: str, do: Any, *arguments: Any, **named: Any) -> Any:
    """What a function returns; what it complains about is said of the source."""
    try:
        return do(*arguments, **named)
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from None


def _size(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return f"{shape[1]} x {shape[0]} pixels"
    return f"rows of {shape[0]} pixels" if len(shape) == 1 else f"of shape {shape}"
