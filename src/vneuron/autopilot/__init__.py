"""Search for configurations that listens to the units."""

from .pilot import AutoPilot

__all__ = ["AutoPilot"]
