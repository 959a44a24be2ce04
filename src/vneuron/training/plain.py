"""From what numerical code returns to what standard JSON can say."""

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

__all__ = ["plain"]


def plain(value: object, name: str = "value") -> Any:
    """The value with only dictionaries, lists, text, finite numbers, booleans and None in it.

    NaN and infinities become None: standard JSON has no word for them, and a score that is not
    defined is null in a run folder. Arrays, tensors and tuples become lists.

    Args:
        value: the value.
        name: what to call it in an error.

    Raises:
        ValueError: something in it has no plain form.

    Example:
        >>> import numpy as np
        >>> plain({"mse": np.float32(0.5), "nll": float("nan"), "by": np.arange(2)})
        {'mse': 0.5, 'nll': None, 'by': [0, 1]}
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{name}.{i}") for i, item in enumerate(value)]
    if isinstance(value, PurePath):
        return str(value)
    # Numpy arrays and scalars, torch tensors and pandas time stamps, without importing them here.
    if hasattr(value, "tolist"):
        return plain(value.tolist(), name)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise ValueError(
        f"{name} is a {type(value).__name__}, which JSON cannot hold; expected numbers, text, "
        "lists or dictionaries: convert it first"
    )
