"""Distributional units for PyTorch: a unit infers q(z | h), draws z, and records its local KL."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .autopilot import AutoPilot
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
    from .forecasting import EVEForecaster
    from .objective import free_energy, penalties
    from .priors import AutoregressiveNormal, LearnedNormal, MacroNormal, StandardNormal
    from .units import (
        DeterministicUnits,
        EachPosition,
        GaussianUnits,
        LaplaceUnits,
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

__all__ = [
    "AbstractControl",
    "AbstractDynamicPrior",
    "AbstractPrior",
    "AbstractScaleControl",
    "AbstractUnit",
    "AdjustableUnit",
    "Allocation",
    "AutoPilot",
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
    "LaplaceUnits",
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

# Where each name lives. Nothing is imported before it is asked for: `vneuron --help` needs no
# torch, and who wants the layers alone does not pay for the forecaster's imports (pandas and more).
_ROOMS = {
    "autopilot": ("AutoPilot",),
    "controls": (
        "Allocation",
        "BandCalibration",
        "EnergyBand",
        "Homeostasis",
        "KLBudget",
        "Projection",
        "ScaleGuard",
        "ShareBalance",
        "attach_preset",
        "control_step",
        "prepare_controls",
        "prune",
        "rescale",
    ),
    "core": (
        "AbstractControl",
        "AbstractDynamicPrior",
        "AbstractPrior",
        "AbstractScaleControl",
        "AbstractUnit",
        "AdjustableUnit",
        "Collect",
        "Info",
        "Latent",
        "LocalTerm",
        "PriorContext",
        "Reader",
        "Span",
        "UnitStatistics",
        "deterministic",
        "muted",
        "record",
    ),
    "forecasting": ("EVEForecaster",),
    "objective": (
        "free_energy",
        "penalties",
    ),
    "priors": (
        "AutoregressiveNormal",
        "LearnedNormal",
        "MacroNormal",
        "StandardNormal",
    ),
    "units": (
        "DeterministicUnits",
        "EachPosition",
        "GaussianUnits",
        "LaplaceUnits",
        "LocalUnits",
        "PoissonUnits",
    ),
    "vitals": (
        "Health",
        "Thresholds",
        "Verdict",
        "categorical_information",
        "conditional_variance",
        "draw_outputs",
        "gaussian_information",
        "health",
        "measure_use",
    ),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("vneuron")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
