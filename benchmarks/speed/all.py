"""Every benchmark of speed, one after the other.

    python benchmarks/speed/all.py [--neuralforecast PYTHON] [--eve CHECKOUT --etth1 CSV]

Each is a script by itself, run here in a process of its own; those that need what is not there are
skipped, with a line that says so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neuralforecast", metavar="PYTHON", help="of an environment with it")
    parser.add_argument("--eve", metavar="CHECKOUT", help="of YvesRuffenach/EVE")
    parser.add_argument("--etth1", metavar="CSV", help="for --eve")
    parser.add_argument("--only", nargs="+", help="names of scripts")
    options = parser.parse_args()
    plain = ("step", "by_hand", "gather", "many_series", "larger_than_memory", "paths", "startup")
    scripts: dict[str, list[str]] = {name: [] for name in (*plain, "ddp", "scaling")}
    scripts["neuralforecast"] = ["--python", options.neuralforecast or "none"]
    scripts["time_to_quality"] = [options.eve or "none", options.etth1 or "none"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    failed = []
    for name in options.only or scripts:
        print(f"== {name}", flush=True)
        began = time.perf_counter()
        command = [sys.executable, str(HERE / f"{name}.py"), *scripts[name]]
        if subprocess.run(command, env=environment, check=False).returncode:
            failed.append(name)
        print(f"   {time.perf_counter() - began:.0f} s", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    raise SystemExit(main())
