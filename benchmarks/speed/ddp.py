"""Throughput of two processes against one, at equal batch per process.

    python benchmarks/speed/ddp.py [--rounds 5] [--batch 256 1024]

The trainer's own data parallelism (gloo, spawned processes, one thread each) on the forecaster's
model and objective; windows a second of wall time over a whole epoch, in which each process takes
as many steps. Starting processes is left out: the first epoch is not counted. One and two take
turns. Cores that others work on show less than they have: how much two processes that share nothing
reach at the same time is printed beside it, and what CPU time says, which waits for no one: twice
the CPU seconds of a step alone over those of a step of one process of two. The ceiling for gloo is
what two processes reach that take the step each for itself and exchange one vector of as many
numbers as there are weights after it, and nothing else.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from typing import NamedTuple, TypeAlias

import torch
from measure import verdict
from step import HIDDEN, HORIZON, INPUT, stepper_of, windows
from step import step_of as bare_step
from torch import distributed

import vneuron as vn
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.task import TrajectoryTask
from vneuron.training.config import TrainingConfig
from vneuron.training.loop import Trainer

EPOCHS = 3

Queue: TypeAlias = "SimpleQueue[float]"


class Step(NamedTuple):
    """Wall and CPU seconds of a step of one process."""

    wall: float
    cpu: float


def step_of(devices: int, batch: int, steps: int) -> Step:
    """A step's cost, from the epochs after the first; validation takes eight windows."""
    torch.manual_seed(0)
    layer = vn.GaussianUnits(HIDDEN, 32, prior=vn.LearnedNormal(32), beta=0.1)
    network = TrajectoryNetwork(INPUT, HORIZON, units=layer, hidden=HIDDEN)
    data = windows(8192)
    config = TrainingConfig(
        epochs=EPOCHS,
        batch_size=batch,
        min_steps_per_epoch=steps,
        max_steps_per_epoch=steps,
        patience=0,
        devices=devices,
        device="cpu",
        quiet=True,
    )
    task = TrajectoryTask(network, data, data.take(torch.arange(8)))
    queue = multiprocessing.get_context("spawn").SimpleQueue()
    Trainer(config).fit(task, on_epoch=Tell(queue.put))
    ends = [queue.get() for _ in range(EPOCHS)]
    wall, cpu = (b - a for a, b in zip(ends[0], ends[-1], strict=True))
    return Step(wall / ((EPOCHS - 1) * steps), cpu / ((EPOCHS - 1) * steps))


class Tell:
    """Hands the clock at an epoch's end to the process that started training."""

    def __init__(self, put: Callable[[tuple[float, float]], None]) -> None:
        self.put = put

    def __call__(self, record: object) -> None:
        self.put((time.perf_counter(), time.process_time()))


def alone(batch: int, steps: int, queue: Queue) -> None:
    torch.set_num_threads(1)
    queue.put(step_of(1, batch, steps).wall)


def apart(batch: int, steps: int) -> float:
    """Throughput of two processes with nothing in common, over that of one of them alone."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    both = [context.Process(target=alone, args=(batch, steps, queue)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    return sum(1.0 / queue.get() for _ in both)


def exchanging(rank: int, batch: int, steps: int, port: int, queue: Queue) -> None:
    """Steps without the trainer, each followed by one all-reduce where there are two processes."""
    torch.set_num_threads(1)
    size = 2 if port else 1
    if port:
        address = f"tcp://127.0.0.1:{port}"
        distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=size)
    work = bare_step("joint", batch, 32)
    weights = torch.zeros(weights_of("joint", 32))
    for done in range(steps + 10):
        if done == 10:
            began = time.perf_counter()
        work()
        if port:
            distributed.all_reduce(weights)
    queue.put((time.perf_counter() - began) / steps)
    if port:
        distributed.destroy_process_group()


def ceiling(batch: int, steps: int) -> float:
    """Throughput of two processes that exchange one vector a step, over that of one."""
    context = multiprocessing.get_context("spawn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    walls = []
    for ranks, door in ((1, 0), (2, port)):
        queue = context.SimpleQueue()
        jobs = [
            context.Process(target=exchanging, args=(rank, batch, steps, door, queue))
            for rank in range(ranks)
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        walls.append(max(queue.get() for _ in jobs))
    return 2.0 * walls[0] / walls[1]


def weights_of(kind: str, units: int) -> int:
    return sum(p.numel() for p in stepper_of(kind, 8, units)[1].module.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 1024])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for batch in options.batch:
        steps = 40_000 // batch
        walls, ceilings, exchanges, cpus = [], [], [], []
        for turn in range(options.rounds):
            one, two = step_of(1, batch, steps), step_of(2, batch, steps)
            walls.append(2.0 * one.wall / two.wall)
            cpus.append(2.0 * one.cpu / two.cpu)
            ceilings.append(apart(batch, steps) * one.wall)
            exchanges.append(ceiling(batch, steps))
            print(
                f"batch {batch}, round {turn}: one {batch / one.wall:,.0f} windows/s, two "
                f"{2 * batch / two.wall:,.0f} ({walls[-1]:.2f} ×); by CPU time {cpus[-1]:.2f} ×; "
                f"two that share nothing {ceilings[-1]:.2f} ×, one exchange a step "
                f"{exchanges[-1]:.2f} ×",
                flush=True,
            )
        wall, cpu, nothing = (statistics.median(found) for found in (walls, cpus, ceilings))
        print(
            f"batch {batch}: two that share nothing {nothing:.2f} ×, but for one exchange a step "
            f"{statistics.median(exchanges):.2f} ×"
        )
        print(verdict(f"batch {batch}, two processes / one, wall", wall, 1.6, least=True))
        print(verdict(f"batch {batch}, two processes / one, CPU", cpu, 1.6, least=True))


if __name__ == "__main__":
    main()
