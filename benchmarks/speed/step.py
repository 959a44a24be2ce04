"""The cost of a training step: EVE against its deterministic twin, and against bare products.

    python benchmarks/speed/step.py [--batch 256 1024] [--units 32] [--rounds 40]

A step is the trainer's own (`Stepper`): gather, forward, backward, clipping, AdamW, statistics.
L = 336, H = 96, 256 features. *marginal* has the units on the mean path and their KL, but no joint
term; *joint* is the forecaster's objective with scales that depend on the window; *steered* the
same with own noise that the units steer; *own* with features of the units' own beside, as the
forecaster has it; *static* is joint with one scale per unit. *floor* is the bare matrix products
and factorisations of the same shapes, forward and backward; *bytes* is what parameters, gradients
and moments take to be copied once as often as AdamW must read and write them.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from measure import Work, paired, verdict
from torch import Tensor

import vneuron as vn
from vneuron.forecasting.data.window_index import Listed
from vneuron.forecasting.data.windows import FlatSeries, Windows
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.laws.trajectory import AbstractTrajectory
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.networks.path_noise import NoiseKind
from vneuron.forecasting.task import TrajectoryObjective, TrajectoryTask
from vneuron.training.config import TrainingConfig
from vneuron.training.launch import build_fabric
from vneuron.training.meter import Meter
from vneuron.training.stepper import Stepper, build_optimizer

INPUT, HORIZON, HIDDEN, WINDOWS = 336, 96, 256, 8192

BARS = {
    256: {"marginal": 1.3, "joint": 3.2, "steered": 3.2, "own": 3.2, "static": 1.5},
    1024: {"marginal": 1.3, "joint": 4.0, "steered": 4.0, "own": 4.0, "static": 1.5},
}

STEERED = ("steered", "own")


class MarginalObjective(TrajectoryObjective):
    """Margins alone."""

    def nll(
        self, path: AbstractTrajectory, target: Tensor, observed: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        assert isinstance(path, TrajectoryDistribution)
        return super().nll(path.without_latent(), target, observed)


def windows(count: int, input_size: int = INPUT, horizon: int = HORIZON) -> Windows:
    """Every window of one random walk."""
    torch.manual_seed(0)
    rows = count + input_size + horizon - 1
    flat = FlatSeries(torch.randn(rows).cumsum(0) / 30, None, np.array([0, rows]), ("a",))
    starts = torch.arange(count)
    return Windows(flat, Listed(starts, torch.zeros_like(starts)), input_size, horizon)


def stepper_of(
    kind: str, batch: int, units: int, *, compile: bool = False, bf16: bool = False
) -> tuple[Stepper, TrajectoryTask]:
    """The trainer's step, and the task that it trains."""
    torch.manual_seed(0)
    config = TrainingConfig(
        batch_size=batch,
        quiet=True,
        device="cpu",
        compile=compile,
        precision="bf16-mixed" if bf16 else "32-true",
    )
    layer: vn.GaussianUnits | vn.DeterministicUnits
    if kind == "twin":
        layer = vn.DeterministicUnits(HIDDEN, units)
    else:
        layer = vn.GaussianUnits(
            2 * HIDDEN if kind == "own" else HIDDEN,
            units,
            scale="per_unit" if kind == "static" else "input",
            prior=vn.LearnedNormal(units),
            beta=0.1,
            loc_features=HIDDEN,
        )
        vn.attach_preset(layer, "adaptive", steps=HORIZON)
    noise: NoiseKind = "steered" if kind in STEERED else "white"
    network = TrajectoryNetwork(
        INPUT, HORIZON, units=layer, hidden=HIDDEN, noise=noise, own_features=kind == "own"
    )
    data = windows(WINDOWS)
    task = TrajectoryTask(network, data, data)
    if kind == "marginal":
        task.module = MarginalObjective(network)
    fabric = build_fabric(config)
    task.module.train()
    optimizer = build_optimizer(task, config)
    return Stepper(fabric, config, task, optimizer, total=100_000, epoch=1_000), task


def step_of(kind: str, batch: int, units: int, **options: bool) -> Work:
    """The trainer's step, as a call without arguments."""
    step, _ = stepper_of(kind, batch, units, **options)
    meter, order = Meter(), torch.randperm(WINDOWS)
    done = 0

    def work() -> None:
        nonlocal done
        first = done * batch % (WINDOWS - batch + 1)
        step(order[first : first + batch], done, meter, settled={})
        done += 1

    return work


def floor_of(kind: str, batch: int, units: int) -> Work:
    """The matrix products and factorisations of a step, forward and backward, and nothing else."""
    torch.manual_seed(0)
    x, h, y, z = (torch.randn(batch, size) for size in (INPUT, HIDDEN, HORIZON, units))
    path, trunk, spread = (
        torch.randn(HORIZON, INPUT),
        torch.randn(HIDDEN, INPUT),
        torch.randn(HORIZON, HIDDEN),
    )
    to_units, loading = torch.randn(units, HIDDEN), torch.randn(HORIZON, units)
    scale = torch.rand(batch if kind in ("joint", *STEERED) else 1, units) + 0.1
    gram = loading.T @ loading
    matrix = torch.eye(units) + scale[:, :, None] * gram * scale[:, None, :]

    def shared() -> None:
        _ = x @ path.T, y.T @ x
        _ = x @ trunk.T, h.T @ x
        _ = h @ spread.T, y.T @ h, y @ spread
        _ = h @ to_units.T, z.T @ h
        _ = z @ loading.T, y.T @ z, y @ loading

    def dependence() -> None:
        _ = loading.T @ loading, z @ loading.T, y @ loading, z @ loading.T
        _ = y @ loading, y @ loading, y.T @ z, y.T @ z
        factor, _ = torch.linalg.cholesky_ex(matrix)
        _ = torch.cholesky_inverse(factor)

    rows, columns = torch.tril_indices(units, units)
    alpha, own = torch.rand(batch, HORIZON), loading[:, rows] * loading[:, columns]
    triangles, steer = torch.randn(batch, len(rows)), torch.randn(HORIZON, units)

    def own_noise() -> None:
        _ = z @ steer.T, y.T @ z, y @ steer
        for _ in range(2):  # of a step with itself and with the next one
            _ = alpha @ own, alpha.T @ triangles, triangles @ own.T

    def work() -> None:
        shared()
        if kind in ("marginal", "joint", *STEERED):
            _ = h @ to_units.T, z.T @ h
        if kind in ("joint", *STEERED, "static"):
            dependence()
        if kind in STEERED:
            own_noise()
        if kind == "own":  # the units' features, and what they tell the spread
            _ = x @ trunk.T, h.T @ x, h @ to_units.T, z.T @ h, z @ to_units

    return work


def bytes_of(kind: str, units: int) -> tuple[float, Work]:
    """MiB that AdamW must move (reads p, g, m, v; writes p, m, v), and a copy of as many."""
    _, task = stepper_of(kind, 8, units)
    network = task.network
    moved = 7 * 4 * sum(p.numel() for p in network.parameters())
    source = torch.empty(moved // 8)
    target = torch.empty_like(source)
    return moved / 2**20, lambda: target.copy_(source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--variants", action="store_true", help="bf16 and torch.compile as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = ("twin", "marginal", "joint", "steered", "own", "static")
    for batch in options.batch:
        works: dict[str, Work] = {kind: step_of(kind, batch, options.units) for kind in kinds}
        if options.variants:
            works["joint bf16"] = step_of("joint", batch, options.units, bf16=True)
            works["joint compiled"] = step_of("joint", batch, options.units, compile=True)
        for kind in kinds:
            works[f"{kind} floor"] = floor_of(kind, batch, options.units)
            works[f"{kind} bytes"] = bytes_of(kind, options.units)[1]
        found = paired(works, "twin", rounds=options.rounds)
        print(
            f"batch {batch}, {options.units} units: CPU ms per step, ratio to the twin (quartiles)"
        )
        for name, timing in found.items():
            if "floor" not in name and "bytes" not in name:
                floor = found.get(f"{name} floor")
                moved = found.get(f"{name} bytes")
                beside = ""
                if floor is not None and moved is not None:
                    beside = f"   floor {floor.milliseconds:.2f} + bytes {moved.milliseconds:.2f}"
                print(
                    f"  {name:<15}{timing.milliseconds:>7.2f}{timing.ratio:>7.2f} "
                    f"({timing.low:.2f} to {timing.high:.2f}){beside}"
                )
        for kind, bar in BARS.get(batch, {}).items():
            print(verdict(f"{kind} / twin", found[kind].ratio, bar))
        for kind in kinds[1:]:
            floor = found[f"{kind} floor"].milliseconds
            print(verdict(f"{kind} / floor", found[kind].milliseconds / floor, 1.6))


if __name__ == "__main__":
    main()
