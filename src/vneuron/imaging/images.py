"""Images in: arrays of any usual form become rows of pixels, and files become arrays."""

from __future__ import annotations

import gzip
import io
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["ImageError", "load_images", "to_rows"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"}
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


class ImageError(ValueError):
    """Images that cannot be used. One line: what was found, where, and the cure."""


def to_rows(images: Any, features: int | None = None) -> tuple[Tensor, tuple[int, ...]]:
    """Rows of pixels, and the shape of one image.

    Args:
        images: [n, pixels] or [n, h, w] or [n, h, w, channels]: numpy, torch, or nested lists.
        features: how many pixels there must be; None takes any number.

    Returns:
        float32 [n, pixels], and what one image was: (pixels,), (h, w) or (h, w, channels).

    Raises:
        ImageError: if there is no image, a pixel is not a finite number, or the size is another.

    Example:
        >>> rows, shape = to_rows(np.zeros((5, 4, 3)))
        >>> rows.shape, shape
        (torch.Size([5, 12]), (4, 3))
    """
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if array.dtype.kind not in "buif":
        raise ImageError(f"images are of type {array.dtype}, expected numbers: decode them first")
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise ImageError(
            f"images have shape {array.shape}, expected [n, pixels], [n, h, w] or "
            "[n, h, w, channels] with none of them 0: put a single image into a batch, image[None]"
        )
    shape = tuple(int(size) for size in array.shape[1:])
    if features is not None and math.prod(shape) != features:
        raise ImageError(
            f"images of shape {shape} have {math.prod(shape)} pixels, but the model was fitted to "
            f"{features}: crop or resize them to that"
        )
    rows = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).flatten(1)
    bad = ~torch.isfinite(rows).all(1)
    if bool(bad.any()):
        raise ImageError(
            f"image {int(bad.nonzero()[0])} (counted from 0) has a pixel that is not finite "
            f"({int(bad.sum())} such images): fill or drop them"
        )
    return rows, shape


def load_images(path: str | Path, key: str | None = None) -> NDArray[Any]:
    """Images from a file or a folder.

    Args:
        path: an .npz or .npy file, an idx file (MNIST's, gzipped or not), or a folder or .zip of
            pictures, which must be of one size; these are read in grey, in order of their names.
        key: which array of an .npz; None takes the only one that is at least two-dimensional.

    Returns:
        [n, h, w], or what the array is.

    Raises:
        ImageError: if there is nothing to read, or it is none of these.
        ImportError: pictures are to be read without the extra `imaging`.
    """
    path = Path(path)
    if not path.exists():
        raise ImageError(f"{path}: no such file or folder: check the path")
    if path.is_dir() or path.suffix == ".zip":
        return _pictures(path)
    if path.suffix == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if path.suffix == ".npz":
        return _from_npz(path, key)
    if "idx" in path.name:
        return _from_idx(path)
    raise ImageError(
        f"{path}: not a kind that is known; expected .npz, .npy, an idx file (with idx in its "
        "name), a .zip or a folder of pictures: convert it to one of these"
    )


def _from_npz(path: Path, key: str | None) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as archive:
        names = [key] if key is not None else [n for n in archive.files if archive[n].ndim >= 2]
        if len(names) != 1 or names[0] not in archive.files:
            raise ImageError(
                f"{path}: holds {archive.files}, and key is {key!r}; expected the name of one "
                "array: pass key"
            )
        return np.asarray(archive[names[0]])


def _from_idx(path: Path) -> NDArray[Any]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    kind, axes = (data[2], data[3]) if len(data) >= 4 else (0, 0)
    start = 4 + 4 * axes
    if data[:2] != b"\0\0" or kind not in _IDX_TYPES or len(data) < start:
        raise ImageError(f"{path}: not an idx file; download it again")
    shape = np.frombuffer(data, ">i4", axes, offset=4)
    body = np.frombuffer(data, _IDX_TYPES[kind], offset=start)
    if body.size != math.prod(shape.tolist()):
        raise ImageError(
            f"{path}: cut short: it holds {body.size} numbers, and its header says "
            f"{' x '.join(map(str, shape))}; download it again"
        )
    return body.reshape(shape).astype(body.dtype.newbyteorder("="))


def _pictures(path: Path) -> NDArray[Any]:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "reading pictures needs the extra imaging: pip install 'vneuron[imaging]'"
        ) from error
    found: list[NDArray[np.uint8]] = []
    for name, data in _files(path):
        with Image.open(io.BytesIO(data)) as picture:
            found.append(np.asarray(picture.convert("L")))
        if found[-1].shape != found[0].shape:
            raise ImageError(
                f"{path}: {name} is {found[-1].shape} and the first picture {found[0].shape}; "
                "expected one size: resize them, or cut patches (vneuron.imaging.patches)"
            )
    if not found:
        raise ImageError(f"{path}: holds no picture ({', '.join(sorted(_SUFFIXES))})")
    return np.stack(found)


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each picture, in order."""
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES):
            yield file.name, file.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if Path(name).suffix.lower() in _SUFFIXES:
                yield name, archive.read(name)
