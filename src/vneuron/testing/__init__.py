"""The conformance kit: checks that a unit, prior or control of your own must pass."""

from .control import check_control
from .unit import check_prior, check_unit

__all__ = ["check_control", "check_prior", "check_unit"]
