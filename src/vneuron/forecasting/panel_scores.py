"""Scores of all series together at the same origins: joint NLL, energy, and their total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .coupling import Coupling
from .data.frame import Panel
from .data.scaling import Scaling
from .data.windows import Windows
from .laws.coupled import Factors, Loadings, excess_nll, gaussian_sources, sample_coupled
from .laws.predictive import TrajectoryDistribution
from .model import FittedModel
from .origins import positions, shared_origins, whole_windows
from .scoring.path_scores import energy_score

ORIGINS, DRAWS = 200, 200
INDEPENDENT = "independent"


class JointLaw(Protocol):
    """What ties some series at one origin; they are the batch of a path, in double precision."""

    def excess(self, path: TrajectoryDistribution, target: Tensor, series: Tensor) -> float:
        """Joint NLL of what came beyond the sum of the series' own, nats."""

    def sample(
        self,
        path: TrajectoryDistribution,
        series: Tensor,
        draws: int,
        generator: torch.Generator,
    ) -> Tensor:
        """Joint paths, [series, draws, H]."""


@dataclass(frozen=True)
class SharedSources:
    """Series that share sources; by loadings of nought independent ones.

    Attributes:
        loadings: of all series of the panel.
    """

    loadings: Loadings

    def excess(self, path: TrajectoryDistribution, target: Tensor, series: Tensor) -> float:
        """By Woodbury."""
        sources = gaussian_sources(path, target)
        one = type(sources)(*(each[None] for each in sources))
        return float(excess_nll(one, self.loadings.take(series)))

    def sample(
        self,
        path: TrajectoryDistribution,
        series: Tensor,
        draws: int,
        generator: torch.Generator,
    ) -> Tensor:
        """Of factors drawn for this origin."""
        factors = Factors.draw(draws, self.loadings, path.horizon, generator)
        return sample_coupled(path, self.loadings.take(series), factors, generator)


@torch.no_grad()
def panel_scores(
    model: FittedModel,
    windows: Windows,
    scaling: Scaling,
    laws: Mapping[str, JointLaw],
    *,
    origins: int = ORIGINS,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """What different ties between series are worth, on the same forecasts.

    Args:
        model: of the series by themselves.
        windows: to score, scaled.
        scaling: of the same series.
        laws: what ties the series, by name.
        origins: at most so many, evenly spaced.
        draws: joint paths of an origin.
        seed: of the paths.

    Returns:
        By name: joint_nll (nats per step and series), energy (energy score of all paths of an
        origin as one vector, over its root length; both in training deviations); of the sum of
        all series in the data's unit, coverage and width of 80% intervals: total_coverage_80 and
        total_width_80 of single steps, total_path_coverage_80 and total_path_width_80 of the mean
        over the horizon. Empty where no two series share an origin.
    """
    found = whole_windows(windows, shared_origins(windows, origins))
    means, sds = torch.from_numpy(scaling.mean), torch.from_numpy(scaling.sd)
    rows: dict[str, list[list[float]]] = {name: [] for name in laws}
    for number, origin in enumerate(found):
        batch = windows.gather(positions(origin).to(windows.device))
        series = batch.series.cpu()
        path = model.forecast(batch).to("cpu")
        if not isinstance(path, TrajectoryDistribution):
            raise TypeError(f"found a {type(path).__name__}, expected a TrajectoryDistribution")
        path = path.rescale(torch.zeros(len(path)), torch.ones(len(path)))
        target = batch.target.cpu().double()
        alone = float(path.joint_nll(target).sum())
        for name, law in laws.items():
            generator = torch.Generator().manual_seed(seed + number)
            drawn = law.sample(path, series, draws, generator)
            joint = (alone + law.excess(path, target, series)) / target.numel()
            flat = drawn.transpose(0, 1).flatten(1)[None].numpy()
            energy = energy_score(target.flatten()[None].numpy(), flat)[0]
            sd, mean = sds[series][:, None], means[series].sum()
            totals = (drawn * sd[:, None]).sum(0) + mean
            total = (target * sd).sum(0) + mean
            rows[name].append([joint, energy, *_held(totals, total)])
    names = ("joint_nll", "energy", *_HELD)
    return {
        name: dict(zip(names, np.mean(values, axis=0).tolist(), strict=True))
        for name, values in rows.items()
        if values
    }


_HELD = (
    "total_coverage_80",
    "total_width_80",
    "total_path_coverage_80",
    "total_path_width_80",
)


def _held(draws: Tensor, came: Tensor) -> list[float]:
    """Coverage and width of 80% intervals by draws [S, H], of steps and of their mean."""
    held: list[float] = []
    for own, y in ((draws, came), (draws.mean(-1, keepdim=True), came.mean(-1, keepdim=True))):
        low, high = torch.quantile(own, torch.tensor([0.1, 0.9], dtype=own.dtype), dim=0)
        inside = (y >= low) & (y <= high)
        held += [float(inside.double().mean()), float((high - low).mean())]
    return held


def score_coupling(model: FittedModel, panel: Panel, step: int = 1) -> dict[str, float] | None:
    """What coupling is worth on the windows that follow the rows of the fit.

    Args:
        model: fitted.
        panel: series that go on beyond the fit's rows.
        step: rows between windows, of which at most 200 origins are scored.

    Returns:
        The scores of `panel_scores`, and the same of independent series under NAME_independent.
        None where the model couples nothing, or no two series share an origin.
    """
    shared = model.shares
    if shared is None:
        return None
    windows, scaling = model.windows_to_score(panel, step), model.scaling(panel)
    loadings = shared.of(model.memory.identity(panel))
    nothing = Coupling.none(*loadings.units.shape[:2]).loadings
    laws = {"coupled": SharedSources(loadings), INDEPENDENT: SharedSources(nothing)}
    found = panel_scores(model, windows, scaling, laws, seed=model.config.seed)
    if not found:
        return None
    beside = {f"{name}_{INDEPENDENT}": value for name, value in found[INDEPENDENT].items()}
    return {**found["coupled"], **beside}
