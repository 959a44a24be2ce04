"""The gratings that atoms are tuned to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .stimuli import grating

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit_gratings"]

_FREQUENCIES = tuple(round(0.04 * 1.12**k, 4) for k in range(22))


def fit_gratings(
    atoms: Any, orientations: int = 36, frequencies: Sequence[float] = _FREQUENCIES
) -> pd.DataFrame:
    """The grating that each atom answers to most, and how choosy it is.

    An atom's energy at (θ, f) is the share of its own that the best grating of any phase takes up
    within the atom's contrast: ⟨a, g_cos⟩² + ⟨a, g_sin⟩² over ½ ‖a‖² ‖g‖².

    Args:
        atoms: [latents, h, w], such as `portrait.atoms` reshaped; their means are taken off.
        orientations: how many, over half a turn.
        frequencies: in cycles per pixel; up to 0.5.

    Returns:
        One row an atom: `orientation` in degrees [0, 180), the direction across the bars;
        `frequency`; `phase` in radians at the centre; `energy` at the best grating, in [0, about
        1]; `selectivity`, |Σ E e^{2iθ}| / Σ E over orientations at the best frequency (1 minus the
        circular variance): 0 answers to all alike, 1 to one; `bandwidth`, the half width at half
        height in degrees (NaN where the energy never falls to half). All NaN for an empty atom.

    Example:
        >>> atom = grating((16, 16), orientation=math.pi / 4, frequency=0.2)
        >>> row = fit_gratings(atom[None]).iloc[0]
        >>> float(row["orientation"]), round(float(row["frequency"]), 1)
        (45.0, 0.2)
    """
    import pandas as pd

    pictures = torch.as_tensor(np.asarray(atoms), dtype=torch.float32)
    shape = (pictures.shape[1], pictures.shape[2])
    rows = pictures.flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    size = rows.square().sum(1)
    rows = rows / size.clamp_min(1e-30).sqrt()[:, None]
    angles = torch.arange(orientations) * (math.pi / orientations)
    waves = torch.tensor(list(frequencies))
    # [orientations, frequencies, 2, pixels]
    bank = torch.stack(
        [grating(shape, angles[:, None], waves, phase) for phase in (0.0, -math.pi / 2)], 2
    ).flatten(3)
    bank = bank - bank.mean(-1, keepdim=True)
    parts = torch.einsum("kp,ofsp->kofs", rows, bank)
    norm = bank.square().sum(-1).mean(-1)  # of the two phases: half of it is what one takes up
    energy = parts.square().sum(-1) / norm
    flat = energy.flatten(1).argmax(1)
    best_angle, best_wave = flat // len(waves), flat % len(waves)
    each = torch.arange(len(rows))
    curve = energy[each, :, best_wave]
    mean_direction = (curve * torch.exp(2j * angles)).sum(1).abs() / curve.sum(1)
    cos, sin = parts[each, best_angle, best_wave].unbind(-1)
    found = pd.DataFrame(
        {
            "orientation": (angles[best_angle] * (180 / math.pi)).numpy(),
            "frequency": waves[best_wave].numpy(),
            "phase": torch.atan2(-sin, cos).numpy(),
            "energy": curve[each, best_angle].numpy(),
            "selectivity": mean_direction.numpy(),
            "bandwidth": _half_width(curve.numpy(), best_angle.numpy()),
        }
    )
    found[(size == 0).numpy()] = np.nan
    return found


def _half_width(curves: np.ndarray[Any, Any], best: np.ndarray[Any, Any]) -> list[float]:
    """Degrees from the peak to half of it, the mean of both sides, between grid points linearly."""
    widths = []
    count = curves.shape[1]
    for curve, peak in zip(curves, best, strict=True):
        sides: list[float] = []
        for direction in (1, -1) if curve[peak] > 0 else ():
            walk = curve[(peak + direction * np.arange(count // 2 + 1)) % count] / curve[peak]
            below = np.flatnonzero(walk <= 0.5)
            if len(below):
                last = int(below[0])
                fraction = (walk[last - 1] - 0.5) / (walk[last - 1] - walk[last])
                sides.append((last - 1 + fraction) * 180 / count)
        widths.append(float(np.mean(sides)) if len(sides) == 2 else math.nan)
    return widths
