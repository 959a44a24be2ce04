"""Distributional units for PyTorch: a unit infers q(z | h), draws z, and records its local KL."""

from typing import TYPE_CHECKING, Any

from .controls import (
    BandCalibration,
    EnergyBand,
    Homeostasis,
    KLBudget,
    Projection,
    ScaleGuard,
    ShareBalance,
    attach_preset,
    control_step,
    prepare_controls,
    rescale,
)
from .core import (
    AbstractControl,
    AbstractDynamicPrior,
    AbstractPrior,
    AbstractScaleControl,
    AbstractUnit,
    AdjustableUnit,
    Collect,
    Info,
    Latent,
    LocalTerm,
    PriorContext,
    Reader,
    Span,
    UnitStatistics,
    deterministic,
    muted,
    record,
)
from .objective import free_energy, penalties
from .priors import AutoregressiveNormal, LearnedNormal, MacroNormal, StandardNormal
from .units import DeterministicUnits, GaussianUnits, PoissonUnits
from .vitals import Health, Thresholds, Verdict, health

if TYPE_CHECKING:
    from .forecasting import EVEForecaster

__all__ = [
    "AbstractControl",
    "AbstractDynamicPrior",
    "AbstractPrior",
    "AbstractScaleControl",
    "AbstractUnit",
    "AdjustableUnit",
    "AutoregressiveNormal",
    "BandCalibration",
    "Collect",
    "DeterministicUnits",
    "EVEForecaster",
    "EnergyBand",
    "GaussianUnits",
    "Health",
    "Homeostasis",
    "Info",
    "KLBudget",
    "Latent",
    "LearnedNormal",
    "LocalTerm",
    "MacroNormal",
    "PoissonUnits",
    "PriorContext",
    "Projection",
    "Reader",
    "ScaleGuard",
    "ShareBalance",
    "Span",
    "StandardNormal",
    "Thresholds",
    "UnitStatistics",
    "Verdict",
    "__version__",
    "attach_preset",
    "control_step",
    "deterministic",
    "free_energy",
    "health",
    "muted",
    "penalties",
    "prepare_controls",
    "record",
    "rescale",
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
