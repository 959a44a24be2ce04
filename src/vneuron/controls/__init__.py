"""Controls, and the step that runs them."""

from .step import control_step

__all__ = ["control_step"]
