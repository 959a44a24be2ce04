r"""Means of the scores over a test set of any size, streamed chunk by chunk.

The formulas are in ``scores`` (one value), ``quantile_scores``, ``path_scores`` (whole
trajectories) and ``calibration``; here they become the row that a model gets in ``metrics.json``.
Every observed step counts once; a missing one (NaN) not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .calibration import PitSummary, ensemble_pit, student_pit
from .path_scores import energy_score, energy_score_point, path_mean
from .quantile_scores import LEVELS
from .scores import (
    Array,
    Values,
    absolute_error,
    as_float64,
    crps_ensemble,
    crps_point,
    crps_student,
    nll_student,
    squared_error,
)


class RunningMean:
    """Mean of a stream in two numbers; missing values (NaN) are left out.

    Example:
        >>> mean = RunningMean()
        >>> mean.update([1.0, float("nan")])
        >>> mean.update(3.0)
        >>> mean.value, mean.count
        (2.0, 2)
    """

    def __init__(self) -> None:
        self.count = 0
        self._total = 0.0

    def update(self, values: Values) -> None:
        """Add values of any shape."""
        values = as_float64(values)
        seen = ~np.isnan(values)
        self.count += int(seen.sum())
        self._total += float(values[seen].sum())

    @property
    def value(self) -> float | None:
        """The mean; None before any value."""
        return self._total / self.count if self.count else None


class MetricAccumulator:
    r"""Gathers one model's scores; ``result`` gives None for what the model does not define.

    Keys: ``mse`` (of the mean), ``mae`` (of the median), ``crps``, ``nll`` (nats), ``coverage_80``
    and so on (central intervals of single steps), ``joint_nll`` (nats per step), ``path_crps`` and
    ``path_coverage_80`` (the mean over the horizon), ``energy`` (energy score / √H). All but the
    NLLs, the coverages and ``mse`` (squared) are in the units of y as given.

    Args:
        coverages: nominal coverages of the intervals to report for single steps.
        path_coverages: the same for the mean over the horizon.
        bins: cells of the PIT histogram.
        chunk: windows that go through the energy score at a time, which bounds its memory.

    Example:
        >>> scores = MetricAccumulator(coverages=[0.8])
        >>> scores.update_student([[0.0, 1.0]], loc=[[0.0, 0.0]], scale=1.0, df=None)
        >>> scores.update_path([[0.0, 1.0]], loc=[0.0], scale=[0.5], df=None)
        >>> {k: v if v is None else round(v, 3) for k, v in scores.result().items()}
        {'mse': 0.5, 'mae': 0.5, 'crps': 0.418, 'nll': 1.169, 'coverage_80': 1.0,
         'joint_nll': None, 'path_crps': 0.301, 'path_coverage_80': 1.0, 'energy': None}
    """

    def __init__(
        self,
        coverages: Sequence[float] = (0.8, 0.95),
        path_coverages: Sequence[float] = (0.8,),
        *,
        bins: int = 20,
        chunk: int = 256,
    ) -> None:
        self._coverages = tuple(coverages)
        self._path_coverages = tuple(path_coverages)
        self._chunk = chunk
        self._means: dict[str, RunningMean] = {}
        self._pit = PitSummary((*LEVELS, *self._coverages), bins)
        self._path_pit = PitSummary((*LEVELS, *self._path_coverages), bins)

    def add(self, name: str, values: Values) -> None:
        """Add values of a named score, one of the keys above or another.

        Args:
            name: the key in ``result``.
            values: any shape; missing values are left out.
        """
        self._means.setdefault(name, RunningMean()).update(values)

    def update_point(self, y: Values, mean: Values, median: Values | None = None) -> None:
        """MSE of the mean and MAE of the median, which is the mean unless given.

        Args:
            y: what came, any shape.
            mean: broadcastable.
            median: broadcastable.
        """
        self.add("mse", squared_error(y, mean))
        self.add("mae", absolute_error(y, mean if median is None else median))

    def update_certain(self, y: Values, path: Values) -> None:
        """Every score that a bare point forecast defines: its CRPS is its absolute error.

        Args:
            y: what came, [windows, H].
            path: [windows, H].
        """
        self.update_point(y, path)
        self.add("crps", crps_point(y, path))
        self.add("path_crps", crps_point(path_mean(y), path_mean(path)))
        self.add("energy", energy_score_point(y, path))

    def update_student(self, y: Values, loc: Values, scale: Values, df: Values | None) -> None:
        """Every score of single steps, for a Student t (Gaussian where df is None or infinite).

        Args:
            y: what came, any shape.
            loc: location, broadcastable; it is both mean and median.
            scale: scale (not the standard deviation), broadcastable.
            df: ν > 1, broadcastable, or None.
        """
        self.update_point(y, loc)
        self.add("crps", crps_student(y, loc, scale, df))
        self.add("nll", nll_student(y, loc, scale, df))
        self.update_step_pit(y, loc, scale, df)

    def update_step_pit(self, y: Values, loc: Values, scale: Values, df: Values | None) -> None:
        """Coverage and calibration of single steps alone; arguments as ``update_student``."""
        self.add_step_pit(student_pit(y, loc, scale, df))

    def add_step_pit(self, pit: Values) -> None:
        """Add probabilities F(y) of single steps; missing values are left out."""
        self._pit.update(pit)

    def add_path_pit(self, pit: Values) -> None:
        """Add probabilities F(y) of path means; missing values are left out."""
        self._path_pit.update(pit)

    def update_ensemble(self, y: Values, draws: Values, rng: np.random.Generator) -> None:
        """Every score of single steps that draws allow (no NLL).

        Args:
            y: what came, [...].
            draws: [..., m], m ≥ 2.
            rng: breaks ties in the PIT.
        """
        draws = as_float64(draws)
        self.update_point(y, draws.mean(axis=-1), np.median(draws, axis=-1))
        self.add("crps", crps_ensemble(y, draws))
        self._pit.update(ensemble_pit(y, draws, rng))

    def update_path(self, y: Values, loc: Values, scale: Values, df: Values | None) -> None:
        """CRPS and coverage of the mean over the horizon under its exact law.

        Args:
            y: what came, step by step, [windows, H]; a window with a missing step is left out.
            loc: location of the mean over the horizon, [windows].
            scale: its scale, with the dependence between steps in it, [windows].
            df: ν, broadcastable to [windows], or None.
        """
        mean = path_mean(y)
        self.add("path_crps", crps_student(mean, loc, scale, df))
        self.update_path_pit(y, loc, scale, df)

    def update_path_pit(self, y: Values, loc: Values, scale: Values, df: Values | None) -> None:
        """Coverage and calibration of the path mean alone; arguments as ``update_path``."""
        self.add_path_pit(student_pit(path_mean(y), loc, scale, df))

    def update_joint_nll(self, nats: Values, steps: Values) -> None:
        """Joint negative log density, reported per step.

        Args:
            nats: of each window's whole path, [windows].
            steps: observed steps, broadcastable to [windows]; a window without any is left out.
        """
        steps = as_float64(steps)
        self.add("joint_nll", as_float64(nats) / np.where(steps > 0, steps, np.nan))

    def update_paths(self, y: Values, paths: Values) -> None:
        """Energy score of joint sample paths.

        Args:
            y: what came, [windows, H].
            paths: joint draws, [windows, S, H], S ≥ 2.
        """
        y, paths = as_float64(y), as_float64(paths)
        for rows in self._chunks(len(y)):
            self.add("energy", energy_score(y[rows], paths[rows]))

    def _chunks(self, windows: int) -> Iterator[slice]:
        # An empty update still goes through once, so that wrong shapes are found.
        for start in range(0, max(windows, 1), self._chunk):
            yield slice(start, start + self._chunk)

    def result(self) -> dict[str, float | None]:
        """The mean of every score, in the order above; None where nothing was added."""
        steps, path = self._pit, self._path_pit
        coverages = _named_coverages("coverage", steps, self._coverages)
        path_coverages = _named_coverages("path_coverage", path, self._path_coverages)
        scores: dict[str, float | None] = {
            **dict.fromkeys(("mse", "mae", "crps", "nll")),
            **coverages,
            **dict.fromkeys(("joint_nll", "path_crps")),
            **path_coverages,
            "energy": None,
        }
        scores.update({name: mean.value for name, mean in self._means.items()})
        return scores

    def calibration(self) -> dict[str, list[float] | None]:
        """``levels``, observed ``coverage`` and ``path_coverage`` at them, ``pit`` bin shares.

        Returns:
            Lists for ``metrics.json``; None where the model defines no such probabilities.

        Example:
            >>> MetricAccumulator().calibration()["pit"] is None
            True
        """
        return {
            "levels": list(LEVELS),
            "coverage": _plain(self._pit.coverage(), len(LEVELS)),
            "path_coverage": _plain(self._path_pit.coverage(), len(LEVELS)),
            "pit": _plain(self._pit.histogram()),
        }


def _named_coverages(
    prefix: str, pit: PitSummary, levels: Sequence[float]
) -> dict[str, float | None]:
    coverage = pit.coverage()
    return {
        f"{prefix}_{100 * level:g}": None if coverage is None else float(coverage[len(LEVELS) + i])
        for i, level in enumerate(levels)
    }


def _plain(array: Array | None, stop: int | None = None) -> list[float] | None:
    return None if array is None else [float(value) for value in array[:stop]]
