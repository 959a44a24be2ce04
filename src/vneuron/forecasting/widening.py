"""How much wider intervals of maxima, minima and ramps must be than their draws say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from .aggregate import over_blocks
from .data.rows import Floats, Ints
from .data.windows import WindowBatch, Windows, evenly_spaced
from .intervals import array
from .laws.trajectory import AbstractTrajectory

DRAWN = ("max", "min", "ramp")
"""The statistics that have no law in closed form."""

LEVELS = np.array([*np.arange(0.0, 0.9, 0.05), 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 1.0])

MOST_WINDOWS, LEAST_WINDOWS, FEWEST_WINDOWS = 512, 128, 30
"""Validation windows: at most, at most where horizons are long, and too few to tell anything."""

DRAWS, MOST_VALUES, BATCH = 200, 10_000_000, 64


@dataclass(frozen=True, eq=False)
class Widening:
    r"""Shares of the draws that an interval must hold, measured on validation windows.

    Draws have the right law for every step and, as far as correlations go, for every sum; how rough
    they are from one step to the next, and how steps share their tails, is not fitted, and it is
    what maxima and ramps hang on. With :math:`r = |2u - 1|` of an outcome's rank :math:`u` among
    its draws, the central interval of level :math:`\ell` holds the outcome where
    :math:`r \le \ell`. Of a statistic the level that is taken is

    .. math:: \max\bigl(\ell,\; F_{stat}^{-1}(F_{steps}(\ell))\bigr)

    where F are the distributions of r on validation windows: intervals of the statistic are to hold
    as often as those of single steps do, which are fitted. Were they to hold in the share
    :math:`\ell` itself, a validation span that is harder than what comes would widen them too far.
    They are never narrowed. For the map of ranks see Kuleshov, Fenner & Ermon (2018), eq. 2.

    Attributes:
        blocks: lengths of block it was measured for, in steps, ascending, [B]; 1 is first.
        taken: level to take for each of `LEVELS`, [3 statistics, B, levels].
    """

    blocks: Ints
    taken: Floats

    @classmethod
    def measure(
        cls,
        forecast: Callable[[WindowBatch], AbstractTrajectory],
        windows: Windows,
        seed: int = 0,
    ) -> Widening | None:
        """From a model's draws on windows whose targets are known.

        Args:
            forecast: scaled windows in, scaled laws out.
            windows: of validation; 128 to 512 of them are taken, evenly spaced.
            seed: of draws and ties.

        Returns:
            None where fewer than 30 windows have their whole target.
        """
        horizon = windows.horizon
        blocks = _lengths(horizon)
        most = min(max(MOST_VALUES // (DRAWS * horizon), LEAST_WINDOWS), MOST_WINDOWS)
        generator = torch.Generator().manual_seed(seed)
        random = np.random.default_rng(seed)
        steps: list[Floats] = []
        others: dict[tuple[str, int], list[Floats]] = {
            (name, length): [] for name in DRAWN for length in blocks[1:]
        }
        for batch in windows.take(evenly_spaced(len(windows), most)).batches(BATCH):
            whole = batch
            if batch.target_observed is not None:
                whole = batch.keep(batch.target_observed.all(-1))
            count = len(whole.target)
            if not count:
                continue
            law = forecast(whole).rescale(torch.zeros(count), torch.ones(count))
            draws, y = array(law.sample(DRAWS, generator)), array(whole.target)[:, None]
            steps.append(_radius(draws, y[:, 0], random))
            for (name, length), found in others.items():
                of_draws = over_blocks(name, draws, length)
                found.append(_radius(of_draws, over_blocks(name, y, length)[:, 0], random))
        if sum(map(len, steps)) < FEWEST_WINDOWS:
            return None
        reached = np.concatenate(steps).ravel()
        held = np.array([np.mean(reached <= level) for level in LEVELS])
        taken = np.tile(LEVELS, (len(DRAWN), len(blocks), 1))
        for (name, length), found in others.items():
            own = np.quantile(np.concatenate(found).ravel(), held)
            at = DRAWN.index(name), list(blocks).index(length)
            taken[at] = np.maximum.accumulate(np.maximum(LEVELS, own))
        taken[..., -1] = 1.0
        return cls(np.array(blocks), taken)

    def level(self, statistic: str, steps: int, level: float) -> float:
        """The level to take, in per cent.

        Args:
            statistic: "max", "min" or "ramp".
            steps: length of a block; between the lengths that were measured by their logarithm.
            level: that is to hold, in per cent.
        """
        own = self.taken[DRAWN.index(statistic)]
        at_lengths = [float(np.interp(level / 100, LEVELS, row)) for row in own]
        return 100.0 * float(np.interp(np.log(steps), np.log(self.blocks), at_lengths))

    def as_arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """Plain arrays, for a file."""
        return {"blocks": self.blocks.astype(np.float64), "taken": self.taken}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> Widening:
        """What `as_arrays` gave."""
        return cls(arrays["blocks"].astype(np.int64), arrays["taken"])


def _lengths(horizon: int) -> list[int]:
    """1, and the horizon halved again and again while two steps are left, ascending.

    Example:
        >>> _lengths(24)
        [1, 3, 6, 12, 24]
    """
    found = []
    while horizon > 1:
        found.append(horizon)
        horizon //= 2
    return [1, *reversed(found)]


def _radius(draws: Floats, y: Floats, random: np.random.Generator) -> Floats:
    """|2u − 1| of the rank u of y [windows, ...] among draws [windows, S, ...], random in ties."""
    below, ties = (draws < y[:, None]).sum(1), (draws == y[:, None]).sum(1)
    u = (below + random.random(y.shape) * (ties + 1)) / (draws.shape[1] + 1)
    return np.asarray(np.abs(2.0 * u - 1.0))
