"""Where the CPU time of a training step goes, part by part.

    python benchmarks/speed/sections.py [--batch 256 1024] [--steps 200]

The parts of `Stepper`'s call, each timed by itself over many steps; lower quartiles in
microseconds, since what disturbs a part only ever adds to it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import pairwise

import torch
from step import WINDOWS, stepper_of
from torch import nn

from vneuron.controls import control_step
from vneuron.objective import free_energy
from vneuron.training.meter import Meter

PARTS = ("gather", "forward", "loss", "backward", "clip", "AdamW", "control", "meter")


def sections(kind: str, batch: int, units: int, steps: int) -> dict[str, float]:
    """Microseconds of each part."""
    step, task = stepper_of(kind, batch, units)
    optimizer, meter = step._optimizer, Meter()
    order = torch.randperm(WINDOWS)
    times: list[list[float]] = []
    for done in range(steps):
        first = done * batch % (WINDOWS - batch + 1)
        clock = [time.process_time()]
        given = task.batch(order[first : first + batch], torch.device("cpu"))
        clock.append(time.process_time())
        nll, terms, penalty, logs = task.module(*given)
        clock.append(time.process_time())
        loss = free_energy(nll, terms, penalty)
        clock.append(time.process_time())
        loss.backward()  # type: ignore[no-untyped-call]
        clock.append(time.process_time())
        for parameters in step._clipped.values():
            nn.utils.clip_grad_norm_(parameters, 1.0)
        clock.append(time.process_time())
        optimizer.step()
        optimizer.zero_grad()
        clock.append(time.process_time())
        control_step(task.module, terms, optimizer)
        clock.append(time.process_time())
        meter.add(loss, nll, logs)
        clock.append(time.process_time())
        times.append([b - a for a, b in pairwise(clock)])
    return {
        name: 1e6 * statistics.quantiles(column, n=4)[0]
        for name, column in zip(PARTS, zip(*times, strict=True), strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':<14}" + "".join(f"{name:>10}" for name in (*PARTS, "all")) + "   (µs)")
    for batch in options.batch:
        for kind in ("twin", "marginal", "joint", "static"):
            found = sections(kind, batch, options.units, options.steps)
            row = [*found.values(), sum(found.values())]
            print(f"{kind:<9}{batch:>5}" + "".join(f"{value:>10.0f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
