"""The interfaces: units, priors, controls, and the ledger that carries local terms."""

from .collect import Collect
from .control import AbstractControl, Info
from .ledger import LocalTerm, muted, record
from .mode import deterministic
from .statistics import UnitStatistics
from .unit import AbstractPrior, AbstractUnit, Latent, units_of

__all__ = [
    "AbstractControl",
    "AbstractPrior",
    "AbstractUnit",
    "Collect",
    "Info",
    "Latent",
    "LocalTerm",
    "UnitStatistics",
    "deterministic",
    "muted",
    "record",
    "units_of",
]
