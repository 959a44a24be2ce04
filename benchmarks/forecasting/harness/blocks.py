"""Parts of a page that are written by a program, between marks; the prose around them stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

START = re.compile(r"^<!-- generated: (?P<name>[^>]+?) -->$", re.MULTILINE)
END = "<!-- end -->"


def keeping(old: str, new: str, keys: int, order: Sequence[str]) -> str:
    """A table with the rows of an older one whose first cells it lacks: what was run before.

    Rows stand in the order of their first cell, then by the number in their second. An older
    table of other columns is dropped.

    Args:
        old: what stands on the page.
        new: the table that replaces it.
        keys: how many cells tell rows apart.
        order: first cells, as they shall follow each other; others come last.

    >>> head = ["| a | H |", "|---|---|"]
    >>> old = "\\n".join([*head, "| x | 9 |", "| y | 1 |"])
    >>> new = "\\n".join([*head, "| x | 7 |"])
    >>> keeping(old, new, 2, ["y", "x"]).splitlines()[2:]
    ['| y | 1 |', '| x | 7 |', '| x | 9 |']
    """
    before, now = old.strip().splitlines(), new.strip().splitlines()
    if before[:2] != now[:2]:
        return new
    rows = {_cells(line)[:keys]: line for line in before[2:]}
    rows |= {_cells(line)[:keys]: line for line in now[2:]}

    def place(key: tuple[str, ...]) -> tuple[int, int]:
        return (order.index(key[0]) if key[0] in order else len(order), int(key[1]))

    return "\n".join([*now[:2], *(rows[key] for key in sorted(rows, key=place))])


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def fill(text: str, write: Callable[[str, str], str | None]) -> tuple[str, list[str], list[str]]:
    """Replace what stands between marks.

    Args:
        text: of the page.
        write: the new text of a block by its name and what it holds; None leaves that.

    Returns:
        The page, the names that were written, and those that were left.

    Raises:
        ValueError: a block without its end.

    >>> fill("a\\n<!-- generated: b -->\\nold\\n<!-- end -->\\nc", lambda name, old: "new")[0]
    'a\\n<!-- generated: b -->\\nnew\\n<!-- end -->\\nc'
    """
    out, at, written, left = [], 0, [], []
    for found in START.finditer(text):
        end = text.find(END, found.end())
        following = START.search(text, found.end())
        if end < 0 or (following is not None and following.start() < end):
            raise ValueError(f"block {found['name']!r} has no {END}: add it below the block")
        new = write(found["name"], text[found.end() : end])
        (left if new is None else written).append(found["name"])
        body = text[found.end() : end] if new is None else f"\n{new.strip()}\n"
        out += [text[at : found.end()], body]
        at = end
    return "".join([*out, text[at:]]), written, left
