"""Every study of the papers' claims, one after the other, or as many as time allows.

    python benchmarks/claims/all.py DATA_FOLDER [--seconds 400] [--only controls budgets]

A finished run is never made again: stop it anywhere, and the same command goes on. With --seconds
each study stops after so much processor time; the exit code is 3 while runs are left. Below --out
every run is a JSON file, with configuration and seed, and every study a Parquet table; the page is
made of them by `python benchmarks/claims/page.py --results runs/claims`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from study.rows import UNFINISHED, parser

HERE = Path(__file__).parent
STUDIES = (
    "controls",
    "early_signal",
    "two_knobs",
    "constraint_strength",
    "latent_dim",
    "budgets",
    "granularity",
    "checkpoints",
)


def main() -> int:
    reader = parser(__doc__)
    reader.add_argument("--only", nargs="+", choices=STUDIES, default=STUDIES)
    reader.set_defaults(seeds=None)
    options = reader.parse_args()
    given = [str(options.data), "--out", str(options.out)]
    given += ["--networks", *options.networks]
    if options.seconds is not None:
        given += ["--seconds", str(options.seconds)]
    if options.seeds is not None:
        given += ["--seeds", *map(str, options.seeds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    codes = {}
    for study in options.only:
        print(f"== {study}", flush=True)
        command = [sys.executable, str(HERE / f"{study}.py"), *given]
        codes[study] = subprocess.run(command, env=environment, check=False).returncode
    failed = [study for study, code in codes.items() if code not in (0, UNFINISHED)]
    left = [study for study, code in codes.items() if code == UNFINISHED]
    if failed:
        print(f"failed: {', '.join(failed)}")
        return 1
    if left:
        print(f"runs are left in {', '.join(left)}: run the same command again")
    return UNFINISHED if left else 0


if __name__ == "__main__":
    raise SystemExit(main())
