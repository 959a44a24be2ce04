"""Image models by iterative inference, in scikit-learn's manner; needs the extra `imaging`."""

from .amortised import GaussianVAE, PoissonVAE
from .estimator import AbstractImageModel, CodeStep
from .images import ImageError, load_images
from .iterative_gaussian import IterativeGaussianVAE
from .iterative_poisson import IterativePoissonVAE
from .loading import load_model
from .patches import cut_patches, whiten
from .predictive_coding import PredictiveCoding
from .sparse_coding import SparseCoding

__all__ = [
    "AbstractImageModel",
    "CodeStep",
    "GaussianVAE",
    "ImageError",
    "IterativeGaussianVAE",
    "IterativePoissonVAE",
    "PoissonVAE",
    "PredictiveCoding",
    "SparseCoding",
    "cut_patches",
    "load_images",
    "load_model",
    "whiten",
]
