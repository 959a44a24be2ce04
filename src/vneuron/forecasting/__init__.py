"""Forecasts of whole trajectories: frames in, frames out."""

from .errors import DataError
from .forecaster import EVEForecaster, NotFittedError

__all__ = ["DataError", "EVEForecaster", "NotFittedError"]
