"""Multiplying units by a factor, in forms that say what they preserve."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..core import AbstractPrior, AbstractUnit, AdjustableUnit, ScaleForm, check_form

# Moments of a parameter that is multiplied by c: gradients are divided by c, their squares by c².
_FIRST = ("exp_avg", "momentum_buffer")
_SECOND = ("exp_avg_sq", "max_exp_avg_sq")


@torch.no_grad()
def rescale(
    unit: AbstractUnit, factor: Tensor, form: ScaleForm = "raw", optimizer: Optimizer | None = None
) -> None:
    """Multiply each unit of a layer by its own factor c_j, all its k dimensions together.

    | form  | multiplies                   | leaves                        | changes           |
    |-------|------------------------------|-------------------------------|-------------------|
    | raw   | µ by c                       | σ                             | function, SNR, KL |
    | mean  | µ by c, readers by 1/c       | the mean prediction, σ        | noise by 1/c, KL  |
    | gauge | µ and σ by c, readers by 1/c | the distribution of outputs   | KL alone          |

    Under "gauge" the KL from N(0, 1) moves by Σ_k [½(c² − 1) E(µ² + σ²) − ln c]. What is left is
    left to 1e-5 in single precision. The layer's running statistics are rescaled too, and under
    "mean" and "gauge" the moments of Adam-like optimisers and momentum of SGD: what the loss sees
    is the same, in other units. Under "raw" the gradient of W does not scale with W, so moments
    stay.

    Args:
        unit: the layer; it must be an `AdjustableUnit`, as `GaussianUnits` is.
        factor: c, positive, [units].
        form: "raw", "mean" or "gauge".
        optimizer: the one that trains the layer and its readers; None for none.

    Raises:
        ValueError: if the form is unknown, the factor has another shape, the layer cannot be
            rescaled, or "mean" or "gauge" meets no declared reader or a nonlinear one.

    Example:
        >>> import vneuron as vn
        >>> layer, head = vn.GaussianUnits(3, 4), torch.nn.Linear(4, 1)
        >>> layer.readers.append(vn.Reader(head))
        >>> h = torch.randn(5, 3)
        >>> with vn.deterministic(layer):
        ...     before = head(layer(h))
        ...     rescale(layer, torch.tensor([2.0, 0.5, 1.0, 3.0]), "mean")
        ...     bool(torch.allclose(head(layer(h)), before, atol=1e-5))
        True
    """
    check_form(form)
    if factor.shape != (unit.units,):
        raise ValueError(f"factor has shape {tuple(factor.shape)}, expected [{unit.units}].")
    if not isinstance(unit, AdjustableUnit):
        raise ValueError(
            f"{type(unit).__name__} {unit.name!r} cannot be rescaled, expected a layer with the "
            "methods of vneuron.AdjustableUnit: add them, or leave scale controls off."
        )
    if form != "raw":
        _check_readers(unit, form)
    compensated = form != "raw"
    for parameter in unit.location_parameters():
        rows = factor[:, None].expand(-1, unit.latent_dim).reshape(-1)
        rows = rows.view(-1, *[1] * (parameter.ndim - 1))
        _multiply(parameter, rows, optimizer if compensated else None)
    if form == "gauge":
        unit.multiply_scale(factor)
    if compensated:
        for reader in unit.readers:
            _multiply(reader.weight, reader.factors(factor.reciprocal()), optimizer)
    prior = getattr(unit, "prior", None)
    moments = prior.moments() if isinstance(prior, AbstractPrior) else None
    unit.statistics.rescale(factor, moments, scale_too=form == "gauge")


def _check_readers(unit: AbstractUnit, form: ScaleForm) -> None:
    if not unit.readers:
        raise ValueError(
            f"no reader of {unit.name!r} is declared, so form {form!r} has nothing to compensate: "
            "append vneuron.Reader(module) to unit.readers for each weight that multiplies the "
            'units, or use form "raw".'
        )
    for reader in unit.readers:
        if not reader.linear:
            raise ValueError(
                f"{unit.name!r} is read nonlinearly by {type(reader.module).__name__}, which form "
                f'{form!r} cannot compensate: use form "raw".'
            )


def _multiply(parameter: Tensor, factor: Tensor, optimizer: Optimizer | None) -> None:
    """A parameter, and the moments of its gradient, which is divided by the same factor."""
    factor = factor.to(parameter.dtype)
    parameter.mul_(factor)
    if optimizer is None:
        return
    state = optimizer.state.get(parameter, {})
    inverse = factor.reciprocal()
    for names, change in ((_FIRST, inverse), (_SECOND, inverse.square())):
        for name in names:
            moment = state.get(name)
            if isinstance(moment, Tensor):
                moment.mul_(change)
