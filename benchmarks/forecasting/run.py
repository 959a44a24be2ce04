"""The forecasting benchmark: every model, on every data set, horizon and seed, in both protocols.

    python benchmarks/forecasting/run.py DATA_FOLDER_OR_FILES... --protocol A B --horizons 96 \
        --models EVE twin lowrank --seeds 0 1 2 --out runs/benchmarks

A run is one data set, protocol, horizon, model, seed and set of options; each is a Parquet row
with its configuration and a table of every window's scores, written when it is whole. Runs that
are there are not run again, trained networks are kept, and training goes on after a kill. `page.py`
makes tables and plots of what is there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import torch
from harness.benchmark import Benchmark, Request
from harness.models import MODELS
from harness.neuralforecast import THEIRS
from harness.protocols import data_set
from harness.results import RunKey
from harness.settings import add_settings, settings
from harness.tables import print_scores

DATA_SETS = ("ETTh1", "ETTm1", "exchange_rate", "weather", "national_illness")
BASIC = ("EVE", "twin", "linear", "lowrank", "ridge", "seasonal_naive", "repeat_last")


def main() -> None:
    torch.set_num_threads(1)
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    found: list[RunKey] = []
    benchmark = Benchmark(options.out, options.neuralforecast)
    for path in files(options.data):
        kind = data_set(path)
        for horizon in options.horizons or kind.horizons:
            for protocol in options.protocol:
                for seed in options.seeds:
                    for model in options.models:
                        request = request_of(options, path, protocol, horizon, model, seed)
                        found.extend(attempt(benchmark, request, options))
    print_scores(benchmark.results, found)


def attempt(benchmark: Benchmark, request: Request, options: argparse.Namespace) -> list[RunKey]:
    """The run's key, or nothing where it cannot be run; the reason goes to standard error."""
    key = request.key()
    if request.repeats_a_seed:
        return []
    if benchmark.results.has(key) and request.model not in options.again:
        return [key]
    if options.dry_run:
        print(key.stem)
        return []
    began = time.process_time()
    try:
        benchmark.run(request, afresh=request.model in options.again)
    except ValueError as error:
        print(f"{key.stem}: {error}", file=sys.stderr)
        return []
    print(f"{key.stem}: {time.process_time() - began:.0f} CPU s", file=sys.stderr, flush=True)
    return [key]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path, help="files, or folders of them")
    parser.add_argument("--protocol", nargs="+", choices=("A", "B"), default=["A"])
    parser.add_argument("--horizons", nargs="+", type=int, help="96 192 336 720; ILI 24 36 48 60")
    parser.add_argument("--models", nargs="+", default=list(BASIC), metavar="MODEL",
                        help=f"{' '.join((*MODELS, *THEIRS))}, or all")  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--input-size", default=None,
                        help="steps, or auto, by validation; A 336, ILI 104; B 96, 36")  # fmt: skip
    parser.add_argument("--target", nargs="+", default=[], metavar="COLUMN",
                        help="columns that are series; by default all numeric ones")  # fmt: skip
    parser.add_argument("--step", type=int, default=1, help="use every so-manieth test window")
    parser.add_argument("--max-steps", type=int, help="most optimiser steps of an epoch")
    add_settings(parser)
    for name in ("train-size", "val-size", "test-size"):
        parser.add_argument(f"--{name}", type=number, help="rows, or a share")
    parser.add_argument("--neuralforecast", metavar="PYTHON",
                        help="of an environment that has it, for the nf_ models")  # fmt: skip
    parser.add_argument("--nf-steps", type=int, default=300, help="their training steps")
    parser.add_argument("--again", nargs="+", default=[], metavar="MODEL",
                        help="train and score these afresh")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="print what is left to run")
    options = parser.parse_args()
    options.set = settings(parser, options.set)
    if options.models == ["all"]:
        options.models = [*MODELS, *THEIRS]
    for name in (*options.models, *options.again):
        if name not in MODELS and name not in THEIRS:
            parser.error(f"no model {name!r}; there are {', '.join((*MODELS, *THEIRS))}")
    theirs = [name for name in options.models if name in THEIRS]
    if theirs and options.neuralforecast is None:
        print(f"skipped without --neuralforecast PYTHON: {', '.join(theirs)}", file=sys.stderr)
        options.models = [name for name in options.models if name not in THEIRS]
    return options


def number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def files(given: list[Path]) -> list[Path]:
    """The data files: those named, and of a folder the known sets that it holds, or else all."""
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        own = sorted(p for p in path.iterdir() if p.suffix in (".csv", ".parquet"))
        known = [p for name in DATA_SETS for p in own if p.name.split(".")[0] == name]
        found.extend(known or own)
    if not found:
        raise SystemExit(f"no .csv or .parquet file in {', '.join(map(str, given))}")
    return found


def request_of(
    options: argparse.Namespace, path: Path, protocol: str, horizon: int, model: str, seed: int
) -> Request:
    kind = data_set(path)
    sizes = {
        name: getattr(options, name) if getattr(options, name) is not None else own
        for name, own in kind.sizes.items()
    }
    size = options.input_size or kind.look_back(protocol)
    return Request(
        path=path,
        protocol=protocol,
        horizon=horizon,
        model=model,
        seed=seed,
        input_size=None if size == "auto" else int(size),
        sizes=sizes,
        step=options.step,
        max_steps=options.max_steps,
        settings=options.set,
        nf_steps=options.nf_steps if model in THEIRS else None,
        target=tuple(options.target),
        first_seed=seed == options.seeds[0],
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
