"""Priors: what a unit's posterior is held against."""

from .autoregressive import AutoregressiveNormal
from .learned import LearnedNormal
from .macro import MacroNormal
from .standard import StandardNormal

__all__ = ["AutoregressiveNormal", "LearnedNormal", "MacroNormal", "StandardNormal"]
