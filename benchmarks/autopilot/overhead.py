"""What the machinery costs beside the trials: asking, telling, watching, pruning, storing.

    python benchmarks/autopilot/overhead.py DATA_FOLDER --set ILI --trials 20
    python benchmarks/autopilot/overhead.py DATA_FOLDER --epochs 5 --steps 12 --batch 64

A search of 20 trials on SQLite, one process, nothing pruned, each as long as a search's own are: 8
epochs of 100 steps unless told otherwise (the second command has the caps of the other scripts
here). The trials' own CPU time is what training and judging take, measured inside; the machinery's
is the rest of the process's CPU time from the first trial's draw to the last one's end. The first
trial, which pays for imports, is left out of both.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from time import process_time

import optuna
from protocol import SETS, bench_of, plan_of, space_for

import vneuron.autopilot.worker as worker_module
from vneuron.autopilot.plan import Plan
from vneuron.autopilot.pruner import VitalsPruner
from vneuron.autopilot.study import open_study
from vneuron.autopilot.trial import attempt
from vneuron.autopilot.worker import Worker
from vneuron.forecasting.training_budget import EPOCHS


class Stopwatch:
    """CPU time of training and judging, without what the watcher does in between."""

    def __init__(self) -> None:
        self.own: list[float] = []

    def attempt(self, config, bench, plan, watch):
        watched = 0.0

        def timed(line):
            nonlocal watched
            began = process_time()
            watch(line)
            watched += process_time() - began

        began = process_time()
        found = attempt(config, bench, plan, timed)
        self.own.append(process_time() - began - watched)
        return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path)
    options.add_argument("--set", choices=list(SETS), default="ILI")
    options.add_argument("--trials", type=int, default=20)
    options.add_argument("--epochs", type=int, default=EPOCHS)
    options.add_argument("--steps", type=int, default=Plan.steps, help="of an epoch")
    options.add_argument("--batch", type=int, default=None, help="windows; None as in a fit")
    arguments = options.parse_args()
    plan = plan_of(arguments.set)
    base = replace(plan.base, epochs=arguments.epochs, batch_size=arguments.batch)
    plan = replace(plan, base=base, steps=arguments.steps)
    space = space_for(plan.base)
    bench = bench_of(arguments.data, arguments.set, plan)
    stopwatch = Stopwatch()
    worker_module.attempt = stopwatch.attempt
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        study, _ = open_study(f"sqlite:///{folder}/study.db", "overhead", plan)
        # decides as it does, but never stops: both parts are of whole trials
        study.pruner = Reading()
        Worker(
            study,
            plan,
            space,
            bench,
            trials=arguments.trials,
            on_trial=lambda: ends.append(process_time()),
        ).run()
    own = sum(stopwatch.own[1:])
    total = ends[-1] - ends[0]
    share = 100 * (total - own) / own
    print(
        f"{arguments.set}, {len(ends)} trials of {plan.base.epochs} x {plan.steps} steps: "
        f"trials {own:.1f} CPU-s, machinery {total - own:.2f} CPU-s, {share:.1f}% "
        f"({1000 * (total - own) / (len(ends) - 1):.0f} ms a trial)"
    )


class Reading(VitalsPruner):
    """Does the pruner's work and lets every trial go on."""

    def stops(self, study: optuna.Study, epochs, total: int) -> bool:
        super().stops(study, epochs, total)
        return False


if __name__ == "__main__":
    main()
