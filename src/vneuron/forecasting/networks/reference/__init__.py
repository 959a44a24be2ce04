"""The papers' forecaster, with the sampled z on the only path to the forecast."""

from .network import ReferenceNetwork
from .task import ReferenceObjective, ReferenceTask

__all__ = ["ReferenceNetwork", "ReferenceObjective", "ReferenceTask"]
