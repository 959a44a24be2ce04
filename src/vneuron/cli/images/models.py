"""Image models by the names and options that the command line has for them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...imaging import AbstractImageModel

__all__ = ["build", "model_names"]


def model_names() -> dict[str, type[AbstractImageModel]]:
    """Every image model, by its class's name in lower case with hyphens, less the VAE.

    Example:
        >>> sorted(model_names())[:2]
        ['categorical', 'gaussian']
    """
    from ...imaging.loading import MODELS

    return {_hyphenated(name): kind for name, kind in MODELS.items()}


def build(
    name: str, options: Mapping[str, Any], settings: Iterable[str] = ()
) -> AbstractImageModel:
    """A model that is not fitted yet.

    Args:
        name: of the model, as of `model_names`.
        options: arguments by name; those that are None were not given.
        settings: more of them as NAME=VALUE.

    Raises:
        ValueError: if there is no such model, or it takes no such argument.
    """
    known = model_names()
    if name not in known:
        raise ValueError(f"model is {name!r}, expected one of {', '.join(sorted(known))}")
    takes = list(inspect.signature(known[name]).parameters)
    given = {key: value for key, value in options.items() if value is not None}
    given |= dict(_setting(text) for text in settings)
    for key in given:
        if key not in takes:
            raise ValueError(
                f"{name} has no {key}; it takes {', '.join(takes)}: leave it out, or choose "
                "another model"
            )
    return known[name](**given)


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE with a Python literal, or a plain word."""
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise ValueError(f"setting is {text!r}, expected NAME=VALUE, such as penalty=0.5")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _hyphenated(name: str) -> str:
    words = re.findall(r"[A-Z][a-z]+", name.removesuffix("VAE"))
    return "-".join(words).lower()
