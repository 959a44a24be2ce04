"""What the series of a fit share: one set of loadings for each, by their place at the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from .data.rows import Floats, Ints
from .laws.coupled import Loadings


@dataclass(frozen=True, eq=False)
class Coupling:
    """Learned loadings of units and own noise.

    Attributes:
        loadings: of every series of the fit, double precision.
        gain: what coupling takes off the joint NLL of the series (32 of more) on validation
            windows, nats per step and series; 0 where nothing helped, and then nothing is coupled.
    """

    loadings: Loadings
    gain: float

    def of(self, identity: Ints) -> Loadings:
        """The loadings of a panel's series.

        Args:
            identity: position of each at the fit; −1 for one new to it, which shares nothing.
        """
        known = torch.from_numpy(identity >= 0)
        rows = self.loadings.take(torch.from_numpy(np.maximum(identity, 0)))
        return Loadings(rows.units * known[:, None, None], rows.noise * known[:, None])

    @classmethod
    def none(cls, series: int, units: int) -> Coupling:
        """Series that share nothing."""
        nothing = torch.zeros(series, units, 1, dtype=torch.float64)
        return cls(Loadings(nothing, nothing[:, 0]), 0.0)

    def as_arrays(self) -> dict[str, Floats]:
        """Plain arrays, for a file."""
        return {
            "units": self.loadings.units.numpy(),
            "noise": self.loadings.noise.numpy(),
            "gain": np.array(self.gain),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> Coupling:
        """What `as_arrays` gave."""
        loadings = Loadings(torch.from_numpy(arrays["units"]), torch.from_numpy(arrays["noise"]))
        return cls(loadings, float(arrays["gain"]))
