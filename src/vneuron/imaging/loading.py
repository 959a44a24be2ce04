"""Models from disk, whatever their kind."""

from __future__ import annotations

from pathlib import Path

from ..training.run_folder import RunFolder
from .amortised import GaussianVAE, PoissonVAE
from .categorical import CategoricalVAE
from .estimator import AbstractImageModel
from .hybrid import IterativeAmortisedVAE, SemiAmortisedVAE
from .iterative_gaussian import IterativeGaussianVAE
from .iterative_poisson import IterativePoissonVAE
from .laplace import LaplaceVAE
from .predictive_coding import PredictiveCoding
from .sparse_coding import SparseCoding

__all__ = ["MODELS", "load_model"]

MODELS: dict[str, type[AbstractImageModel]] = {
    kind.__name__: kind
    for kind in (
        IterativePoissonVAE,
        IterativeGaussianVAE,
        SparseCoding,
        PredictiveCoding,
        PoissonVAE,
        GaussianVAE,
        LaplaceVAE,
        CategoricalVAE,
        IterativeAmortisedVAE,
        SemiAmortisedVAE,
    )
}


def load_model(path: str | Path, device: str | None = None) -> AbstractImageModel:
    """The fitted model that a folder holds.

    Args:
        path: what `save`, or `fit(run_dir=...)`, wrote.
        device: where the model is to be, if not where it was fitted.

    Raises:
        RunFolderError: if the folder is missing or damaged.
        ValueError: if it holds no image model.
    """
    kind = RunFolder.open(path).read_json("config.json").get("estimator")
    if kind not in MODELS:
        raise ValueError(
            f"{path}: holds no image model (its estimator is {kind!r}); expected one of "
            f"{sorted(MODELS)}: pass the folder that save wrote."
        )
    return MODELS[kind].load(path, device)
