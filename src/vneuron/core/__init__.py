"""The interfaces: units, priors, controls, and the ledger that carries local terms."""

from .clock import Clock, Duration, Span, check_duration
from .collect import Collect
from .control import (
    AbstractControl,
    AbstractScaleControl,
    EnergyBounds,
    HasBounds,
    Info,
    Rescaling,
    ScaleForm,
    band_of,
    bounds_of,
    check_form,
)
from .ledger import LocalTerm, join_terms, muted, record
from .mode import deterministic
from .pairs import PairStatistics
from .reader import Reader
from .reduce import BatchSummary
from .statistics import ALIVE_KL, UnitStatistics, summarize
from .unit import (
    AbstractDynamicPrior,
    AbstractPrior,
    AbstractUnit,
    AdjustableUnit,
    Latent,
    PriorContext,
    units_by_name,
    units_of,
)

__all__ = [
    "ALIVE_KL",
    "AbstractControl",
    "AbstractDynamicPrior",
    "AbstractPrior",
    "AbstractScaleControl",
    "AbstractUnit",
    "AdjustableUnit",
    "BatchSummary",
    "Clock",
    "Collect",
    "Duration",
    "EnergyBounds",
    "HasBounds",
    "Info",
    "Latent",
    "LocalTerm",
    "PairStatistics",
    "PriorContext",
    "Reader",
    "Rescaling",
    "ScaleForm",
    "Span",
    "UnitStatistics",
    "band_of",
    "bounds_of",
    "check_duration",
    "check_form",
    "deterministic",
    "join_terms",
    "muted",
    "record",
    "summarize",
    "units_by_name",
    "units_of",
]
