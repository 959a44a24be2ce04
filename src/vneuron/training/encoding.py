"""Trees of plain values and tensors, told apart: the values as JSON, the tensors by name.

What an optimiser, a scheduler or a module calls its state is a tree of dictionaries, lists, numbers
and tensors. Pickle would store it in one call and would run code from the file when read. Here the
tree becomes JSON in which each tensor is a reference, beside a flat dictionary of tensors that
safetensors can store; reading it back builds dictionaries, lists, tuples, numbers and tensors only.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["Json", "decode", "encode"]

type_tags = ("$tensor", "$tuple", "$items", "$float")

Json = None | bool | int | float | str | list[Any] | dict[str, Any]


def encode(tree: object, prefix: str = "state") -> tuple[Json, dict[str, Tensor]]:
    """Split a tree into JSON and the tensors that it refers to.

    Args:
        tree: dictionaries, lists, tuples, numbers, strings, None and tensors, nested at will.
        prefix: the first part of each tensor's name; what follows is its path in the tree.

    Returns:
        The JSON value and the tensors by name: detached copies on the CPU, bit for bit.

    Raises:
        ValueError: something else is in the tree (the message gives its path and type).

    Example:
        >>> value, tensors = encode({"step": torch.tensor(3.0), "betas": (0.9, 0.999)})
        >>> value
        {'step': {'$tensor': 'state.step'}, 'betas': {'$tuple': [0.9, 0.999]}}
        >>> decode(value, tensors)
        {'step': tensor(3.), 'betas': (0.9, 0.999)}
    """
    tensors: dict[str, Tensor] = {}
    return _encode(tree, prefix, tensors), tensors


def _encode(tree: object, path: str, tensors: dict[str, Tensor]) -> Json:
    if isinstance(tree, Tensor):
        while path in tensors:  # {"a": {"b": x}, "a.b": y}
            path += "'"
        # A copy of its own: safetensors refuses tensors that share storage (tied weights).
        tensors[path] = tree.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"$tensor": path}
    if isinstance(tree, float):
        # JSON has no infinities and no NaN; a best score that is not there yet is often infinite.
        return tree if math.isfinite(tree) else {"$float": repr(tree)}
    if tree is None or isinstance(tree, bool | int | str):
        return tree
    if isinstance(tree, Mapping):
        items = [(key, _encode(value, f"{path}.{key}", tensors)) for key, value in tree.items()]
        if all(isinstance(key, str) and key not in type_tags for key, _ in items):
            return dict(items)
        return {"$items": [[_key(key, path), value] for key, value in items]}
    if isinstance(tree, list | tuple):
        values = [_encode(value, f"{path}.{i}", tensors) for i, value in enumerate(tree)]
        return values if isinstance(tree, list) else {"$tuple": values}
    raise ValueError(
        f"{path} holds a {type(tree).__name__}, which a checkpoint does not store; expected "
        "numbers, strings, lists, dictionaries or tensors: leave it out of the state"
    )


def _key(key: object, path: str) -> str | int:
    if isinstance(key, str | int):
        return key
    raise ValueError(
        f"{path} has the key {key!r} of type {type(key).__name__}; expected text or an integer: "
        "rename the key"
    )


def decode(value: Json, tensors: Mapping[str, Tensor]) -> Any:
    """Put a tree together again from what :func:`encode` returned.

    Args:
        value: the JSON value.
        tensors: the tensors by name.

    Returns:
        The tree. Mappings come back as dictionaries; everything else as it was.

    Raises:
        ValueError: a reference names a tensor that is not there.
    """
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, content),) = value.items()
        if tag == "$tensor":
            if content not in tensors:
                raise ValueError(
                    f"the state refers to a tensor {content!r} that the file does not hold; "
                    "the file is damaged: use another checkpoint"
                )
            return tensors[content]
        if tag == "$tuple":
            return tuple(decode(item, tensors) for item in content)
        if tag == "$items":
            return {key: decode(item, tensors) for key, item in content}
        if tag == "$float":
            return float(content)
    return {key: decode(item, tensors) for key, item in value.items()}
