"""Where the verdict's thresholds stand between units at fault and units without.

Trains layers without fault (three series, several prices of information and priors) and layers in
which a fault is induced, over seeds, and prints for both what the verdicts *exploding* and *frozen
in time* are told by: energy in variances of the prior with its growth, and persistence with
innovation, of units that tell anything (rate above .01). Last, how often each verdict is given.

    python benchmarks/living/thresholds.py --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

import vneuron as vn

sys.path.insert(0, str(Path(__file__).parent))
from collapse_modes import CASES, UNITS
from small_run import SERIES, Likelihood, Network, examine, series, train


def standard(beta: float) -> vn.GaussianUnits:
    return vn.GaussianUnits(24, UNITS, beta=beta)


def remembering(beta: float) -> vn.GaussianUnits:
    return vn.GaussianUnits(24, UNITS, beta=beta, prior=vn.AutoregressiveNormal(UNITS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    faults = [case for case in CASES if case.mode in ("exploding", "frozen in time")]
    for name in SERIES:
        for build, label in ((standard, "N(0, 1)"), (remembering, "autoregressive")):
            units = [
                trained(lambda: build(beta), name, seed)  # noqa: B023
                for beta in (0.01, 0.1, 1.0)
                for seed in arguments.seeds
            ]
            show(f"{name}, no fault, {label}", pd.concat(units))
        for case in faults:
            units = [
                trained(
                    case.units, name, seed, case.prepare, case.steps + case.after_steps, case.rate
                )
                for seed in arguments.seeds
            ]
            show(f"{name}, induced: {case.mode}", pd.concat(units))


def trained(
    build: Callable[[], vn.GaussianUnits],
    name: str,
    seed: int,
    prepare: Callable[[Network], None] = lambda network: None,
    steps: int = 400,
    rate: float = 0.01,
) -> pd.DataFrame:
    torch.manual_seed(seed)
    past, held_out = series(name)
    network = Network(build())
    prepare(network)
    likelihood = vn.Collect(Likelihood(network))
    train(likelihood, past, steps, rate)
    examine(likelihood, held_out)
    frame = vn.health(network).units
    prior = network.units.prior.moments()[1].detach().expand(network.units.units, 1)[:, 0]
    slow = network.units.statistics.slow_energy
    frame["variances"] = frame["energy"] / prior.square().numpy()
    frame["growth"] = frame["energy"] / slow.numpy() - 1.0
    return frame


def show(label: str, units: pd.DataFrame) -> None:
    telling = units[units["rate"] > 0.01]
    persistent = telling[telling["persistence"] > 0.98]
    print(f"{label}: {len(units)} units, {len(telling)} telling; {dict(Counter(units['verdict']))}")
    print(f"    energy {spread(units['variances'])} variances, growth {spread(units['growth'])}")
    if telling["persistence"].notna().any():
        print(
            f"    persistence {spread(telling['persistence'])}; innovation of the "
            f"{len(persistent)} above .98: {spread(persistent['innovation'])} nats",
            flush=True,
        )


def spread(values: pd.Series) -> str:
    if not len(values):
        return "–"
    low, middle, high = values.quantile([0.0, 0.5, 1.0])
    return f"{low:.3g} / {middle:.3g} / {high:.3g}"


if __name__ == "__main__":
    main()
