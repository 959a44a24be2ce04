"""NAME=VALUE on the command line as options of the forecaster, whichever it has."""

from __future__ import annotations

import ast
from argparse import ArgumentParser
from dataclasses import fields
from typing import Any

from vneuron.forecasting.config import ForecasterConfig

SEPARATE = ("horizon", "input_size", "seed")


def add_settings(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="options of the forecaster, e.g. epochs=20 encoder=mlp",
    )


def settings(parser: ArgumentParser, given: list[str]) -> dict[str, Any]:
    """What is no Python literal is a text; a name that is no option ends the program."""
    known = {one.name for one in fields(ForecasterConfig)} - set(SEPARATE)
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            parser.error(f"--set {text}: give NAME=VALUE with a NAME of {', '.join(sorted(known))}")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found
