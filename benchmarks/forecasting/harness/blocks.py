"""Parts of a page that are written by a program, between marks; the prose around them stays."""

from __future__ import annotations

import re
from collections.abc import Callable

START = re.compile(r"^<!-- generated: (?P<name>[^>]+?) -->$", re.MULTILINE)
END = "<!-- end -->"


def fill(text: str, write: Callable[[str], str | None]) -> tuple[str, list[str], list[str]]:
    """Replace what stands between marks.

    Args:
        text: of the page.
        write: the new text of a block by its name; None leaves what is there.

    Returns:
        The page, the names that were written, and those that were left.

    Raises:
        ValueError: a block without its end.

    >>> fill("a\\n<!-- generated: b -->\\nold\\n<!-- end -->\\nc", lambda name: "new")[0]
    'a\\n<!-- generated: b -->\\nnew\\n<!-- end -->\\nc'
    """
    out, at, written, left = [], 0, [], []
    for found in START.finditer(text):
        end = text.find(END, found.end())
        following = START.search(text, found.end())
        if end < 0 or (following is not None and following.start() < end):
            raise ValueError(f"block {found['name']!r} has no {END}: add it below the block")
        new = write(found["name"])
        (left if new is None else written).append(found["name"])
        body = text[found.end() : end] if new is None else f"\n{new.strip()}\n"
        out += [text[at : found.end()], body]
        at = end
    return "".join([*out, text[at:]]), written, left
