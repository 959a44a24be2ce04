"""Iterative inference: posteriors found by natural-gradient steps on the free energy."""

from .decoding import AbstractDecoder, LinearDecoder, NonlinearDecoder
from .descent import DescentState, descend, descent_step, init_descent
from .gamma_prior import GammaPrior
from .gaussian import Activation, GaussianState, IterativeGaussian
from .model import AbstractIterativeModel, Belief, Constants, Moments, StepTerms
from .natural import Evidence, GaussianBelief, linear_evidence, natural_step
from .options import InferenceOptions
from .poisson import IterativePoisson, PoissonState
from .unroll import unroll

__all__ = [
    "AbstractDecoder",
    "AbstractIterativeModel",
    "Activation",
    "Belief",
    "Constants",
    "DescentState",
    "Evidence",
    "GammaPrior",
    "GaussianBelief",
    "GaussianState",
    "InferenceOptions",
    "IterativeGaussian",
    "IterativePoisson",
    "LinearDecoder",
    "Moments",
    "NonlinearDecoder",
    "PoissonState",
    "StepTerms",
    "descend",
    "descent_step",
    "init_descent",
    "linear_evidence",
    "natural_step",
    "unroll",
]
