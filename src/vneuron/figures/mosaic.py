"""Small grey pictures as PNG, alone or side by side, without an imaging library."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["atlas", "data_uri", "grey", "png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY_AND_ALPHA = 4


def grey(values: Any, low: float, high: float) -> NDArray[np.uint8]:
    """Numbers as grey levels: `low` is black, `high` white, what lies beyond is cut off.

    Args:
        values: any shape; what is not finite becomes black.
        low: at most `high`; if equal, everything is mid-grey.
        high: see `low`.

    Example:
        >>> grey([0.0, 0.5, 2.0], 0.0, 1.0)
        array([  0, 128, 255], dtype=uint8)
    """
    array = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=low, posinf=high, neginf=low)
    share = (array - low) / (high - low) if high > low else np.full(array.shape, 0.5)
    return np.rint(255.0 * share.clip(0.0, 1.0)).astype(np.uint8)


def atlas(pictures: Any, columns: int) -> NDArray[np.uint8]:
    """Pictures side by side, each scaled by its own largest value; zero is mid-grey.

    Args:
        pictures: [n, h, w].
        columns: pictures in a row.

    Returns:
        [rows · (h + 1) − 1, columns · (w + 1) − 1, 2]: grey and opacity; gaps are transparent.

    Raises:
        ValueError: if the shape is another, or columns is below 1.

    Example:
        >>> atlas(np.ones((3, 4, 4)), columns=2).shape
        (9, 9, 2)
    """
    array = np.asarray(pictures, dtype=np.float64)
    if array.ndim != 3 or 0 in array.shape or columns < 1:
        raise ValueError(
            f"pictures have shape {array.shape} and columns is {columns}, expected [n, h, w] and "
            "at least 1: give some pictures."
        )
    n, h, w = array.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    largest = np.abs(array).max((1, 2), keepdims=True)
    tones = grey(array / np.where(largest > 0, largest, 1.0), -1.0, 1.0)
    sheet = np.zeros((rows * (h + 1), columns * (w + 1), 2), dtype=np.uint8)
    for number, tone in enumerate(tones):
        top, left = (h + 1) * (number // columns), (w + 1) * (number % columns)
        sheet[top : top + h, left : left + w] = np.stack([tone, np.full_like(tone, 255)], -1)
    return sheet[:-1, :-1]


def png(tones: NDArray[np.uint8]) -> bytes:
    """A PNG file of grey levels [h, w], or of grey levels and opacity [h, w, 2].

    Source: Portable Network Graphics (third edition), W3C.

    Raises:
        ValueError: if the array is neither.

    Example:
        >>> png(np.zeros((2, 3), dtype=np.uint8))[1:4]
        b'PNG'
    """
    if tones.dtype != np.uint8 or tones.ndim not in (2, 3) or tones.shape[2:] not in ((), (2,)):
        raise ValueError(
            f"tones are {tones.dtype} of shape {tones.shape}, expected uint8 [h, w] or [h, w, 2]: "
            "pass what grey or atlas returned."
        )
    height, width = tones.shape[:2]
    kind = _GREY_AND_ALPHA if tones.ndim == 3 else 0
    lines = np.ascontiguousarray(tones).reshape(height, -1)
    unfiltered = np.concatenate([np.zeros((height, 1), dtype=np.uint8), lines], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(unfiltered.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def data_uri(tones: NDArray[np.uint8]) -> str:
    """A picture as the address of itself, for a page that needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(png(tones)).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
