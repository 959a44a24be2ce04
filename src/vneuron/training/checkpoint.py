"""Checkpoints that resume bit for bit: module, optimiser, scheduler, random state, progress."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .encoding import decode, encode
from .run_folder import RunFolder, RunFolderError

__all__ = ["load_checkpoint", "load_weights", "save_checkpoint"]

_FORMAT = 1
_MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")


class Stateful(Protocol):
    """What a scheduler is to a checkpoint (torch's schedulers are such)."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


def save_checkpoint(
    run: RunFolder,
    name: str,
    module: nn.Module,
    *,
    optimizer: Optimizer | None = None,
    scheduler: Stateful | None = None,
    generators: Mapping[str, torch.Generator] | None = None,
    progress: Mapping[str, object] | None = None,
) -> None:
    """Write `checkpoints/<name>.safetensors`, whole or not at all.

    The file holds all tensors and, in its header, everything else as JSON, so a kill cannot leave
    tensors of one step beside the counters of another. `checkpoints/<name>.json` repeats the
    progress for people and scripts; nothing reads it back. Also stored: the global random state
    of torch on the CPU and, where it has been used, on each CUDA device.

    Under several processes, call it on the first one; the random state is that process's.

    Args:
        run: the run folder.
        name: such as "last", "best".
        module: its parameters and buffers are stored.
        optimizer: its state per parameter (for AdamW: exp_avg, exp_avg_sq, step) and its groups.
        scheduler: anything with a `state_dict()` of numbers, such as torch's schedulers.
        generators: torch generators by name.
        progress: plain values: epoch, step, best score, position in the event log, ...

    Raises:
        ValueError: some state is neither a number, a text nor a tensor; its path is named.
        OSError: the disk is full or the folder is not writable.

    Example:
        >>> import tempfile
        >>> place = tempfile.TemporaryDirectory()
        >>> run = RunFolder.create(place.name)
        >>> layer = nn.Linear(2, 1)
        >>> optimizer = torch.optim.AdamW(layer.parameters())
        >>> save_checkpoint(run, "last", layer, optimizer=optimizer, progress={"epoch": 3})
        >>> fresh = nn.Linear(2, 1)
        >>> load_checkpoint(run, "last", fresh)
        {'epoch': 3}
        >>> torch.equal(fresh.weight, layer.weight)
        True
        >>> place.cleanup()
    """
    plain_progress = dict(progress or {})
    tree = {
        "module": dict(module.state_dict()),
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
        "generators": {key: g.get_state() for key, g in (generators or {}).items()},
        "random": _random_state(),
        "progress": plain_progress,
    }
    value, tensors = encode(tree)
    header = json.dumps({"format": _FORMAT, "state": value}, allow_nan=False)
    data = safetensors.torch.save(tensors, metadata={"vneuron": header})
    run.write_bytes(f"checkpoints/{name}.safetensors", data)
    digest = hashlib.sha256(data).hexdigest()
    run.write_json(f"checkpoints/{name}.json", {"sha256": digest, **plain_progress})
    run.keep()


def load_checkpoint(
    run: RunFolder,
    name: str,
    module: nn.Module,
    *,
    optimizer: Optimizer | None = None,
    scheduler: Stateful | None = None,
    generators: Mapping[str, torch.Generator] | None = None,
    random: bool = True,
) -> dict[str, Any]:
    """Put everything back as :func:`save_checkpoint` found it; the next step gives the same bits.

    All is checked before anything is changed. Tensors go to the devices on which the module's and
    the optimiser's own are.

    Args:
        run: the run folder.
        name: the checkpoint.
        module: of the same architecture.
        optimizer: over the same parameters in the same order.
        scheduler: of the same kind.
        generators: the generators to set, by the names under which they were saved.
        random: also set torch's global random state.

    Returns:
        The progress that was saved.

    Raises:
        RunFolderError: the file is missing, damaged, of another architecture, or does not hold
            what is asked for. One line, with the cure.
    """
    state = _read(run, name)
    where = f"{run.path / 'checkpoints' / name}.safetensors"
    _check_module(state["module"], module, where)
    wanted = {"optimizer": optimizer, "scheduler": scheduler}
    for part, target in wanted.items():
        if target is not None and state[part] is None:
            raise RunFolderError(
                f"{where}: holds no {part} state; pass {part}=None, or load a checkpoint of a "
                "training run"
            )
    for key in generators or {}:
        if key not in state["generators"]:
            raise RunFolderError(
                f"{where}: holds no generator {key!r}; it has {sorted(state['generators'])}: use "
                "one of these names"
            )
    if optimizer is not None:
        _check_optimizer(state["optimizer"], optimizer, where)
        optimizer.load_state_dict(state["optimizer"])
    module.load_state_dict(state["module"])
    if scheduler is not None:
        scheduler.load_state_dict(state["scheduler"])
    for key, generator in (generators or {}).items():
        generator.set_state(state["generators"][key])
    if random:
        _set_random_state(state["random"])
    progress: dict[str, Any] = state["progress"]
    return progress


def load_weights(run: RunFolder, name: str, module: nn.Module) -> dict[str, Any]:
    """The module's state alone, for inference; no random state is touched. Returns the progress.

    Raises:
        RunFolderError: as :func:`load_checkpoint`.
    """
    return load_checkpoint(run, name, module, random=False)


def _random_state() -> dict[str, Any]:
    # Asking CUDA for its state would start it, which costs seconds and memory.
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if cuda else [],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    # On a machine with other devices the CPU's state is all that can be kept.
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])


def _read(run: RunFolder, name: str) -> dict[str, Any]:
    file = f"checkpoints/{name}.safetensors"
    data = run.read_bytes(file)
    try:
        tensors = safetensors.torch.load(data)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["vneuron"])
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError):
        raise RunFolderError(
            f"{run.path / file}: not a checkpoint of vneuron, or cut short; use another checkpoint "
            "of this run, or train again"
        ) from None
    if header["format"] != _FORMAT:
        raise RunFolderError(
            f"{run.path / file}: format {header['format']}, this version reads {_FORMAT}; read it "
            "with the version of vneuron that config.json names"
        )
    state: dict[str, Any] = decode(header["state"], tensors)
    return state


def _check_module(state: Mapping[str, Any], module: nn.Module, where: str) -> None:
    own = module.state_dict()
    problems = [f"{key!r} is missing" for key in own if key not in state]
    problems += [f"{key!r} is not in the model" for key in state if key not in own]
    problems += [
        f"{key!r} has shape {list(state[key].shape)}, the model {list(value.shape)}"
        for key, value in own.items()
        if isinstance(value, Tensor) and key in state and state[key].shape != value.shape
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise RunFolderError(
            f"{where}: of another model: {problems[0]}{more}; build the model with the arguments "
            "in config.json"
        )


def _check_optimizer(state: Mapping[str, Any], optimizer: Optimizer, where: str) -> None:
    saved = [len(group["params"]) for group in state["param_groups"]]
    own = [len(group["params"]) for group in optimizer.param_groups]
    problem = None
    if saved != own:
        problem = f"its groups hold {saved} parameters, the optimiser's {own}"
    else:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for index, entry in state["state"].items():
            # torch loads moments of any shape and fails, or broadcasts, at the next step.
            moments = [entry[key] for key in _MOMENTS if isinstance(entry.get(key), Tensor)]
            shapes = {tuple(moment.shape) for moment in moments}
            if shapes - {tuple(parameters[index].shape)}:
                problem = (
                    f"parameter {index} has moments of shape {sorted(shapes)}, the optimiser's "
                    f"is {tuple(parameters[index].shape)}"
                )
    if problem is not None:
        raise RunFolderError(
            f"{where}: of another optimiser: {problem}; build it over the same parameters in the "
            "same order"
        )
