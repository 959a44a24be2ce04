"""Distributional units for PyTorch: a unit infers q(z | h), draws z, and records its local KL."""

from typing import TYPE_CHECKING, Any

from .controls import (
    Allocation,
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
    prune,
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
from .units import (
    DeterministicUnits,
    EachPosition,
    GaussianUnits,
    LocalUnits,
    PoissonUnits,
)
from .vitals import (
    Health,
    Thresholds,
    Verdict,
    categorical_information,
    conditional_variance,
    draw_outputs,
    gaussian_information,
    health,
    measure_use,
)

if TYPE_CHECKING:
    from .forecasting import EVEForecaster

__all__ = [
    "AbstractControl",
    "AbstractDynamicPrior",
    "AbstractPrior",
    "AbstractScaleControl",
    "AbstractUnit",
    "AdjustableUnit",
    "Allocation",
    "AutoregressiveNormal",
    "BandCalibration",
    "Collect",
    "DeterministicUnits",
    "EVEForecaster",
    "EachPosition",
    "EnergyBand",
    "GaussianUnits",
    "Health",
    "Homeostasis",
    "Info",
    "KLBudget",
    "Latent",
    "LearnedNormal",
    "LocalTerm",
    "LocalUnits",
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
    "categorical_information",
    "conditional_variance",
    "control_step",
    "deterministic",
    "draw_outputs",
    "free_energy",
    "gaussian_information",
    "health",
    "measure_use",
    "muted",
    "penalties",
    "prepare_controls",
    "prune",
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
