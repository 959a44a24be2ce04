"""What coupling series is worth: joint NLL of all series, and intervals for their total.

One trained network per seed, and on its forecasts of the test rows five ties between series:
"independent"; "static", a full correlation of what is new at each step beside all steps before
(whitened residuals of training rows, no learning); "units" and "noise", sources of one kind
shared; "coupled", both, as `series="coupled"` has it. Every series keeps its own law in all five.
Totals are of all series, in the data's unit and, since one large series may be most of that, of
scaled series. What is printed is mean and standard deviation over the seeds.

    python benchmarks/forecasting/coupling.py ETTh1.csv --set epochs=4 encoder=linear

`--ties` says in place of that how errors of different series go together, at single steps and as
means over the horizon, in training, validation and test windows: the mean correlation of two
series, and the variance of the total's error over that of independent series.
"""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from trained import name_of, parser, workshop

from vneuron.forecasting.coupling import Coupling
from vneuron.forecasting.coupling_fit import TRAINING_WINDOWS, learn_coupling, origin_data
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.windows import Windows, windows_between
from vneuron.forecasting.laws.coupled import gaussian_sources
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.laws.radial import student_radius
from vneuron.forecasting.model import FittedModel
from vneuron.forecasting.origins import shared_origins
from vneuron.forecasting.panel_scores import SharedSources, panel_scores

SHOWN = {
    "joint_nll": "joint NLL",
    "energy": "energy",
    "total_coverage_80": "total step",
    "total_path_coverage_80": "total mean",
    "total_width_80": "width step",
    "total_path_width_80": "width mean",
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--origins", type=int, default=100)
    options.add_argument("--draws", type=int, default=200)
    options.add_argument("--ties", action="store_true")
    arguments = options.parse_args()
    if arguments.ties:
        show_ties(arguments)
        return
    rows = []
    for seed in arguments.seeds:
        shop = workshop(arguments, seed)
        model, material = shop.contender("EVE")[0], shop.material
        told = {"train": material.train, "validation": material.validation}
        began = time.process_time()
        both = learn_coupling(model, **told, seed=seed)
        seconds = time.process_time() - began
        units = learn_coupling(model, **told, noise=False, seed=seed)
        noise = learn_coupling(model, **told, units=False, seed=seed)
        nothing = Coupling.none(*both.loadings.units.shape[:2])
        laws = {
            "independent": SharedSources(nothing.loadings),
            "static": StaticCorrelation.fit(model, material),
            "units": SharedSources(units.loadings),
            "noise": SharedSources(noise.loadings),
            "coupled": SharedSources(both.loadings),
        }
        gains = ", ".join(f"{kind.gain:.4f}" for kind in (units, noise, both))
        print(
            f"seed {seed}: coupled in {seconds:.0f} CPU-s; gain on validation windows of units, "
            f"noise, both: {gains}",
            flush=True,
        )
        size = material.config.lookback, material.config.horizon
        windows = windows_between(material.flat, material.split.test, *size)
        for unit, scaling in (
            ("raw", material.scaling),
            ("scaled", Scaling.identity(shop.panel)),
        ):
            found = panel_scores(
                model,
                windows,
                scaling,
                laws,
                origins=arguments.origins,
                draws=arguments.draws,
                seed=seed,
            )
            where = {"total": unit, "seed": seed}
            rows += [{**where, "series": name, **own} for name, own in found.items()]
    frame = pd.DataFrame(rows)
    folder = arguments.out / "coupling"
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / f"{name_of(arguments)}-{arguments.horizon}.parquet", index=False)
    show(frame)


def show_ties(arguments: Namespace) -> None:
    """How errors of different series go together, in each part of the rows."""
    rows = []
    for seed in arguments.seeds:
        shop = workshop(arguments, seed)
        model, material = shop.contender("EVE")[0], shop.material
        size = material.config.lookback, material.config.horizon
        test = windows_between(material.flat, material.split.test, *size)
        parts = {"training": material.train, "validation": material.validation, "test": test}
        rows += [{"rows": name} | ties(model, windows) for name, windows in parts.items()]
    frame = pd.DataFrame(rows).groupby("rows", sort=False).mean()
    print(f"{name_of(arguments)}, {arguments.horizon} steps, seeds {arguments.seeds}")
    print(frame.round(3).to_string())


@torch.no_grad()
def ties(model: FittedModel, windows: Windows, origins: int = 1000) -> dict[str, float]:
    """Of standardised errors, all series forecast from the same stamps."""
    shared = shared_origins(windows, origins)
    shared = shared[(shared >= 0).all(1)]
    errors: dict[str, list[Tensor]] = {"steps": [], "means": []}
    for origin in shared:
        batch = windows.gather(torch.from_numpy(origin))
        path = model.forecast(batch)
        errors["steps"].append(batch.target - path.loc)
        errors["means"].append((batch.target - path.loc).mean(-1, keepdim=True))
    found = {}
    for name, each in errors.items():
        missed = torch.stack(each).transpose(0, 1).flatten(1).double()
        correlation = torch.corrcoef(missed)
        series = len(correlation)
        found[f"correlation, {name}"] = float((correlation.sum() - series) / (series**2 - series))
        apart = missed.var(1).sum()
        found[f"variance of total / apart, {name}"] = float(missed.sum(0).var() / apart)
    return found


def show(frame: pd.DataFrame) -> None:
    """Mean over seeds, and standard deviation where there are several."""
    keys = ["total", "series"]
    grouped = frame.drop(columns="seed").groupby(keys, sort=False).agg(["mean", "std"])
    cells = {
        shown: [
            f"{mean:.4g}" if np.isnan(sd) else f"{mean:.4g} ± {sd:.1g}"
            for mean, sd in grouped[name].to_numpy()
        ]
        for name, shown in SHOWN.items()
    }
    table = pd.DataFrame(cells, index=grouped.index).reset_index()
    print(table.to_string(index=False))


@dataclass(frozen=True)
class StaticCorrelation:
    """One correlation between series of what is new at each step, the same at every step.

    Attributes:
        correlation: of all series, [series, series].
    """

    correlation: Tensor

    @classmethod
    def fit(cls, model: FittedModel, material) -> StaticCorrelation:
        data = origin_data(model, material.train, "training", TRAINING_WINDOWS)
        series = data.value.shape[1]
        total = torch.zeros(series, series, dtype=torch.float64)
        for at in range(0, len(data.value), 16):
            part = data.part(slice(at, at + 16), slice(None))
            white = whitened(part.value.double(), part.columns().double())
            white = white * part.present[..., None]
            total += torch.einsum("och,odh->cd", white, white)
        root = total.diagonal().rsqrt()
        return cls(total * root[:, None] * root)

    def excess(self, path: TrajectoryDistribution, target: Tensor, series: Tensor) -> float:
        own = self.correlation[series][:, series]
        sources = gaussian_sources(path, target)
        white = whitened(sources.value, sources.columns)
        logdet = path.horizon * torch.logdet(own)
        form = (white * torch.linalg.solve(own, white)).sum() - white.square().sum()
        return 0.5 * float(form + logdet)

    def sample(
        self,
        path: TrajectoryDistribution,
        series: Tensor,
        draws: int,
        generator: torch.Generator,
    ) -> Tensor:
        own = torch.linalg.cholesky(self.correlation[series][:, series])
        size = (len(path), draws, path.horizon)
        white = torch.randn(size, generator=generator, dtype=torch.float64)
        white = torch.einsum("cd,dsh->csh", own, white)
        nothing = gaussian_sources(path, path.loc)
        x = white @ root_of(nothing.columns).mT
        squared = white.square().sum(-1)
        df = None if path.df is None else path.df.item()
        ratio = torch.from_numpy(student_radius(squared.numpy(), path.horizon, df)) / squared
        units = x.new_zeros(*size[:2], nothing.columns.shape[-1])
        return path.place(path.deviation(x, units) * ratio.sqrt()[..., None])


def root_of(columns: Tensor) -> Tensor:
    """Lower root of I + V V'."""
    identity = torch.eye(columns.shape[-2], dtype=columns.dtype)
    return torch.linalg.cholesky(identity + columns @ columns.mT)


def whitened(value: Tensor, columns: Tensor) -> Tensor:
    root = root_of(columns)
    return torch.linalg.solve_triangular(root, value[..., None], upper=False)[..., 0]


if __name__ == "__main__":
    main()
