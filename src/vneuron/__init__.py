"""Distributional units for PyTorch: a unit infers q(z | h), draws z, and records its local KL."""

from typing import TYPE_CHECKING, Any

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
from .units import DeterministicUnits, GaussianUnits, PoissonUnits
from .vitals import Health, Thresholds, Verdict, health

if TYPE_CHECKING:
    from .forecasting import EVEForecaster

__all__ = [
    "AbstractControl",
    "AbstractPrior",
    "AbstractUnit",
    "Collect",
    "DeterministicUnits",
    "EVEForecaster",
    "GaussianUnits",
    "Health",
    "Info",
    "Latent",
    "LearnedNormal",
    "LocalTerm",
    "PoissonUnits",
    "StandardNormal",
    "Thresholds",
    "UnitStatistics",
    "Verdict",
    "__version__",
    "control_step",
    "deterministic",
    "free_energy",
    "health",
    "muted",
    "record",
]


def __getattr__(name: str) -> Any:
    # Whoever wants the layers alone does not pay for the forecaster's imports (pandas and more).
    if name == "EVEForecaster":
        from .forecasting import EVEForecaster

        return EVEForecaster
    if name == "__version__":
        from importlib.metadata import version

        return version("vneuron")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
