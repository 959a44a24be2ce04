"""Layers of units."""

from .deterministic import DeterministicUnits
from .gaussian import GaussianUnits
from .laplace import LaplaceUnits
from .local import LocalUnits
from .poisson import PoissonUnits
from .positions import EachPosition

__all__ = [
    "DeterministicUnits",
    "EachPosition",
    "GaussianUnits",
    "LaplaceUnits",
    "LocalUnits",
    "PoissonUnits",
]
