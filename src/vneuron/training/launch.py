"""Where training runs: one process, several started here, or those that torchrun started."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .config import TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = [
    "build_fabric",
    "follows",
    "hush",
    "launch",
    "processes",
    "shared_copy",
    "spawns",
    "state_copy",
    "unshare",
]


def under_torchrun() -> bool:
    """Whether this process was started by torchrun, with others."""
    return (
        torch.distributed.is_available()
        and torch.distributed.is_torchelastic_launched()
        and int(os.environ["WORLD_SIZE"]) > 1
    )


def follows() -> bool:
    """Whether this process was started by torchrun beside a first one, which alone writes."""
    return under_torchrun() and os.environ["RANK"] != "0"


def spawns(config: TrainingConfig) -> bool:
    """Whether the trainer has to start processes of its own."""
    return config.devices > 1 and not under_torchrun()


def processes(config: TrainingConfig) -> int:
    """How many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if under_torchrun() else config.devices


def check_devices(config: TrainingConfig) -> None:
    """Refuse devices that are not there, before anything is computed.

    Raises:
        ValueError: so many are not there.
    """
    if not under_torchrun():
        _accelerator(config, config.devices)


def build_fabric(config: TrainingConfig) -> Fabric:
    """Lightning's Fabric for a configuration.

    Raises:
        ValueError: if the devices that were asked for are not there.
    """
    with _hushed():
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

        outside = under_torchrun()
        devices = int(os.environ["LOCAL_WORLD_SIZE"]) if outside else config.devices
        accelerator = _accelerator(config, devices)
        # Said outright: what Fabric would guess from a cluster's variables is not what was asked.
        environment = TorchElasticEnvironment() if outside else LightningEnvironment()
        return Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=int(os.environ["WORLD_SIZE"]) // devices if outside else 1,
            strategy=_ddp(outside) if outside or devices > 1 else "auto",
            precision=config.precision,
            plugins=[environment],
        )


def launch(fabric: Fabric, work: Callable[..., Any], *args: object) -> Any:
    """Call `work(fabric, *args)` in every process; the first one's result."""
    port = os.environ.get("MASTER_PORT")
    with _hushed():
        try:
            return fabric.launch(work, *args)
        finally:
            # Spawning leaves the port in the environment; a later run is to find a free one.
            if port is None and not torch.distributed.is_initialized():
                os.environ.pop("MASTER_PORT", None)


def shared_copy(module: nn.Module) -> dict[str, Any]:
    """The module's state in memory that processes started from here can write to."""
    state = {k: v.cpu() if isinstance(v, Tensor) else v for k, v in state_copy(module).items()}
    for value in state.values():
        if isinstance(value, Tensor):
            value.share_memory_()  # type: ignore[no-untyped-call]
    return state


def state_copy(module: nn.Module) -> dict[str, Any]:
    """The module's state, apart from the module."""
    return {
        name: value.detach().clone() if isinstance(value, Tensor) else value
        for name, value in module.state_dict().items()
    }


@torch.no_grad()
def unshare(module: nn.Module) -> None:
    """Give a module that was sent to this process tensors of its own."""
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.clone()


def _accelerator(config: TrainingConfig, devices: int) -> str:
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = config.device
    if wanted == "auto":
        wanted = "cuda" if there else "cpu"
    if wanted == "cuda" and there < devices:
        raise ValueError(
            f"{devices} CUDA device(s) were asked for, and {there} are there: use fewer devices, "
            "or device='cpu'."
        )
    cores = max(os.cpu_count() or 1, 2)  # two processes on one core are slow, and do no harm
    if wanted == "cpu" and devices > cores and not under_torchrun():
        raise ValueError(
            f"devices is {devices}, a CPU core each, expected at most {cores}: use fewer devices."
        )
    return wanted


def _ddp(outside: bool) -> Any:
    """Data parallel over processes that were started outside, or are to be spawned here.

    Spawned, because Fabric's default runs the user's whole script again in each process, and
    because forking after tensor work can hang (OpenMP) or is impossible (CUDA).
    """
    from lightning_fabric.strategies.ddp import DDPStrategy

    if not outside and hasattr(sys, "ps1"):
        raise ValueError(
            "devices is more than 1, and this Python is interactive, where processes cannot be "
            "started: use devices=1, or run a script."
        )
    return DDPStrategy(start_method="popen" if outside else "spawn", **_buffers_stay())


def _buffers_stay() -> dict[str, Any]:
    """The argument by which buffers are not sent before each forward pass.

    They are equal already: `control_step` reduces what it writes.
    """
    new = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    return {"forward_sync_buffers" if new else "broadcast_buffers": False}


def hush() -> None:
    """Keep Fabric's notes on hardware and processes off the terminal for good."""
    import lightning_fabric  # before the level is set: its import sets one

    logging.getLogger(lightning_fabric.__name__).setLevel(logging.ERROR)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep Fabric's notes, and its advice, off the terminal."""
    import lightning_fabric

    logger = logging.getLogger(lightning_fabric.__name__)
    level = logger.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning_fabric|lightning_utilities")
        try:
            hush()
            yield
        finally:
            logger.setLevel(level)
