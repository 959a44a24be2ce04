"""Layers of units."""

from .deterministic import DeterministicUnits
from .gaussian import GaussianUnits
from .poisson import PoissonUnits

__all__ = ["DeterministicUnits", "GaussianUnits", "PoissonUnits"]
