r"""Draws of a path within bounds, and how probable the bounds were.

A draw is :math:`y = m + r v`, v normal with the path's correlations, r² = ν/g. Where one draw in
ten fits, those that do are taken. Else bounds are drawn tight in stages (subset simulation): each
stage keeps the half of the particles that is nearest, copies them, and moves every copy by

- linear elliptical slices: a new v on the ellipse through v and a fresh draw, uniform over the
  arcs inside the bounds, which for linear bounds are known in closed form: no move is refused;
- the exact law of g given v, a truncated chi-squared.

Source: Gessner, Kanjilal and Hennig (2020), AISTATS, sections 3.1 and 3.2; the variance by common
ancestors is of Lee and Whiteley (2018), Biometrika 105(3), section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..scoring.scores import Array

EASY = 0.1
"""Probability of the bounds from which draws are simply rejected."""

KEPT = 0.5
SWEEPS = 6
LAST_SWEEPS = 24
HOPELESS = 1e-12
"""Probability below which an answer would be a matter of the model's farthest tails."""


@dataclass(frozen=True)
class Bounded:
    """One window's normal deviations, and the bounds on its path.

    Attributes:
        deviation: standard normal numbers [S, dimensions] to v [S, H].
        dimensions: how many normal numbers a draw takes.
        loc: m, [H].
        scale: of each step's t, [H], by which shortfalls are measured; 0 where it is known.
        df: ν; None is the Gaussian.
        lower: [H], −inf where open.
        upper: [H], inf where open.
    """

    deviation: Callable[[Array], Array]
    dimensions: int
    loc: Array
    scale: Array
    df: float | None
    lower: Array
    upper: Array


class Truncated(NamedTuple):
    """What came of it.

    Attributes:
        draws: paths within the bounds, [S, H].
        log_probability: of the bounds, nats.
        effective: how many independent draws tell as much about the steps' means.
    """

    draws: Array
    log_probability: float
    effective: float


class _Cloud(NamedTuple):
    """Particles: standard normals x, v = deviation(x), r, and the first ancestor of each."""

    x: Array
    v: Array
    r: Array
    ancestor: NDArray[np.int64]


def truncate(path: Bounded, draws: int, generator: np.random.Generator) -> Truncated:
    """Draw paths within bounds.

    Args:
        path: the path and its bounds.
        draws: S.
        generator: source of randomness.

    Raises:
        ValueError: the bounds have a probability of next to nothing.
    """
    first = _prior(path, draws, generator)
    share = float((_shortfall(path, first) <= 0.0).mean())
    if share >= EASY:
        return _rejected(path, first, draws, generator)
    cloud, gap, log_probability = first, np.inf, 0.0
    while gap > 0.0:
        short = _shortfall(path, cloud)
        gap = max(0.0, float(np.quantile(short, KEPT)))
        fit = short <= gap
        log_probability += float(np.log(fit.mean()))
        if log_probability < np.log(HOPELESS):
            raise ValueError(
                f"the bounds have a probability below {HOPELESS:g} under the forecast: widen "
                "them, or check their unit and sign"
            )
        chosen = generator.permutation(np.resize(generator.permutation(np.flatnonzero(fit)), draws))
        cloud = _Cloud(*(values[chosen] for values in cloud))
        for _ in range(SWEEPS if gap > 0.0 else LAST_SWEEPS):
            cloud = _moved(path, cloud, gap, generator)
    found = path.loc + cloud.r[:, None] * cloud.v
    return Truncated(_inside(path, found), log_probability, _effective(found, cloud.ancestor))


def _prior(path: Bounded, draws: int, generator: np.random.Generator) -> _Cloud:
    x = generator.standard_normal((draws, path.dimensions))
    r = np.ones(draws)
    if path.df is not None:
        r = np.sqrt(path.df / generator.chisquare(path.df, draws))
    return _Cloud(x, path.deviation(x), r, np.arange(draws))


def _rejected(
    path: Bounded, first: _Cloud, draws: int, generator: np.random.Generator
) -> Truncated:
    """Draws that fit, until there are enough."""
    tried, cloud = 0, first
    found: list[Array] = []
    while sum(len(part) for part in found) < draws:
        fit = _shortfall(path, cloud) <= 0.0
        tried += len(fit)
        found.append((path.loc + cloud.r[:, None] * cloud.v)[fit])
        cloud = _prior(path, draws, generator)
    every = np.concatenate(found)
    return Truncated(every[:draws], float(np.log(len(every) / tried)), float(draws))


def _shortfall(path: Bounded, cloud: _Cloud) -> Array:
    """How far each path is outside, at its worst step, in scales of the step; 0 inside."""
    y = path.loc + cloud.r[:, None] * cloud.v
    over = np.maximum(path.lower - y, y - path.upper)
    unit = np.where(path.scale > 0.0, path.scale, 1.0)
    return np.asarray(np.maximum(over / unit, 0.0).max(-1))


def _inside(path: Bounded, y: Array) -> Array:
    """Rounding may leave a path outside by a hair."""
    return np.clip(y, path.lower, path.upper)


def _moved(path: Bounded, cloud: _Cloud, gap: float, generator: np.random.Generator) -> _Cloud:
    """Each particle by one elliptical slice, then one draw of g."""
    low = path.lower - gap * path.scale - path.loc
    high = path.upper + gap * path.scale - path.loc
    bounded = np.isfinite(low) | np.isfinite(high)
    fresh = generator.standard_normal(cloud.x.shape)
    across = path.deviation(fresh)
    r = cloud.r[:, None]
    angle = _angle(
        cloud.v[:, bounded],
        across[:, bounded],
        low[bounded] / r,
        high[bounded] / r,
        generator.random(len(r)),
    )[:, None]
    x = cloud.x * np.cos(angle) + fresh * np.sin(angle)
    v = cloud.v * np.cos(angle) + across * np.sin(angle)
    moved = cloud._replace(x=x, v=v)
    if path.df is None:
        return moved
    r = _radius(path.df, v[:, bounded], low[bounded], high[bounded], cloud.r, generator)
    return moved._replace(r=r)


def _angle(v: Array, w: Array, low: Array, high: Array, uniform: Array) -> Array:
    r"""Uniform over the angles where low ≤ v cos θ + w sin θ ≤ high, [S].

    Each bound cuts out one arc, :math:`|\theta - \varphi| < \arccos(c/\rho)` for a bound c from
    above; θ = 0, the particle itself, lies in none.
    """
    size, phase = np.hypot(v, w), np.arctan2(w, v)
    # ρ cos(θ − φ) ≤ high, and ρ cos(θ − φ − π) ≤ −low
    c = np.concatenate([high, -low], -1)
    size = np.concatenate([size, size], -1)
    phase = np.concatenate([phase, phase + np.pi], -1)
    ratio = np.divide(c, size, out=np.full_like(c, np.inf), where=size > 0.0)
    half = np.arccos(np.clip(ratio, -1.0, 1.0))
    start = np.mod(phase - half, 2.0 * np.pi)
    order = np.argsort(start, axis=-1)
    start = np.take_along_axis(start, order, -1)
    stop = start + 2.0 * np.take_along_axis(half, order, -1)
    # free arcs lie between the farthest end so far and the next start; the last ends at 2π
    reach = np.maximum.accumulate(stop, -1)
    begin = np.concatenate([np.zeros((len(start), 1)), reach], -1)
    end = np.concatenate([start, np.full((len(start), 1), 2.0 * np.pi)], -1)
    free = np.maximum(end - begin, 0.0)
    total = np.cumsum(free, -1)
    mark = uniform * total[:, -1]
    piece = np.minimum((total < mark[:, None]).sum(-1), free.shape[1] - 1)[:, None]
    before = np.take_along_axis(total - free, piece, -1)[:, 0]
    return np.asarray(np.take_along_axis(begin, piece, -1)[:, 0] + mark - before)


def _radius(
    df: float, v: Array, low: Array, high: Array, r: Array, generator: np.random.Generator
) -> Array:
    """R given v: ν/r² is chi-squared, cut to where low ≤ r v ≤ high at every step."""
    with np.errstate(divide="ignore", invalid="ignore"):
        to_high, to_low = high / v, low / v
    ceiling = np.where(v > 0.0, to_high, np.where(v < 0.0, to_low, np.inf)).min(-1)
    floor = np.where(v > 0.0, to_low, np.where(v < 0.0, to_high, -np.inf)).max(-1)
    floor = np.maximum(floor, 0.0)
    few = df / np.square(ceiling)
    many = np.divide(df, np.square(floor), out=np.full_like(floor, np.inf), where=floor > 0.0)
    a, b = special.gammainc(0.5 * df, 0.5 * few), special.gammainc(0.5 * df, 0.5 * many)
    drawn = 2.0 * special.gammaincinv(0.5 * df, a + generator.random(len(v)) * (b - a))
    found = np.sqrt(df / np.maximum(drawn, np.finfo(np.float64).tiny))
    # where the cut lies in a tail that rounds to nothing, r stays as it is
    sound = (b - a > 1e-12) & np.isfinite(found)
    return np.asarray(np.where(sound, found, r))


def _effective(draws: Array, ancestor: NDArray[np.int64]) -> float:
    """Draws over the ratio of the means' variance to that of as many independent draws."""
    about = draws - draws.mean(0)
    spread = about.std(0)
    about = about[:, spread > 0.0] / spread[spread > 0.0]
    families = np.zeros((int(ancestor.max()) + 1, about.shape[1]))
    np.add.at(families, ancestor, about)
    share = np.square(families).sum(0).mean() / len(draws)
    return float(min(len(draws), len(draws) / share))
