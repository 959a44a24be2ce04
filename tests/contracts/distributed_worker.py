"""One process of a data-parallel run; started by test_distributed.py, twice.

usage: distributed_worker.py RANK FOLDER

The reference is run here too, on the whole batch and without wrapper, so that both sides start
from the same seed. Results are written as safetensors, one file per rank.
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
from torch.utils.checkpoint import checkpoint

import vneuron as vn

WORLD, BATCH, IN = 2, 12, 3


class Model(nn.Module):
    """A layer called twice, and one whose learned prior is reached through its KL alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first = vn.GaussianUnits(IN, IN, latent_dim=2, beta=0.3)
        self.second = vn.GaussianUnits(IN, 4, prior=vn.LearnedNormal(4))
        self.read = nn.Linear(4, 1)
        self.checkpointed = False

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = (
                checkpoint(self.first, x, use_reentrant=False)
                if self.checkpointed
                else self.first(x)
            )
        return self.read(self.second(x))[:, 0]


def step(runner: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Gradients and statistics after one step."""
    with vn.deterministic(runner):  # no noise: the shards must add up to the batch
        y, terms = runner(x)
        # Checkpointing runs the forward again in here, which must be without noise as well.
        vn.free_energy((y - x.sum(-1)).square(), terms).backward()
    info = vn.control_step(runner, terms)
    found = {f"info.{name}": value for name, value in info.values.items()}
    for name, parameter in runner.named_parameters():
        assert parameter.grad is not None, name
        found[f"grad.{name.removeprefix('module.')}"] = parameter.grad
    for name, buffer in runner.named_buffers():
        found[f"buffer.{name.removeprefix('module.')}"] = buffer.float().nan_to_num(-1.0)
    return {name: tensor.detach().clone().contiguous() for name, tensor in found.items()}


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, x = Model(), torch.randn(BATCH, IN)
    results = {f"single.{k}": v for k, v in step(vn.Collect(copy.deepcopy(model)), x).items()}
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=WORLD
    )
    # Shards of unequal length would make DDP's mean of means another quantity than the batch's.
    shard = x.chunk(WORLD)[rank]
    for find_unused in (False, True):
        for checkpointed in (False, True):
            local = copy.deepcopy(model)
            local.checkpointed = checkpointed
            runner = DistributedDataParallel(vn.Collect(local), find_unused_parameters=find_unused)
            label = f"unused={find_unused},checkpoint={checkpointed}"
            results |= {f"{label}.{k}": v for k, v in step(runner, shard).items()}
    save_file(results, folder / f"rank{rank}.safetensors")
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(int(sys.argv[1]), Path(sys.argv[2]))
