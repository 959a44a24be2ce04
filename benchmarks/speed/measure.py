"""How speed is measured here: CPU time of one thread, in rounds that visit every variant."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

Work = Callable[[], object]


class Timing(NamedTuple):
    """One variant's figures.

    Attributes:
        milliseconds: median CPU time of a call.
        ratio: median over rounds of its time over the reference's in the same round.
        low: the lower quartile of that ratio.
        high: the upper quartile.
    """

    milliseconds: float
    ratio: float
    low: float
    high: float


def paired(
    works: Mapping[str, Work], reference: str, *, rounds: int, calls: int = 1, warm: int = 2
) -> dict[str, Timing]:
    """Time every variant in every round, in random order, so that drifts of the machine cancel.

    Args:
        works: what to call, by name.
        reference: the one that ratios are taken to.
        rounds: how many count.
        calls: of each variant in a round.
        warm: rounds before those that count.
    """
    order = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(-warm, rounds):
        for name in order.sample(list(works), len(works)):
            began = time.process_time()
            for _ in range(calls):
                works[name]()
            if turn >= 0:
                times[name].append((time.process_time() - began) / calls)
    return {
        name: Timing(1e3 * statistics.median(own), *_ratio(own, times[reference]))
        for name, own in times.items()
    }


def _ratio(own: list[float], reference: list[float]) -> tuple[float, float, float]:
    ratios = [a / b for a, b in zip(own, reference, strict=True)]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high


def resident_mib(field: str = "VmRSS") -> float:
    """Memory of this process as Linux counts it: VmRSS now, VmHWM at most since `reset_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def reset_peak() -> None:
    """Set the highest resident size back to the present one."""
    Path("/proc/self/clear_refs").write_text("5")


def verdict(label: str, found: float, bar: float, unit: str = "×", *, least: bool = False) -> str:
    """One line that sets a figure beside its bar."""
    word = "holds" if (found >= bar if least else found <= bar) else "MISSED"
    sign = "≥" if least else "≤"
    return f"{word:<7}{label}: {found:,.4g}{unit} (bar {sign} {bar:,.4g}{unit})"
