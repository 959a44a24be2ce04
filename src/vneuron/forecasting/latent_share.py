"""How much of what a network predicts is carried by z: of the variance, and of the likelihood."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..core import Latent
from .data.windows import WindowBatch, Windows, evenly_spaced
from .networks.forecast_network import AbstractForecastNetwork

MOST_WINDOWS = 2048
"""What is asked of the windows to score; a validation asks of fewer."""
BATCH = 512


class LatentShare(NamedTuple):
    r"""Shares, and the nats per window behind them; the same questions for every network.

    Attributes:
        variance: part of the predictive variance, summed over windows and steps in training
            deviations, that comes from drawing z ~ q(z | x).
        spread_nats: rise of the joint NLL when that spread is taken out of z and given to each
            step's own noise: what is known of how steps move together. Exactly the margins are
            kept in `trajectory`, their mean and variance in `reference`.
        window_nats: rise of the joint NLL when every unit is frozen, µ and σ at their means over
            the windows: what is known of the window by way of z.
        likelihood: what both are worth together, units frozen and their spread given to the
            steps, as a part of all that the network knows: the fall of its joint NLL below that
            of a law which is the same for every window, independent Gaussian steps fitted to the
            very targets. A network that without z does worse than that law counts as knowing
            nothing without z: 1. NaN where the network itself does worse.
        windows: how many it was measured on.
    """

    variance: float
    spread_nats: float
    window_nats: float
    likelihood: float
    windows: int

    def as_dict(self) -> dict[str, float]:
        """By name, for reports."""
        return self._asdict()


@torch.no_grad()
def measure_latent_share(
    network: AbstractForecastNetwork, windows: Windows, most: int = MOST_WINDOWS
) -> LatentShare:
    """Ask it of held-out windows.

    Args:
        network: in evaluation mode.
        windows: with targets; those with a missing target are left out.
        most: so many of them, evenly spaced.

    Raises:
        ValueError: no window has its whole target.
    """
    windows = windows.to(next(network.parameters()).device)
    chosen = evenly_spaced(len(windows), most).to(windows.device)
    batch = windows.gather(chosen).complete()
    count = len(batch.target)
    if not count:
        raise ValueError("no window has its whole target: give more rows, or interpolate gaps")
    parts = [_part(batch, start) for start in range(0, count, BATCH)]
    frozen = _mean_latent(network, parts)
    totals = torch.zeros(6, dtype=torch.float64)
    for part in parts:
        totals += _sums(network, part, frozen)
    drawn, variance, nll, spread, window, without = totals.tolist()
    static = _static_nll(batch.target) * count
    known, lost = static - nll, min(without, static) - nll
    return LatentShare(
        variance=drawn / variance,
        spread_nats=(spread - nll) / count,
        window_nats=(window - nll) / count,
        likelihood=lost / known if known > 0.0 else math.nan,
        windows=count,
    )


@torch.no_grad()
def remember_latent_share(
    network: AbstractForecastNetwork, windows: Windows, most: int = MOST_WINDOWS
) -> None:
    """Measure it and keep it in the network, so that its health can tell; no window, no change."""
    try:
        share = measure_latent_share(network, windows, most)
    except ValueError:  # every held-out window lacks a target: nothing is known
        return
    network.latent_share.copy_(torch.tensor([float(value) for value in share]))


def remembered_latent_share(network: AbstractForecastNetwork) -> LatentShare | None:
    """What `remember_latent_share` left; None if it was never measured."""
    found = LatentShare(*network.latent_share.tolist())
    return None if math.isnan(found.windows) else found._replace(windows=int(found.windows))


def _part(batch: WindowBatch, start: int) -> WindowBatch:
    inside = torch.zeros(len(batch.target), dtype=torch.bool, device=batch.target.device)
    inside[start : start + BATCH] = True
    return batch.keep(inside)


def _mean_latent(network: AbstractForecastNetwork, parts: list[WindowBatch]) -> Latent | None:
    """Posteriors with µ and σ at their means over all windows, [1, ...]; None without units."""
    total: Latent | None = None
    count = sum(len(part.target) for part in parts)
    for part in parts:
        latent = network.read(*part.inputs).latent
        if latent is None:
            return None
        here = Latent(*(value.sum(0, keepdim=True) / count for value in latent))
        total = here if total is None else Latent(*map(torch.add, total, here))
    return total


def _sums(network: AbstractForecastNetwork, part: WindowBatch, frozen: Latent | None) -> Tensor:
    """Variance from z, variance; joint NLL as it is, without spread, frozen, and without both."""
    reading = network.read(*part.inputs)
    path = network.distribution(reading)
    if frozen is None:
        still = path
    else:
        size = len(part.target)
        same = Latent(*(value.expand(size, *value.shape[1:]) for value in frozen))
        still = network.distribution(reading._replace(latent=same))
    variance = path.sd().square()
    found = (
        variance * path.unit_share(),
        variance,
        path.joint_nll(part.target),
        path.without_latent().joint_nll(part.target),
        still.joint_nll(part.target),
        still.without_latent().joint_nll(part.target),
    )
    return torch.stack([value.double().sum().cpu() for value in found])


def _static_nll(target: Tensor) -> float:
    """Joint NLL per window of independent Gaussian steps with the targets' own moments."""
    variance = target.double().var(0, correction=0).clamp_min(torch.finfo(torch.float32).eps)
    return float(0.5 * (variance.log() + 1.0 + math.log(2.0 * math.pi)).sum())
