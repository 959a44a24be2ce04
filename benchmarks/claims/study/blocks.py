"""A page whose tables are written anew while its prose stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


class Writer(NamedTuple):
    """What writes a block, and the study whose rows it takes."""

    study: str
    write: Callable[..., str]


BLOCK = re.compile(r"(<!-- claims: (?P<name>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str, write: Callable[[str], str]) -> str:
    """The page with what lies between `<!-- claims: NAME -->` and `<!-- end -->` replaced."""
    return BLOCK.sub(lambda m: f"{m[1]}{write(m['name']).rstrip()}\n{m[3]}", text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    Example:
        >>> print(table(("a", "b"), [("1", "2")]))
        | a | b |
        |---|---|
        | 1 | 2 |
    """
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
