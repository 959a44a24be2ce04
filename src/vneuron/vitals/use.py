"""What each unit of any model is worth on held-out data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..core import AbstractUnit, Latent, muted, units_of


@torch.no_grad()
def measure_use(model: nn.Module, nll: Callable[[], Tensor], seed: int = 0) -> None:
    """Measure the use of every unit of a model, and write it to its layer's statistics.

    `use` is the rise of the held-out NLL when a unit is silenced: it sends on its mean over
    inputs, without noise. `dynamic_use` is the rise when only its dependence on the input is
    taken away: it draws from one fixed posterior, its own mean and spread. All runs draw the same
    noise, every unit its own. The cost is two forward passes per unit, so choose some hundred
    examples; a network that reads units in closed form, such as the forecaster's, has a cheaper
    way.

    Args:
        model: a module whose layers of units `infer`, in evaluation mode, trained with
            `control_step`.
        nll: runs the model on held-out data and returns its NLL, [batch], nats per example.
        seed: of the draws.

    Raises:
        ValueError: if a layer is not run, or has no statistics yet.

    Example:
        >>> import vneuron as vn
        >>> model = nn.Sequential(vn.GaussianUnits(3, 2), nn.Linear(2, 1))
        >>> x = torch.randn(64, 3)
        >>> _ = vn.control_step(model, vn.Collect(model)(x)[1])
        >>> measure_use(model, lambda: model(x)[:, 0].square())
        >>> bool(model[0].statistics.use.isfinite().all())
        True
    """
    with torch.random.fork_rng(), muted():

        def score() -> Tensor:
            torch.manual_seed(seed)
            return nll().double().mean()

        present = score()
        for _, unit in units_of(model):
            if not unit.variational:
                continue
            _check_trained(unit)
            for j in range(unit.units):
                for name, spread in (("use", 0.0), ("dynamic_use", 1.0)):
                    with _replaced(unit, j, spread):
                        rise = score() - present
                    getattr(unit.statistics, name)[j] = rise.to(unit.statistics.use.dtype)


@contextmanager
def _replaced(unit: AbstractUnit, j: int, spread: float) -> Iterator[None]:
    """Within the context unit j draws from its mean posterior, with `spread` × σ.

    It keeps the noise of its draws: noise of its own would be a difference by itself, which in
    units that hardly speak is larger than what they are worth.
    """
    statistics, calls, own = unit.statistics, 0, unit.infer
    loc, scale = statistics.loc_mean[j], spread * statistics.scale_square[j].sqrt()

    def infer(*inputs: Any, **named: Any) -> Latent:
        nonlocal calls
        calls += 1
        latent = own(*inputs, **named)
        sample, locs, scales = (x.clone() for x in latent[:3])
        noise = (sample[:, j] - locs[:, j]) / scales[:, j].clamp_min(1e-12)
        sample[:, j] = (loc + scale * noise).to(sample.dtype)
        locs[:, j], scales[:, j] = loc.to(locs.dtype), scale.to(scales.dtype)
        return latent._replace(sample=sample, loc=locs, scale=scales)

    unit.infer = infer  # type: ignore[method-assign]
    try:
        yield
    finally:
        del unit.infer
    if calls == 0:
        raise ValueError(
            f"nll() did not run the layer {unit.name!r}, expected it to run the whole model."
        )


def _check_trained(unit: AbstractUnit) -> None:
    if int(unit.statistics.updates) == 0:
        raise ValueError(
            f"layer {unit.name!r} has no statistics yet, so what silences it is not known: run "
            "vneuron.control_step on some training batches first."
        )
