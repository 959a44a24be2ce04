"""Searches at equal CPU budget, and what their winners are worth on test rows.

    python benchmarks/autopilot/studies.py DATA_FOLDER --budget 30 --repetitions 3
    python benchmarks/autopilot/studies.py DATA_FOLDER --table

Methods: "autopilot" (quality, health and cost under the gates; the default configuration and the
portfolio first, then neighbours of the best and TPE; trials stopped by vitals with weights fitted
without the set; knee of the front near its best quality); "quality" (the same by TPE, quality alone
under the gates); "tpe" (Optuna's TPE with Hyperband on validation loss alone); "halving" (random
search with successive halving, chosen lexicographically: the reference's). Winners are those of
training and validation rows; each is refitted once under the trials' caps and scored on 1,024 test
windows, as is the default configuration ("default", no search). Caps: 5 epochs of 12 steps of 64
windows, 256 validation windows. Resumable: one Parquet file per set, method and repetition.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from time import process_time

import optuna
import pandas as pd
from protocol import SETS, STEPS, TEST_WINDOWS, bench_of, plan_of, space_for, write_parquet

from vneuron.autopilot.losses import window_losses
from vneuron.autopilot.pareto import choose
from vneuron.autopilot.portfolio import opening
from vneuron.autopilot.pruner import VitalsPruner
from vneuron.autopilot.results import trials_frame
from vneuron.autopilot.space import configuration
from vneuron.autopilot.study import build_pruner, build_sampler, finished
from vneuron.autopilot.trial import trial_training
from vneuron.autopilot.vital_signs import vital_signs
from vneuron.autopilot.worker import Worker
from vneuron.forecasting.contenders import build_task
from vneuron.forecasting.data.windows import evenly_spaced
from vneuron.forecasting.model import FittedModel
from vneuron.training.loop import Trainer

METHODS = {
    "autopilot": {"goal": "pareto", "sampler": "neighbours", "pruner": "vitals"},
    "quality": {"goal": "quality", "sampler": "tpe", "pruner": "vitals"},
    "tpe": {"goal": "quality", "sampler": "tpe", "pruner": "hyperband"},
    "halving": {"goal": "lexicographic", "sampler": "random", "pruner": "halving"},
}
OWN = ("autopilot", "quality")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path)
    options.add_argument(
        "--sets", nargs="+", choices=list(SETS), default=["ILI", "ETTh1", "Exchange"]
    )
    options.add_argument("--methods", nargs="+", default=["autopilot", "tpe", "halving"])
    options.add_argument("--budget", type=float, default=30.0, help="CPU-seconds of a search")
    options.add_argument("--repetitions", type=int, default=3)
    options.add_argument("--seconds", type=float, default=1e9, help="CPU-seconds of this call")
    options.add_argument("--pool", type=Path, default=Path("runs/autopilot/pool"))
    options.add_argument("--out", type=Path, default=Path("runs/autopilot/studies"))
    options.add_argument("--table", action="store_true")
    arguments = options.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if arguments.table:
        table(arguments.out)
        return
    for repetition in range(arguments.repetitions):
        for name in arguments.sets:
            for method in ["default", *arguments.methods]:
                path = arguments.out / f"{name}.{method}.{repetition}.parquet"
                if path.exists():
                    continue
                if process_time() > arguments.seconds:
                    return
                row, trials = run(name, method, repetition, arguments)
                if trials is not None:
                    write_parquet(arguments.out / "trials" / path.name, trials)
                write_parquet(path, pd.DataFrame([row]))
                print(json.dumps(row), flush=True)


def run(name: str, method: str, seed: int, arguments) -> tuple[dict, pd.DataFrame | None]:
    options = METHODS.get(method, {})
    plan = plan_of(name, seed=seed, **options)
    plan = replace(plan, base=replace(plan.base, seed=seed))
    space = space_for(plan.base)
    bench = bench_of(arguments.data, name, plan)
    bench.material(plan.base)
    config, facts, trials = plan.base, {}, None
    if method != "default":
        study, spent, curve = search(plan, space, bench, method, name, arguments)
        chosen = choose(finished(study), plan.criteria, plan.goal)
        config = configuration(plan.base, chosen.trial.options)
        trials = trials_frame(study)
        trials["cpu_at_end"] = pd.Series(curve).reindex(trials["number"]).to_numpy()
        facts = {
            "cpu": spent,
            "trials": len(trials),
            "stopped": int((trials["state"] == "pruned").sum()),
            "validation": chosen.trial.values["joint_nll"],  # noqa: PD011
            "reason": chosen.reason,
        }
    scores, health = final(config, bench)
    row = {"set": name, "method": method, "repetition": seed, **facts, **scores, **health}
    return row, trials


def search(plan, space, bench, method: str, name: str, arguments):
    """A study within its CPU budget, on one thread; when each trial ended, in CPU-seconds."""
    study = optuna.create_study(
        directions=["minimize"] * len(plan.searched),
        sampler=build_sampler(plan),
        pruner=build_pruner(plan),
        study_name=f"{name}-{method}-{plan.seed}",
    )
    if method in OWN:
        weights = json.loads((arguments.pool / "weights.json").read_text())[name]
        study.pruner = VitalsPruner(weights)
        for options in (space.default(plan.base), *opening(space, plan.base)):
            study.enqueue_trial(options)
    began = process_time()
    ends: dict[int, float] = {}

    def ended() -> None:
        for trial in study.get_trials(deepcopy=False):
            if trial.state.is_finished():
                ends.setdefault(trial.number, process_time() - began)

    Worker(
        study,
        plan,
        space,
        bench,
        deadline=lambda: 0.0 if process_time() - began > arguments.budget else None,
        on_trial=ended,
    ).run()
    return study, process_time() - began, ends


def final(config, bench) -> tuple[dict, dict]:
    """One refit under the trials' caps, its test scores, and its health."""
    material = bench.material(config)
    model = FittedModel.untrained("EVE", material.config, bench.memory(config))
    task = build_task(model.network, material.train, bench.judged(material))
    Trainer(trial_training(config, STEPS)).fit(task)
    windows = model.windows_to_score(material.panel)
    windows = windows.take(evenly_spaced(len(windows), TEST_WINDOWS))
    signs = vital_signs(task.vitals(), {})
    health = {name: signs[name] for name in ("faults", "alive", "out_of_band")}
    parameters = sum(p.numel() for p in model.network.parameters())
    return window_losses(model, windows).means(), {**health, "parameters": parameters}


def table(out: Path) -> None:
    rows = pd.concat([pd.read_parquet(path) for path in sorted(out.glob("*.parquet"))])
    rows["to random's best"] = [reach(out, row) for row in rows.to_dict("records")]
    numbers = ["crps", "joint_nll", "validation", "faults", "parameters", "cpu", "trials"]
    numbers += ["stopped", "to random's best"]
    for name, part in rows.groupby("set", sort=False):
        grouped = part.groupby("method", sort=False)
        shown = pd.DataFrame({"n": grouped.size()})
        for number in numbers:
            mean, sd = grouped[number].mean(), grouped[number].std()
            digits = 0 if number in ("parameters", "cpu", "trials", "stopped") else 4
            shown[number] = [
                f"{m:.{digits}f} ({s:.{digits}f})" if m == m else "–"
                for m, s in zip(mean, sd, strict=True)
            ]
        print(f"\n{name}: mean (standard deviation) over repetitions")
        print(shown.to_string())
    print_paired(rows)


def print_paired(rows: pd.DataFrame) -> None:
    """Differences by repetition, over all sets."""
    wide = rows.pivot(index=["set", "repetition"], columns="method")
    for metric in ("crps", "joint_nll"):
        own = wide[metric]["autopilot"]
        for rival in [m for m in wide[metric].columns if m != "autopilot"]:
            found = (own - wide[metric][rival]).dropna()
            better = int((found < 0).sum())
            print(
                f"{metric}: autopilot less {rival}: {found.mean():+.4f} "
                f"(below zero in {better} of {len(found)})"
            )


def reach(out: Path, row: dict) -> float:
    """CPU-seconds at which a search had what random search with halving ended with, as a share of
    what that one spent to find it; infinite where it never had."""
    if row["method"] == "default":
        return float("nan")
    key = f"{row['set']}.{{}}.{row['repetition']}.parquet"
    own = best_curve(out / "trials" / key.format(row["method"]))
    rival_path = out / "trials" / key.format("halving")
    if not rival_path.exists():
        return float("nan")
    rival = best_curve(rival_path)
    target = rival["best"].min()
    at = rival.loc[rival["best"] <= target, "cpu_at_end"].iloc[0]
    reached = own.loc[own["best"] <= target, "cpu_at_end"]
    return float(reached.iloc[0] / at) if len(reached) else float("inf")


def best_curve(path: Path) -> pd.DataFrame:
    """Best validation joint NLL of complete trials over CPU-seconds."""
    done = pd.read_parquet(path)
    done = done[(done["state"] == "complete") & done["cpu_at_end"].notna()]
    done = done.sort_values("cpu_at_end")
    return done.assign(best=done["joint_nll"].cummin())


if __name__ == "__main__":
    main()
