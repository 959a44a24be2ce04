"""Layers of units."""

from .deterministic import DeterministicUnits
from .gaussian import GaussianUnits

__all__ = ["DeterministicUnits", "GaussianUnits"]
