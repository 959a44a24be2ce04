"""One of two processes that train a controlled layer on shards, for test_controls_distributed.

usage: control_worker.py RANK FOLDER
"""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import vneuron as vn

WORLD, BATCH, IN, UNITS, STEPS = 2, 16, 3, 5, 6


class Controlled(nn.Module):
    """NLL, terms and penalty computed inside what is wrapped, on pairs of windows."""

    def __init__(self) -> None:
        super().__init__()
        prior = vn.AutoregressiveNormal(UNITS, phi=0.9, form="quadratic")
        self.units = vn.GaussianUnits(IN, UNITS, prior=prior, beta=0.3)
        self.read = nn.Linear(UNITS, 1)
        self.units.readers.append(vn.Reader(self.read))
        self.units.controls.extend(
            [
                vn.KLBudget(UNITS),
                vn.EnergyBand(UNITS, target=0.4, warmup=0, ramp=2),
                vn.Projection(UNITS, every=4, form="mean"),
                vn.Homeostasis(UNITS, every=3, form="gauge"),
                vn.ScaleGuard(UNITS),
                vn.BandCalibration(UNITS, every=2),
                vn.ShareBalance(UNITS),
            ]
        )

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        with vn.muted():
            earlier = self.units.infer(before)
        first = before[:, 0] > 1.0  # a different number of pairs in each shard
        return self.read(self.units(x, vn.PriorContext(earlier.loc, earlier.scale, first)))[:, 0]


class Objective(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.collected = vn.Collect(Controlled())

    def forward(self, x: Tensor, before: Tensor) -> tuple[Tensor, tuple[vn.LocalTerm, ...], Tensor]:
        y, terms = self.collected(x, before)
        return (y - x.sum(-1)).square(), terms, vn.penalties(self.collected, terms)


def train(runner: nn.Module, optimizer: torch.optim.Optimizer, rank: int | None) -> None:
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        x, before = torch.randn(2, BATCH, IN, generator=generator, dtype=torch.float64)
        if rank is not None:
            x, before = x.chunk(WORLD)[rank], before.chunk(WORLD)[rank]
        with vn.deterministic(runner):  # no noise: the shards must add up to the batch
            nll, terms, penalty = runner(x, before)
            optimizer.zero_grad()
            vn.free_energy(nll, terms, penalty).backward()
        optimizer.step()
        vn.control_step(runner, terms, optimizer)


def state(objective: nn.Module, label: str) -> dict[str, Tensor]:
    return {
        f"{label}.{name}": tensor.double().nan_to_num(-1.0).contiguous().clone()
        for name, tensor in objective.state_dict().items()
    }


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    objective = Objective().double()
    single = copy.deepcopy(objective)
    train(single, torch.optim.SGD(single.parameters(), lr=0.05, momentum=0.9), None)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=WORLD
    )
    runner = DistributedDataParallel(objective)
    train(runner, torch.optim.SGD(objective.parameters(), lr=0.05, momentum=0.9), rank)
    save_file(
        state(single, "single") | state(objective, "shared"), folder / f"rank{rank}.safetensors"
    )
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(int(sys.argv[1]), Path(sys.argv[2]))
