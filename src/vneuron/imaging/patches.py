"""Natural image patches: whitened pictures, and squares cut out of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .images import ImageError

__all__ = ["cut_patches", "tile", "whiten"]


def whiten(pictures: Any, cutoff: float = 0.4, logarithm: bool = True) -> NDArray[np.float32]:
    """Flatten the spectrum of natural pictures: amplitude |f| e^−(f/f₀)⁴, f in cycles per pixel.

    Natural amplitude falls as 1/|f|; multiplying by |f| leaves it flat, and the roll-off keeps
    noise and the corners of frequency space out. Each picture then has mean 0 and variance 1.
    Source: Olshausen and Field, Vision Research 37 (1997), p. 3315.

    Args:
        pictures: [n, h, w], not negative where `logarithm` is set.
        cutoff: f₀; Nyquist is 0.5.
        logarithm: take ln(1 + x) first, which tames highlights.

    Returns:
        [n, h, w].

    Raises:
        ImageError: if the shape is another, or a logarithm of negative pixels is asked for.

    Example:
        >>> white = whiten(np.random.default_rng(0).random((2, 32, 32)))
        >>> white.shape, bool(abs(white.mean()) < 1e-6)
        ((2, 32, 32), True)
    """
    array = np.asarray(pictures, dtype=np.float64)
    if array.ndim != 3:
        raise ImageError(f"pictures have shape {array.shape}, expected [n, h, w]: stack them")
    if logarithm:
        if array.min() < 0:
            raise ImageError(
                f"pictures have pixels down to {array.min():.3g}, whose logarithm there is not; "
                "pass logarithm=False"
            )
        array = np.log1p(array)
    frequency = np.hypot(
        np.fft.fftfreq(array.shape[1])[:, None], np.fft.fftfreq(array.shape[2])[None, :]
    )
    gain = frequency * np.exp(-((frequency / cutoff) ** 4))
    white = np.fft.ifft2(np.fft.fft2(array) * gain).real
    white -= white.mean((1, 2), keepdims=True)
    spread = white.std((1, 2), keepdims=True)
    return (white / np.where(spread > 0, spread, 1.0)).astype(np.float32)


def cut_patches(
    pictures: Any, n: int, size: int = 16, min_contrast: float = 0.0, seed: int = 0
) -> NDArray[np.float32]:
    """Squares from random places of random pictures.

    Args:
        pictures: [pictures, h, w].
        n: how many patches.
        size: side of a patch, in pixels.
        min_contrast: patches with a lower standard deviation, in units of that of all pictures,
            are drawn again: sky and walls have next to nothing to code.
        seed: of the places.

    Returns:
        [n, size, size].

    Raises:
        ImageError: if the pictures are too small, or too few places have that contrast.

    Example:
        >>> cut_patches(np.random.default_rng(0).random((2, 32, 32)), 5, size=8).shape
        (5, 8, 8)
    """
    array = np.asarray(pictures, dtype=np.float32)
    if array.ndim != 3 or min(array.shape[1:], default=0) < size:
        raise ImageError(
            f"pictures have shape {array.shape}, expected [n, h, w] of at least {size} x {size}: "
            "pass larger pictures or a smaller size"
        )
    rng = np.random.default_rng(seed)
    windows = np.lib.stride_tricks.sliding_window_view(array, (size, size), axis=(1, 2))
    least = min_contrast * array.std()
    kept: list[NDArray[np.float32]] = []
    found = tried = 0
    while found < n:
        places = (rng.integers(0, extent, n) for extent in windows.shape[:3])
        drawn = windows[tuple(places)]
        kept.append(drawn[drawn.std((1, 2)) >= least])
        found, tried = found + len(kept[-1]), tried + n
        if found * 1000 < tried:
            raise ImageError(
                f"fewer than one place in a thousand has the contrast {min_contrast}; expected "
                "more: lower min_contrast"
            )
    return np.concatenate(kept)[:n]


def tile(pictures: Any, size: int = 16) -> NDArray[np.float32]:
    """Squares side by side, row after row, picture after picture; a margin that fills none is cut.

    Args:
        pictures: [pictures, h, w].
        size: side of a square, in pixels.

    Returns:
        [pictures · (h // size) · (w // size), size, size].

    Raises:
        ImageError: if the pictures are too small.

    Example:
        >>> tile(np.arange(16.0).reshape(1, 4, 4), size=2)[1]
        array([[2., 3.],
               [6., 7.]], dtype=float32)
    """
    array = np.asarray(pictures, dtype=np.float32)
    if array.ndim != 3 or min(array.shape[1:], default=0) < size:
        raise ImageError(
            f"pictures have shape {array.shape}, expected [n, h, w] of at least {size} x {size}: "
            "pass larger pictures or a smaller size"
        )
    n, rows, columns = array.shape[0], array.shape[1] // size, array.shape[2] // size
    cut = array[:, : rows * size, : columns * size].reshape(n, rows, size, columns, size)
    return np.ascontiguousarray(cut.swapaxes(2, 3).reshape(-1, size, size))
