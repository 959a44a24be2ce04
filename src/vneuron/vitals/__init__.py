"""Vitals: what is measured on units, and what it says about their health."""

from .health import Health, health
from .verdict import Thresholds, UnitVitals, Verdict, judge

__all__ = ["Health", "Thresholds", "UnitVitals", "Verdict", "health", "judge"]
