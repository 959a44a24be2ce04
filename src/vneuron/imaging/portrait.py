"""What there is to show of a fitted model: atoms, examples on the way, scores, prices."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .codes import code_cost, count_model
from .estimator import AbstractImageModel
from .evaluation import score_steps

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Portrait", "atoms", "portray", "step_ladder", "trade_off"]

_SCORED = 1000
_PRICED = 300
_EXAMPLES = 8
_ATOMS = 256
_ROWS = 48
_PROBES = 64
_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# What weighs sparsity against fidelity while codes are inferred, by the name of the model.
_PRICES = {
    "IterativePoissonVAE": "beta",
    "IterativeGaussianVAE": "beta",
    "SparseCoding": "penalty",
}


class Portrait(NamedTuple):
    """Plain values and arrays, all that a page about the model is made of.

    Attributes:
        scores: rows of `score_steps`, at powers of two up to four times the model's own steps.
        cost: of the test images' codes, as `CodeCost`; None where codes are not counts.
        trade_off: see `trade_off`; None where inference has no price.
        codes: of the test images, [n, latents].
        arrays: `atoms` [a, h, w] in order of `atom_use` [a], the mean activity; `images`
            [e, h, w] and `reconstructions` [e, s, h, w] from mean codes after each of `steps`
            [s]; `activity` [e, t, rows], draws of the latents `rows` after each step.
    """

    scores: list[dict[str, Any]]
    cost: dict[str, Any] | None
    trade_off: dict[str, Any] | None
    codes: NDArray[Any]
    arrays: dict[str, NDArray[Any]]


def portray(model: AbstractImageModel, train: Any, test: Any) -> Portrait:
    """Judge a model on test images and gather what shows how it works.

    Args:
        model: fitted.
        train: images that it learned from; what counts cost is worked out from their codes.
        test: other images; at most 1,000 are scored.
    """
    scored = test[:_SCORED]
    ladder = step_ladder(model)
    codes = model.transform(test)
    cost = None
    if model._counts():
        table = count_model(model.transform(train[: 2 * _SCORED]))
        pixels = model.n_features_in_
        cost = code_cost(codes, table, pixels)._asdict() | {"latents": model.latents}
    return Portrait(
        scores=_records(score_steps(model, scored, ladder)),
        cost=cost,
        trade_off=trade_off(model, train[:_PRICED], test[:_PRICED]),
        codes=codes,
        arrays=_shown_atoms(model, codes) | _examples(model, test[:_EXAMPLES], ladder),
    )


def step_ladder(model: AbstractImageModel) -> list[int]:
    """Numbers of steps worth looking at: powers of two to four times the model's own, and these.

    Example:
        >>> from vneuron.imaging import IterativePoissonVAE
        >>> step_ladder(IterativePoissonVAE(steps=6))
        [1, 2, 4, 6, 8, 16, 24]
    """
    if "steps" not in model.get_params():
        return [1]
    own = {model.steps, 4 * model.steps}
    powers = (2**k for k in range(max(own).bit_length()))
    apart = {p for p in powers if p < max(own) and all(abs(math.log2(p / n)) > 0.4 for n in own)}
    return sorted(apart | own)


def atoms(model: AbstractImageModel) -> NDArray[np.float32]:
    """What each latent adds to an image by itself: f(e_k) − f(0), [latents, features], scaled.

    The columns of the dictionary, where the decoder is linear.
    """
    device = next(model.module_.parameters()).device
    found = []
    with torch.no_grad():
        rest = model.decode(torch.zeros(1, model.latents, device=device))
        for latents in torch.split(torch.arange(model.latents), _PROBES):
            alone = torch.nn.functional.one_hot(latents, model.latents).float()
            found.append((model.decode(alone.to(device)) - rest).cpu())
    return torch.cat(found).numpy()


def trade_off(model: AbstractImageModel, train: Any, test: Any) -> dict[str, Any] | None:
    """Rate against distortion of one dictionary: codes inferred at other prices than it learned at.

    Args:
        model: fitted.
        train: images whose codes tell how long a count's ideal code word is.
        test: images whose codes are scored.

    Returns:
        `parameter`, the price's name; `own`, its value in training; and `points`, one for each
        price: `price`, `r2_pooled`, `zeros`, `distance`, `activity`, and `bits_per_pixel` where
        codes are counts (else None). None where inference has no price.
    """
    name = _PRICES.get(type(model).__name__)
    if name is None or getattr(model, "learning", "closed_form") != "closed_form":
        return None
    set_to = getattr(model, name)
    own = float(getattr(model, "CLOSED_FORM_BETA", math.nan) if set_to is None else set_to)
    if not own > 0:
        return None
    points = []
    for factor in _FACTORS:
        priced = copy.copy(model)  # the module is shared: only the price differs
        setattr(priced, name, factor * own)
        row = score_steps(priced, test, [2 * model.steps]).iloc[-1]
        point: dict[str, float | None] = {"price": factor * own, "bits_per_pixel": None}
        point |= {key: float(row[key]) for key in ("r2_pooled", "zeros", "distance", "activity")}
        if model._counts():
            table = count_model(priced.transform(train, steps=2 * model.steps))
            codes = priced.transform(test, steps=2 * model.steps)
            cost = code_cost(codes, table, model.n_features_in_)
            point["bits_per_pixel"] = cost.bits_per_pixel
        points.append(point)
    return {"parameter": name, "own": own, "points": points}


def _shown_atoms(model: AbstractImageModel, codes: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The most active atoms, as pictures."""
    use = np.abs(codes).mean(0)
    order = np.argsort(-use, kind="stable")[:_ATOMS]
    pictures = atoms(model)[order].reshape(len(order), *_picture_shape(model.shape_))
    return {"atoms": pictures, "atom_use": use[order].astype(np.float32)}


def _examples(
    model: AbstractImageModel, images: Any, steps: Sequence[int]
) -> dict[str, NDArray[Any]]:
    """A few images, their reconstructions on the way, and the activity of the busiest latents."""
    drawn: list[Tensor] = []
    decoded: list[Tensor] = []
    for batch, trajectory in model.trajectories(images, steps[-1]):  # one batch: they are few
        shown = batch.cpu().numpy()
        for number, step in enumerate(trajectory, start=1):
            drawn.append(step.draw().cpu())
            if number in steps:
                decoded.append(model.decode(step.mean).cpu())
    activity = torch.stack(drawn, 1)
    busiest = activity.abs().sum((0, 1)).argsort(descending=True, stable=True)[:_ROWS]
    shape = _picture_shape(model.shape_)
    pictures = torch.stack(decoded, 1).numpy()
    return {
        "images": shown.reshape(-1, *shape),
        "reconstructions": pictures.reshape(*pictures.shape[:2], *shape),
        "steps": np.array([step for step in steps if step <= len(drawn)]),
        "activity": activity[:, :, busiest].numpy(),
        "rows": busiest.numpy(),
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]


def _picture_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows of pixels are shown as a square if they fill one, else as a line."""
    if len(shape) == 2:
        return shape[0], shape[1]
    pixels = math.prod(shape)
    side = math.isqrt(pixels)
    return (side, side) if side * side == pixels else (1, pixels)
