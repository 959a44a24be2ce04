"""A portfolio of configurations to begin a search with, learned on data sets of their own.

    python benchmarks/autopilot/portfolio.py DATA_FOLDER --out runs/autopilot/portfolio

1. On each of the protocol's other sets a search by TPE on validation joint NLL proposes
   configurations, under the caps of the comparisons (short: 5 epochs of 12 steps) or others (long:
   8 of 60).
2. Every proposal is trained on every set.
3. Greedily, configurations are taken so that the best of the portfolio comes closest to the best
   of all, in nats per step, on average over sets and caps; the default configuration, with which
   searches begin, is its first member.

Prints the portfolio as it stands in `vneuron.autopilot.portfolio`. Reads training and validation
rows. Resumable: one Parquet file per search, one per configuration trained.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import process_time

import numpy as np
import optuna
import pandas as pd
from protocol import OTHERS, bench_of, plan_of, space_for, write_parquet

from vneuron.autopilot.results import trials_frame
from vneuron.autopilot.space import configuration
from vneuron.autopilot.study import build_pruner, build_sampler
from vneuron.autopilot.trial import attempt
from vneuron.autopilot.worker import Worker

CAPS = {"short": (5, 12), "long": (8, 60)}
"""Epochs, and steps of each."""

WORST = 0.5
"""Nats per step: a trial further than this behind the best, or diverged, counts as so far."""


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("data", type=Path)
    options.add_argument("--sets", nargs="+", choices=list(OTHERS), default=list(OTHERS))
    options.add_argument("--caps", nargs="+", choices=list(CAPS), default=["short"])
    options.add_argument("--budget", type=float, default=60.0, help="CPU-seconds of a search")
    options.add_argument("--top", type=int, default=3, help="proposals of each search")
    options.add_argument("--size", type=int, default=5, help="configurations beside the default")
    options.add_argument("--out", type=Path, default=Path("runs/autopilot/portfolio"))
    arguments = options.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    cells = [(name, caps) for caps in arguments.caps for name in arguments.sets]
    proposals: list[str] = []
    for name, caps in cells:
        proposals += proposed(name, caps, arguments)
    proposals = list(dict.fromkeys(proposals))
    losses = np.array([trained(name, caps, ["{}", *proposals], arguments) for name, caps in cells])
    members, regrets = greedy(losses, arguments.size)
    for cell, row in zip(cells, losses, strict=True):
        behind = row - row.min()
        print(*cell, f"regret: default {behind[0]:.4f}, best member {behind[members].min():.4f}")
    print("mean regret in nats per step as members join:", [round(r, 4) for r in regrets])
    for member in members:
        print(json.loads(proposals[member - 1]))


def proposed(name: str, caps: str, arguments: argparse.Namespace) -> list[str]:
    """The best configurations of one search, as JSON."""
    path = arguments.out / f"search.{name}.{caps}.parquet"
    if not path.exists():
        plan = plan_of(name, *CAPS[caps], goal="quality", sampler="tpe", pruner="median")
        space = space_for(plan.base)
        bench = bench_of(arguments.data, name, plan)
        bench.material(plan.base)
        study = optuna.create_study(
            directions=["minimize"] * len(plan.searched),
            sampler=build_sampler(plan),
            pruner=build_pruner(plan),
            study_name=f"{name}-{caps}",
        )
        study.enqueue_trial(space.default(plan.base))
        end = process_time() + arguments.budget
        deadline = lambda: 0.0 if process_time() > end else None  # noqa: E731
        Worker(study, plan, space, bench, deadline=deadline).run()
        write_parquet(path, trials_frame(study))
    found = pd.read_parquet(path)
    found = found[found["state"] == "complete"].nsmallest(arguments.top, "joint_nll")
    print(path.stem, found["joint_nll"].round(4).tolist(), flush=True)
    return [json.dumps(plain(options), sort_keys=True) for options in found["options"]]


def plain(options: str | dict) -> dict:
    """Options that were drawn, rounded so that they can be read."""
    values = json.loads(options) if isinstance(options, str) else options
    return {
        name: float(f"{value:.2g}") if isinstance(value, float) else value
        for name, value in values.items()
        if value is not None
    }


def trained(name: str, caps: str, proposals: list[str], arguments: argparse.Namespace) -> list:
    """Validation joint NLL of each configuration on one set under one cap."""
    path = arguments.out / f"trained.{name}.{caps}.parquet"
    known = dict(pd.read_parquet(path).to_numpy().tolist()) if path.exists() else {}
    plan = plan_of(name, *CAPS[caps])
    bench = None
    for text in proposals:
        if text in known:
            continue
        bench = bench or bench_of(arguments.data, name, plan)
        config = configuration(plan.base, json.loads(text))
        found = attempt(config, bench, plan, lambda line: None)
        known[text] = found.values.get("joint_nll", float("inf"))  # noqa: PD011
        write_parquet(path, pd.DataFrame(known.items(), columns=["options", "joint_nll"]))
        print(name, caps, round(known[text], 4), text, flush=True)
    return [known[text] for text in proposals]


def greedy(losses: np.ndarray, size: int) -> tuple[list[int], list[float]]:
    """Columns beside the first that bring the mean regret of the best member down fastest.

    Args:
        losses: [cells, configurations], lower is better; the first column is always a member.
        size: so many at most; fewer where no other helps.
    """
    regret = np.minimum(losses - losses.min(1, keepdims=True), WORST)
    best, members, means = regret[:, 0], [], [float(regret[:, 0].mean())]
    for _ in range(size):
        after = np.minimum(best[:, None], regret).mean(0)
        chosen = int(after.argmin())
        if after[chosen] >= means[-1] - 1e-6:
            break
        members.append(chosen)
        best = np.minimum(best, regret[:, chosen])
        means.append(float(best.mean()))
    return members, means


if __name__ == "__main__":
    main()
