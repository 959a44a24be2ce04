"""Vitals: what is measured on units, and what it says about their health."""

from .draws import (
    categorical_information,
    conditional_variance,
    draw_outputs,
    gaussian_information,
)
from .health import Health, LayerHealth, health
from .use import measure_use
from .verdict import Thresholds, UnitVitals, Verdict, judge

__all__ = [
    "Health",
    "LayerHealth",
    "Thresholds",
    "UnitVitals",
    "Verdict",
    "categorical_information",
    "conditional_variance",
    "draw_outputs",
    "gaussian_information",
    "health",
    "judge",
    "measure_use",
]
