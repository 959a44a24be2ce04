"""Image models by iterative inference, in scikit-learn's manner; needs the extra `imaging`."""

from .amortised import GaussianVAE, PoissonVAE
from .categorical import CategoricalVAE
from .estimator import AbstractImageModel, CodeStep
from .files import load_images
from .hybrid import IterativeAmortisedVAE, SemiAmortisedVAE
from .images import ImageError
from .iterative_gaussian import IterativeGaussianVAE
from .iterative_poisson import IterativePoissonVAE
from .laplace import LaplaceVAE
from .loading import load_model
from .patches import cut_patches, whiten
from .predictive_coding import PredictiveCoding
from .sparse_coding import SparseCoding

__all__ = [
    "AbstractImageModel",
    "CategoricalVAE",
    "CodeStep",
    "GaussianVAE",
    "ImageError",
    "IterativeAmortisedVAE",
    "IterativeGaussianVAE",
    "IterativePoissonVAE",
    "LaplaceVAE",
    "PoissonVAE",
    "PredictiveCoding",
    "SemiAmortisedVAE",
    "SparseCoding",
    "cut_patches",
    "load_images",
    "load_model",
    "whiten",
]
