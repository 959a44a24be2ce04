"""Pruners on the same configurations in the same orders: regret against trials and CPU-seconds.

    python benchmarks/autopilot/replay.py runs/autopilot/pool

Every trial's whole curve is known (`pool.py`), so that stopping it is replayed, not trained: a
study takes the pool's configurations in a random order, and a pruner sees each epoch as it would
have come. Vitals' weights are those fitted without the set (`calibrate.py`). Regret is the best
complete trial's validation joint NLL less the pool's best, nats per step; "to the best" is the
share of the CPU-seconds of no pruning at which a study has the best trial complete (1 where it
stopped it).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from protocol import EPOCHS

from vneuron.autopilot.pruner import PROGRESS, VitalsPruner

TRIALS = (5, 10, 20)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("pool", type=Path)
    options.add_argument("--orders", type=int, default=50)
    arguments = options.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    weights = json.loads((arguments.pool / "weights.json").read_text())
    for path in sorted(arguments.pool.glob("*.parquet")):
        pool = [
            (json.loads(row["epochs"]), row["joint_nll"])
            for row in pd.read_parquet(path).to_dict("records")
            if not row["diverged"]
        ]
        rows = []
        for name, pruner in pruners(weights, path.stem).items():
            found = [replay(pool, pruner, seed) for seed in range(arguments.orders)]
            rows.append({"pruner": name} | pd.DataFrame(found).mean().to_dict())
        print(f"\n{path.stem}: {len(pool)} configurations, {arguments.orders} orders")
        print(pd.DataFrame(rows).to_string(index=False, float_format="%.4f"))


def pruners(
    weights: dict[str, dict[str, float]], name: str
) -> dict[str, optuna.pruners.BasePruner]:
    return {
        "none": optuna.pruners.NopPruner(),
        "median": optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        "hyperband": optuna.pruners.HyperbandPruner(1, EPOCHS, 3),
        "halving": optuna.pruners.SuccessiveHalvingPruner(1, 3),
        "vitals": VitalsPruner(weights[name]),
        "curve alone": VitalsPruner(weights[f"{name}/curve"]),
    }


def replay(pool: list, pruner: optuna.pruners.BasePruner, seed: int) -> dict[str, float]:
    order = np.random.default_rng(seed).permutation(len(pool))
    study = optuna.create_study(pruner=pruner, study_name=f"replay-{seed}")
    best = min(value for _, value in pool)
    whole = sum(pool[i][0][-1]["seconds"] for i in order)
    spent, lowest, reached, stopped = 0.0, np.inf, 1.0, 0
    curve: list[tuple[float, float]] = []
    for i in order:
        epochs, value = pool[i]
        trial = study.ask()
        pruned = False
        for seen, epoch in enumerate(epochs, start=1):
            trial.set_user_attr(PROGRESS, {"epochs": epochs[:seen], "total": len(epochs)})
            trial.report(epoch["score"], seen)
            if seen < len(epochs) and trial.should_prune():
                pruned = True
                break
        spent += epochs[seen - 1]["seconds"]
        if pruned:
            stopped += 1
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, value)
            lowest = min(lowest, value)
            if value == best:
                reached = spent / whole
        curve.append((spent, lowest))
    found = {f"regret at {n} trials": curve[n - 1][1] - best for n in TRIALS if n <= len(curve)}
    for share in (0.25, 0.5):
        within = [low for seconds, low in curve if seconds <= share * whole and np.isfinite(low)]
        first = curve[0][1] if np.isfinite(curve[0][1]) else max(v for _, v in pool)
        found[f"regret at {share:.0%} of CPU"] = (within[-1] if within else first) - best
    return found | {
        "CPU": spent / whole,
        "to the best": reached,
        "final regret": lowest - best,
        "stopped": stopped / len(pool),
    }


if __name__ == "__main__":
    main()
