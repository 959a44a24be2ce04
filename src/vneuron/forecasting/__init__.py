"""Forecasts of whole trajectories: frames in, frames out."""

from .data.errors import DataError, NotFittedError
from .forecaster import EVEForecaster

__all__ = ["DataError", "EVEForecaster", "NotFittedError"]
