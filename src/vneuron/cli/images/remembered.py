"""A run's image model, and new images read the way its own were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...imaging import AbstractImageModel
    from ...imaging.files import ImageFile


def read_model(run: Path, *, device: str | None, seed: int | None) -> AbstractImageModel:
    """The fitted model of a run.

    Args:
        run: its folder.
        device: where it is to be; None is where it was fitted.
        seed: of the draws; None is that of the fit.
    """
    from ...imaging import load_model

    model = load_model(run, device)
    if seed is not None:
        model.seed = seed
    return model


def read_images_like(
    run: Path, data: str, *, key: str | None, drop_flat: bool = False
) -> ImageFile:
    """Images of the size that the run's model was fitted to; see `material.read_alike`."""
    from ...imaging.material import Recipe, read_alike
    from ...training.run_folder import RunFolder

    config = RunFolder.open(run).read_json("config.json")
    recipe = Recipe(**(config.get("source") or {}).get("recipe", {}))
    if key is not None:
        recipe = replace(recipe, key=key)
    return read_alike(data, recipe, tuple(config["data"]["shape"]), drop_flat=drop_flat)
