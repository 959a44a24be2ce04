"""Image models by iterative inference, in scikit-learn's manner; needs the extra `imaging`."""

from .estimator import AbstractImageModel, CodeStep
from .images import ImageError, load_images
from .iterative import IterativeGaussianVAE, IterativePoissonVAE
from .patches import cut_patches, whiten

__all__ = [
    "AbstractImageModel",
    "CodeStep",
    "ImageError",
    "IterativeGaussianVAE",
    "IterativePoissonVAE",
    "cut_patches",
    "load_images",
    "whiten",
]
