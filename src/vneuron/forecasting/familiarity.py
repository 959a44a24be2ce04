r"""How familiar a context looks beside those of training, whatever the network makes of it.

Windows are normalised before a network sees them, so that a sensor of another level or scale looks
like any other to its units, and so does, often, a fault inside the window. Here a context is
described by a few statistics, and described windows are compared with training's:

- location and log scale of the window, in training deviations of its series;
- log energy of what the leading principal components of training windows leave, and of what they
  hold;
- log energy of the innovations, what a linear prediction from the rows before leaves: in all, at
  its largest, and over each of seven parts of the window; and the skewness of changes.

Each statistic is read as a deviation from its training median, in the halves of its central 96%,
below and above apart; the score is :math:`\tfrac12 z^\top C^{-1} z`, C their correlation.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from .data.rows import Floats

MOST_WINDOWS = 8192
SHORTEST = 16
"""Rows of context below which there is too little to describe."""

TAIL = 0.02
TAIL_DEVIATION = 2.054
"""Of a normal law at that tail, by which the spread of the central 96% becomes a deviation."""

COMPONENTS, LAGS, PARTS = 16, 25, 7
FLOOR = 1e-4
"""Added to energies, whose unit is the window's variance."""


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What training windows look like.

    Attributes:
        mean: of normalised windows, [L].
        basis: leading principal components, [L, K].
        energy: variance along each, [K].
        predictor: weights of the rows before, oldest first, [lags].
        median: of each statistic, [F].
        below: its deviation downwards, [F].
        above: upwards, [F].
        precision: C⁻¹ of the deviations, [F, F].

    Example:
        >>> random = np.random.default_rng(0)
        >>> seen = random.normal(size=(200, 32)).cumsum(1)
        >>> known = Familiarity.fit(seen)
        >>> usual, broken = known.nats(seen[:1]), known.nats(seen[:1] + 50 * (np.arange(32) > 20))
        >>> bool(usual[0] < broken[0])
        True
    """

    mean: Floats
    basis: Floats
    energy: Floats
    predictor: Floats
    median: Floats
    below: Floats
    above: Floats
    precision: Floats

    @classmethod
    def fit(cls, contexts: Floats) -> Familiarity | None:
        """From training windows [windows, L]; None where these are shorter than 16 rows."""
        windows, length = contexts.shape
        if length < SHORTEST:
            return None
        unit = _normalised(contexts)[0]
        mean = unit.mean(0)
        values, vectors = np.linalg.eigh((unit - mean).T @ (unit - mean) / windows)
        kept = min(COMPONENTS, length // 4)
        start = cls(
            mean=mean,
            basis=vectors[:, ::-1][:, :kept],
            energy=np.maximum(values[::-1][:kept], FLOOR),
            predictor=_predictor(unit, min(LAGS, length // 4)),
            median=np.zeros(0),
            below=np.ones(0),
            above=np.ones(0),
            precision=np.zeros((0, 0)),
        )
        found = start.statistics(contexts)
        quantiles = np.quantile(found, [TAIL, 0.5, 1.0 - TAIL], axis=0).astype(np.float64)
        median = quantiles[1]
        below, above = np.maximum(np.diff(quantiles, axis=0) / TAIL_DEVIATION, 1e-3)
        deviations = np.clip(_deviations(found, median, below, above), -4.0, 4.0)
        spread = np.atleast_2d(np.cov(deviations.T, ddof=0))
        precision = np.linalg.inv(spread + 0.05 * np.eye(len(spread))).astype(np.float64)
        return replace(start, median=median, below=below, above=above, precision=precision)

    def nats(self, contexts: Floats) -> Floats:
        """The score of each context [windows, L]; about half the number of statistics is usual."""
        found = self.statistics(contexts)
        z = _deviations(found, self.median, self.below, self.above)
        return np.asarray(0.5 * np.einsum("bi,ij,bj->b", z, self.precision, z))

    def statistics(self, contexts: Floats) -> Floats:
        """What describes each context, [windows, F]."""
        unit, location, scale = _normalised(contexts)
        centred = unit - self.mean
        along = centred @ self.basis
        left = np.square(centred - along @ self.basis.T).mean(-1)
        innovation = np.square(_innovations(unit, self.predictor))
        change = np.diff(unit, axis=1)
        size = np.square(change).mean(-1)
        parts = [part.mean(-1) for part in np.array_split(innovation, PARTS, axis=1)]
        energies = (
            left,
            (np.square(along) / self.energy).mean(-1),
            innovation.mean(-1),
            innovation.max(-1),
            *parts,
        )
        return np.stack(
            [
                location,
                np.log(scale),
                *(np.log(energy + FLOOR) for energy in energies),
                (change**3).mean(-1) / (size + FLOOR) ** 1.5,
            ],
            axis=1,
        )

    def as_table(self) -> pd.DataFrame:
        """All arrays as rows name, row, column, value."""
        parts = []
        for field in fields(self):
            array = np.atleast_2d(getattr(self, field.name).T).T
            row, column = np.indices(array.shape)
            columns = {"row": row.ravel(), "column": column.ravel(), "value": array.ravel()}
            parts.append(pd.DataFrame({"name": field.name, **columns}))
        return pd.concat(parts, ignore_index=True)

    @classmethod
    def of_table(cls, table: pd.DataFrame) -> Familiarity:
        """The same from what `as_table` gave."""
        arrays = {}
        for name, own in table.groupby("name"):
            shape = int(own["row"].max()) + 1, int(own["column"].max()) + 1
            array = np.zeros(shape)
            array[own["row"], own["column"]] = own["value"]
            arrays[str(name)] = array if name in ("basis", "precision") else array[:, 0]
        return cls(**arrays)


def _normalised(contexts: Floats) -> tuple[Floats, Floats, Floats]:
    """Contexts by their own mean and deviation, and these two, [windows] each."""
    values = np.asarray(contexts, dtype=np.float64)
    location = values.mean(-1)
    scale = np.sqrt(values.var(-1) + FLOOR)
    return (values - location[:, None]) / scale[:, None], location, scale


def _innovations(unit: Floats, predictor: Floats) -> Floats:
    """What the rows before do not foretell, [windows, L − lags]."""
    lags = len(predictor)
    before = np.lib.stride_tricks.sliding_window_view(unit, lags, axis=1)[:, :-1]
    return np.asarray(unit[:, lags:] - before @ predictor)


def _predictor(unit: Floats, lags: int) -> Floats:
    """Ridge regression of a row on those before, over some of all places."""
    rows = np.lib.stride_tricks.sliding_window_view(
        unit[:: 1 + len(unit) // 1024], lags + 1, axis=1
    )
    rows = rows[:, :: 1 + rows.shape[1] // 128].reshape(-1, lags + 1)
    past, now = rows[:, :-1], rows[:, -1]
    gram = past.T @ past / len(rows) + 1e-3 * np.eye(lags)
    return np.asarray(np.linalg.solve(gram, past.T @ now / len(rows)))


def _deviations(found: Floats, median: Floats, below: Floats, above: Floats) -> Floats:
    gap = found - median
    return np.asarray(gap / np.where(gap < 0.0, below, above))
