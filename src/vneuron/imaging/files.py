"""Images from files: arrays, idx files, pictures one by one, in folders and in archives."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .images import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageFile", "load_images", "read_images"]

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"}
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_DEEP_GREY = {"I", "F", "I;16", "I;16B", "I;16L"}
_DAMAGE = (OSError, EOFError, SyntaxError, ValueError, KeyError, struct.error, zlib.error)


class ImageFile(NamedTuple):
    """What a file or a folder held.

    Attributes:
        images: [n, h, w], or what the array is.
        notes: what was done to them on the way, in sentences for people.
    """

    images: NDArray[Any]
    notes: tuple[str, ...]


def load_images(path: str | Path, key: str | None = None) -> NDArray[Any]:
    """Images from a file or a folder; see `read_images`, which also says what was done to them.

    Args:
        path: an .npz or .npy file, an idx file (MNIST's, gzipped or not), a picture, or a folder or
            .zip of pictures, which must be of one size; pictures are read in grey, in order of
            their names.
        key: which array of an .npz; None takes the only one that is at least two-dimensional.

    Returns:
        [n, h, w], or what the array is.

    Raises:
        ImageError: if there is nothing to read, it is damaged, or it is none of these.
        ImportError: pictures are to be read without the extra `imaging`.
    """
    return read_images(path, key).images


def read_images(path: str | Path, key: str | None = None) -> ImageFile:
    """Images from a file or a folder, and notes on what was done to them.

    Args:
        path: as of `load_images`.
        key: which array of an .npz.

    Raises:
        ImageError: as `load_images`.
    """
    path = Path(path)
    if not path.exists():
        raise ImageError(f"{path}: no such file or folder: check the path")
    suffix = path.suffix.lower()
    if path.is_dir() or suffix == ".zip" or suffix in _PICTURES:
        return _pictures(path)
    if suffix in (".npy", ".npz"):
        return ImageFile(_from_numpy(path, key), ())
    if "idx" in path.name or _starts_as_idx(path):
        return ImageFile(_from_idx(path), ())
    raise ImageError(
        f"{path}: not a kind that is known; expected .npz, .npy, an idx file (gzipped or not), a "
        "picture, or a .zip or folder of pictures: convert it to one of these"
    )


def _from_numpy(path: Path, key: str | None) -> NDArray[Any]:
    try:
        with path.open("rb") as file:  # numpy leaves a damaged file open
            found = np.load(file, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else _choose(path, found, key)
    except ImageError:
        raise
    except (*_DAMAGE, zipfile.BadZipFile) as error:
        raise ImageError(
            f"{path}: cannot be read ({_reason(error)}); expected arrays of numbers that "
            "numpy.save or numpy.savez wrote: save it again"
        ) from None


def _choose(path: Path, archive: Any, key: str | None) -> NDArray[Any]:
    names = [key] if key is not None else [n for n in archive.files if archive[n].ndim >= 2]
    if len(names) != 1 or names[0] not in archive.files:
        raise ImageError(
            f"{path}: holds {archive.files}, and key is {key!r}; expected the name of one "
            "array: pass key"
        )
    return np.asarray(archive[names[0]])


def _starts_as_idx(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as packed:
                head = packed.read(4)
        except _DAMAGE:
            return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _IDX_TYPES


def _from_idx(path: Path) -> NDArray[Any]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except _DAMAGE as error:
            raise ImageError(
                f"{path}: damaged or cut short ({_reason(error)}); download it again"
            ) from None
    kind, axes = (data[2], data[3]) if len(data) >= 4 else (0, 0)
    start = 4 + 4 * axes
    if data[:2] != b"\0\0" or kind not in _IDX_TYPES or len(data) < start:
        raise ImageError(f"{path}: not an idx file; download it again")
    shape = np.frombuffer(data, ">u4", axes, offset=4)
    width = np.dtype(_IDX_TYPES[kind]).itemsize
    held = len(data) - start
    if held != width * math.prod(shape.tolist()):
        raise ImageError(
            f"{path}: cut short: it holds {held // width} numbers, and its header says "
            f"{' x '.join(map(str, shape))}; download it again"
        )
    body = np.frombuffer(data, _IDX_TYPES[kind], offset=start)
    return body.reshape(shape).astype(body.dtype.newbyteorder("="))


def _pictures(path: Path) -> ImageFile:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "reading pictures needs the extra imaging: pip install 'vneuron[imaging]'"
        ) from error
    found: list[NDArray[Any]] = []
    coloured = 0
    for name, data in _files(path):
        try:
            with Image.open(io.BytesIO(data)) as picture:
                grey, had_colour = _grey(picture)
        except (*_DAMAGE, Image.DecompressionBombError) as error:
            raise ImageError(
                f"{path}: {name} cannot be read as a picture ({_reason(error)}); replace or "
                "remove it"
            ) from None
        found.append(grey)
        coloured += had_colour
        if grey.shape != found[0].shape:
            raise ImageError(
                f"{path}: {name} is {_size(grey)} and the first picture {_size(found[0])}; "
                "expected one size: resize or crop them to one"
            )
    if not found:
        raise ImageError(
            f"{path}: holds no picture ({', '.join(sorted(_PICTURES))}); put some there, or "
            "check the path"
        )
    notes = (f"{coloured} of {len(found)} pictures are in colour: read in grey",) * (coloured > 0)
    return ImageFile(np.stack(found), notes)


def _grey(picture: Image) -> tuple[NDArray[Any], bool]:
    """A picture's luminance, and whether it had colours."""
    if picture.mode in _DEEP_GREY:  # 16 bits and more: Pillow would cut them off at 255
        return np.asarray(picture), False
    if picture.mode in ("1", "L", "LA", "La"):
        return np.asarray(picture.convert("L")), False
    colours = np.asarray(picture.convert("RGB"))
    had_colour = bool((colours != colours[..., :1]).any())
    return np.asarray(picture.convert("RGB").convert("L")), had_colour


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each picture, in order."""
    if path.is_file() and path.suffix.lower() != ".zip":
        yield path.name, path.read_bytes()
        return
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.suffix.lower() in _PICTURES):
            if file.is_file() and not file.name.startswith("."):
                yield file.relative_to(path).as_posix(), file.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                inside = Path(name)
                hidden = inside.name.startswith(".") or "__MACOSX" in inside.parts
                if inside.suffix.lower() in _PICTURES and not hidden:
                    yield name, archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ImageError(
            f"{path}: not a whole .zip without a password ({_reason(error)}); pack it again"
        ) from None


def _size(image: NDArray[Any]) -> str:
    return f"{image.shape[1]} x {image.shape[0]} pixels"


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
