"""Distributional units for PyTorch: a unit infers q(z | h), draws z, and records its local KL."""

from .controls import control_step
from .core import (
    AbstractControl,
    AbstractPrior,
    AbstractUnit,
    Collect,
    Info,
    Latent,
    LocalTerm,
    UnitStatistics,
    deterministic,
    muted,
    record,
)
from .objective import free_energy
from .priors import LearnedNormal, StandardNormal
from .units import DeterministicUnits, GaussianUnits

__all__ = [
    "AbstractControl",
    "AbstractPrior",
    "AbstractUnit",
    "Collect",
    "DeterministicUnits",
    "GaussianUnits",
    "Info",
    "Latent",
    "LearnedNormal",
    "LocalTerm",
    "StandardNormal",
    "UnitStatistics",
    "control_step",
    "deterministic",
    "free_energy",
    "muted",
    "record",
]
