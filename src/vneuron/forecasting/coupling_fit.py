r"""Learning what series share, after their own laws and without touching them.

The joint NLL of all series at training origins, less the sum of theirs, is minimised over the
loadings alone: forecasts of single series stay what they are, bit for bit. Validation origins say
when to stop, and whether to couple at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..functional.coupling import bounded, cholesky, coupled, innovations
from ..functional.own_noise import OwnNoise
from .coupling import Coupling
from .data.errors import DataError
from .data.rows import Ints
from .data.windows import Windows, evenly_spaced
from .laws.coupled import Loadings, gaussian_sources
from .laws.predictive import TrajectoryDistribution
from .model import FittedModel
from .origins import ABSENT, shared_origins, whole_windows

FACTORS = 8
"""Factors of each unit and of the noise, fewer where there are fewer other series. Gain of 2, 4 and
as many as there can be on validation windows, nats per step and series: ETTh1 .129, .218, .220;
Exchange .165, .168, .168; Weather, of 4 and 8, .758 and .778."""

TRAINING_WINDOWS, VALIDATION_WINDOWS = 2**14, 2**10
"""Windows at most, over all series and origins; a training window is kept in about 1 kB."""

LEAST_ORIGINS, MOST_ORIGINS = 32, 2**10
MOST_SERIES = 2000

STEPS = 200
ORIGINS_A_STEP = 16
SERIES_A_STEP, SERIES_HELD_OUT = 16, 32
"""Of more series each step takes some at random, and validation some evenly spaced: the law of
some of the series is that of all, with the others' loadings left out."""

RATE = 0.02
CHECK = 20
PATIENCE = 4
"""Checks on validation origins without a better one before learning stops."""


class OriginData(NamedTuple):
    """What learning needs of the windows of some origins, [origins, series, ...].

    Attributes:
        value: x, the Gaussian path by what is new at each step; 0 where a series is absent.
        scale: s, the units' standard deviations.
        persistence: ρ of the own noise.
        weight: δ of the own noise.
        own_nll: of each series by itself, as `Sources.own_nll`; 0 where absent.
        present: whether a series has a window there, bool.
        loading: W, [steps, units].
    """

    value: Tensor
    scale: Tensor
    persistence: Tensor
    weight: Tensor
    own_nll: Tensor
    present: Tensor
    loading: Tensor

    def part(self, origins: Tensor | slice, series: Tensor | slice) -> OriginData:
        """Some origins and some series."""

        def of(values: Tensor) -> Tensor:
            return values[origins][:, series]

        return OriginData(
            of(self.value),
            of(self.scale),
            of(self.persistence),
            of(self.weight),
            of(self.own_nll),
            of(self.present),
            self.loading,
        )

    def columns(self) -> Tensor:
        """V, [origins, series, steps, units]; 0 where absent."""
        own = OwnNoise(self.persistence.flatten(), self.weight.flatten(0, 1))
        rows = self.loading * self.scale.flatten(0, 1)[:, None]
        found = innovations(own, rows) * self.present.flatten()[:, None, None]
        return found.view(*self.scale.shape[:2], *self.loading.shape)

    def excess(self, loadings: Loadings) -> Tensor:
        """Joint NLL beyond the sum of the series' own, nats, [origins]."""
        here = self.present.to(self.value.dtype)
        units = loadings.units * here[..., None, None]
        form = coupled(self.value, self.columns(), units, loadings.noise * here[..., None])
        return 0.5 * (form.quadratic + form.logdet) - self.own_nll.sum(-1)


def learn_coupling(
    model: FittedModel,
    train: Windows,
    validation: Windows,
    *,
    units: bool = True,
    noise: bool = True,
    seed: int = 0,
) -> Coupling:
    """Loadings of the series of a fit.

    Args:
        model: trained; it stays as it is.
        train: windows to learn from.
        validation: windows that say when to stop.
        units: couple units' deviations.
        noise: couple the own noise.
        seed: of the origins of each step.

    Raises:
        DataError: fewer than two series, too many, or no stamp from which two of them have whole
            windows.
    """
    series = len(train.flat.ids)
    if not 2 <= series <= MOST_SERIES:
        raise DataError(
            f"series='coupled' with {series} series, expected 2 to {MOST_SERIES}: fit with "
            "series='independent', or groups of series by themselves"
        )
    told = origin_data(model, train, "training", TRAINING_WINDOWS)
    held_out = origin_data(model, validation, "validation", VALIDATION_WINDOWS)
    raw = starting_loadings(told, min(FACTORS, series - 1))
    of_units = raw.expand(told.scale.shape[-1], -1, -1).transpose(0, 1)
    free = [of_units * float(units), raw * float(noise)]
    moved = [each for each, wanted in zip(free, (units, noise), strict=True) if wanted]
    return _descend(told, held_out, free, moved, torch.Generator().manual_seed(seed))


def _descend(
    told: OriginData,
    held_out: OriginData,
    free: list[Tensor],
    moved: list[Tensor],
    generator: torch.Generator,
) -> Coupling:
    """By Adam, some origins and series a step; the loadings that did best on those held out."""
    series, width = free[0].shape[:2]
    checked = evenly_spaced(series, SERIES_HELD_OUT)
    held_out = held_out.part(slice(None), checked)
    best, waited = Coupling.none(series, width), 0
    for parameter in moved:
        parameter.requires_grad_()
    optimiser = torch.optim.Adam(moved, lr=RATE)
    for step, (origins, some) in enumerate(_draws(told, generator)):
        if step % CHECK == 0:
            loadings = Loadings(*(bounded(each.detach()) for each in free))
            gain, waited = _gain(held_out, loadings.take(checked)), waited + 1
            if gain > best.gain:
                kept = Loadings(*(each.double() for each in loadings))
                best, waited = Coupling(kept, gain), 0
            if waited >= PATIENCE:
                break
        optimiser.param_groups[0]["lr"] = RATE * (1.0 - step / STEPS)
        part = told.part(origins, some)
        loadings = Loadings(*(bounded(each[some]) for each in free))
        loss = part.excess(loadings).sum() / part.present.sum().clamp_min(1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return best


def origin_data(model: FittedModel, windows: Windows, name: str, most: int) -> OriginData:
    """What learning needs of windows, at evenly spaced origins.

    Raises:
        DataError: no two series have whole windows from the same stamp on.
    """
    series = len(windows.flat.ids)
    at_most = min(max(most // series, LEAST_ORIGINS), MOST_ORIGINS)
    origins = whole_windows(windows, shared_origins(windows, at_most))
    if not len(origins):
        raise DataError(
            f"no two series have whole {name} windows from the same time stamp on, so that "
            "nothing tells what they share: fit with series='independent', or give series that "
            "overlap in time"
        )
    owner, shape = np.nonzero(origins != ABSENT), origins.shape
    data = [_window_data(model, windows, part) for part in _chunks(origins[owner])]
    joined = [torch.cat(each) for each in zip(*(part[:-1] for part in data), strict=True)]
    value, scale, persistence, weight, own = (_spread(each, owner, shape) for each in joined)
    present = torch.from_numpy(origins != ABSENT)
    weight = torch.where(present[..., None], weight, torch.ones_like(weight))
    return OriginData(value, scale, persistence, weight, own, present, data[0][-1])


def _window_data(model: FittedModel, windows: Windows, index: Ints) -> tuple[Tensor, ...]:
    """x, s, ρ, δ and own NLL of some windows, and W, in single precision."""
    batch = windows.gather(torch.from_numpy(index).to(windows.device))
    path = model.forecast(batch)
    if not isinstance(path, TrajectoryDistribution) or path.loading is None:
        raise ValueError(
            f"series='coupled' needs a forecast that is one multivariate t, this one is a "
            f"{type(path).__name__}: fit with network='trajectory', and units"
        )
    plain = path.to("cpu").rescale(torch.zeros(len(path)), torch.ones(len(path)))
    assert plain.loading is not None
    assert plain.unit_scale is not None
    sources = gaussian_sources(plain, batch.target.cpu().double())
    noise = plain.own_noise or OwnNoise(plain.loc.new_zeros(()))
    weight = torch.ones_like(plain.loc) if noise.weight is None else noise.weight
    scale = plain.unit_scale.expand(len(path), -1)
    found = (sources.value, scale, noise.expand(len(path)), weight, sources.own_nll, plain.loading)
    return tuple(each.detach().cpu().float() for each in found)


def starting_loadings(data: OriginData, factors: int) -> Tensor:
    """Loadings from which learning starts, free of bounds: factors of the series' correlation.

    It is that of what the own noise has come to, (I + V V')⁻¹ x, for units and noise alike; the
    factors are principal ones of the correlation with communalities in its diagonal.

    Returns:
        [series, factors].
    """
    series = data.value.shape[1]
    told = torch.cat([_noise_told(data.part(part, slice(None))) for part in _slices(data)])
    flat = told.transpose(0, 1).reshape(series, -1)
    root = flat.square().sum(-1).sqrt().clamp_min(1e-12)
    correlation = (flat / root[:, None]) @ (flat / root[:, None]).mT
    return principal_factors(correlation.double(), factors).float()


def principal_factors(correlation: Tensor, factors: int, rounds: int = 50) -> Tensor:
    """Free loadings v, `bounded(v)` of which give about this correlation.

    Args:
        correlation: [series, series].
        factors: at most series − 1.
        rounds: communalities are found by iteration.

    Example:
        >>> alike = torch.tensor([[1.0, 0.25, 0.25], [0.25, 1.0, 0.25], [0.25, 0.25, 1.0]])
        >>> found = bounded(principal_factors(alike, 1))
        >>> torch.round(found.abs(), decimals=2).flatten().tolist()
        [0.5, 0.5, 0.5]
    """
    off = correlation - torch.diag_embed(torch.diagonal(correlation))
    share = off.abs().amax(-1)
    loading = correlation.new_zeros(len(correlation), factors)
    for _ in range(rounds):
        values, vectors = torch.linalg.eigh(off + torch.diag_embed(share))
        loading = vectors[:, -factors:] * values[-factors:].clamp_min(0.0).sqrt()
        share = loading.square().sum(-1).clamp_max(0.98)
    norm = loading.square().sum(-1, keepdim=True).clamp_min(1e-12)
    return loading * (norm.clamp_max(0.98) / norm / (1.0 - norm.clamp_max(0.98))).sqrt()


def _noise_told(data: OriginData) -> Tensor:
    """(I + V V')⁻¹ x, [origins, series, steps]."""
    columns = data.columns()
    gram = columns.mT @ columns
    torch.diagonal(gram, dim1=-2, dim2=-1).add_(1.0)
    right = columns.mT @ data.value[..., None]
    back = torch.cholesky_solve(right, cholesky(gram))
    return data.value - (columns @ back)[..., 0]


@torch.no_grad()
def _gain(data: OriginData, loadings: Loadings) -> float:
    """What coupling takes off the joint NLL, nats per step and series."""
    total = sum(
        float(data.part(part, slice(None)).excess(loadings).double().sum())
        for part in _slices(data)
    )
    steps = int(data.present.sum()) * data.value.shape[-1]
    return -total / steps


def _slices(data: OriginData) -> Iterator[slice]:
    """Origins, as many at a time as 32 MiB of columns hold."""
    each = data.value.shape[1] * data.loading.numel()
    size = max(1, 2**23 // each)
    return (slice(at, at + size) for at in range(0, len(data.value), size))


def _draws(data: OriginData, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Origins and series of each step, and once more for the last check."""
    origins, series = data.present.shape
    for _ in range(STEPS + 1):
        at = torch.randint(origins, (ORIGINS_A_STEP,), generator=generator)
        yield at, torch.randperm(series, generator=generator)[:SERIES_A_STEP].sort().values


def _chunks(index: Ints) -> Iterator[Ints]:
    return (index[at : at + 512] for at in range(0, len(index), 512))


def _spread(rows: Tensor, owner: tuple[Ints, ...], shape: tuple[int, ...]) -> Tensor:
    """Rows of the windows that there are to [origins, series, ...], zeros elsewhere."""
    found = rows.new_zeros(*shape, *rows.shape[1:])
    found[torch.from_numpy(owner[0]), torch.from_numpy(owner[1])] = rows
    return found
