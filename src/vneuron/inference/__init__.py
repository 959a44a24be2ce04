"""Iterative inference: posteriors found by natural-gradient steps on the free energy."""

from .decoding import AbstractDecoder, LinearDecoder, NonlinearDecoder
from .gaussian import Activation, GaussianState, IterativeGaussian
from .model import AbstractIterativeModel, Constants, StepTerms
from .options import InferenceOptions
from .poisson import IterativePoisson, PoissonState

__all__ = [
    "AbstractDecoder",
    "AbstractIterativeModel",
    "Activation",
    "Constants",
    "GaussianState",
    "InferenceOptions",
    "IterativeGaussian",
    "IterativePoisson",
    "LinearDecoder",
    "NonlinearDecoder",
    "PoissonState",
    "StepTerms",
]
