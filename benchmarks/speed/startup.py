"""What importing costs, against torch alone, and how soon the command answers.

    python benchmarks/speed/startup.py [--rounds 9]

Each is a fresh process; CPU time of user and system, rounds in random order, files in the page
cache. The floor is `import torch`, and for the command an empty Python.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import time

from measure import verdict

WORKS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import torch": [sys.executable, "-c", "import torch"],
    "import vneuron": [sys.executable, "-c", "import vneuron"],
    "GaussianUnits": [sys.executable, "-c", "import vneuron; vneuron.GaussianUnits"],
    "EVEForecaster": [sys.executable, "-c", "import vneuron; vneuron.EVEForecaster"],
    "vneuron --help": [sys.executable, "-m", "vneuron", "--help"],
    "vneuron --version": [sys.executable, "-m", "vneuron", "--version"],
    "vneuron info": [sys.executable, "-m", "vneuron", "info"],
}


def spent(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    order = random.Random(0)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WORKS}
    for turn in range(options.rounds + 1):
        for name in order.sample(list(WORKS), len(WORKS)):
            found = spent(WORKS[name])
            if turn:  # the first fills the page cache
                times[name].append(found)
    for name, found in times.items():
        cpu, wall = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:<20}{cpu:>7.2f} CPU-s{wall:>7.2f} s wall")
    for name in ("import vneuron", "GaussianUnits"):  # names are imported when they are asked for
        pairs = zip(times[name], times["import torch"], strict=True)
        ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
        print(verdict(f"{name} / import torch", ratio, 1.15))
    helping = statistics.median(cpu for cpu, _ in times["vneuron --help"])
    print(verdict("vneuron --help, CPU time", helping, 0.4, " s"))


if __name__ == "__main__":
    main()
