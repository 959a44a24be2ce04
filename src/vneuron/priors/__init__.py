"""Priors: what a unit's posterior is held against."""

from .learned import LearnedNormal
from .standard import StandardNormal

__all__ = ["LearnedNormal", "StandardNormal"]
