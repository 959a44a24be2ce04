"""What the conformance checks share: failing with a sentence, and comparing state."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def require(condition: bool | Tensor, message: str) -> None:
    """Fail with `message` unless the condition holds.

    Raises:
        AssertionError: with the message. Raised and not asserted, so that -O keeps the checks.

    Example:
        >>> require(1 + 1 == 2, "arithmetic")
    """
    if not bool(condition):
        raise AssertionError(message)


def require_shape(label: str, tensor: Tensor, expected: tuple[int, ...]) -> None:
    """Fail unless the tensor has the expected shape.

    Example:
        >>> require_shape("kl", torch.zeros(2, 3), (2, 3))
    """
    require(
        tuple(tensor.shape) == expected,
        f"{label} has shape {tuple(tensor.shape)}, expected {expected}",
    )


def require_close(
    label: str, found: Tensor, expected: Tensor, rtol: float = 1e-5, atol: float = 1e-6
) -> None:
    """Fail unless two tensors agree, with the largest difference in the message.

    Example:
        >>> require_close("z", torch.ones(2), torch.ones(2))
    """
    require_shape(label, found, tuple(expected.shape))
    require(
        torch.allclose(found, expected, rtol=rtol, atol=atol, equal_nan=True),
        f"{label} differs by up to {(found - expected).abs().max().item():.3g}",
    )


def require_same_state(label: str, found: nn.Module, expected: nn.Module) -> None:
    """Fail unless two modules hold the same `state_dict`, bit for bit (NaN equals NaN).

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> require_same_state("copy", copy.deepcopy(layer), layer)
    """
    left, right = found.state_dict(), expected.state_dict()
    require(
        left.keys() == right.keys(),
        f"{label}: state_dict names differ: {sorted(left.keys() ^ right.keys())}",
    )
    for name, tensor in right.items():
        same = torch.equal(torch.nan_to_num(left[name]), torch.nan_to_num(tensor))
        require(
            same and torch.equal(left[name].isnan(), tensor.isnan()),
            f"{label}: {name} is not the same after the round trip",
        )


def reload(module: ModuleT, fresh: ModuleT) -> ModuleT:
    """The fresh module with the state of the first.

    Example:
        >>> _ = reload(nn.Linear(2, 2), nn.Linear(2, 2))
    """
    fresh.load_state_dict(copy.deepcopy(module.state_dict()))
    return fresh
