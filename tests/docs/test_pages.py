"""Every example in the Markdown pages runs, from the top of its page to the bottom.

``python`` blocks share one namespace a page, and ``console`` blocks run their ``$ vneuron`` lines,
all in an empty folder of the page's own, so a file that one block writes the next can read.
Blocks of other languages (``sh``, ``text``, ``json``) are for the eye. A python block with ``>>>``
is a doctest, and its output must agree.
"""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


class Block(NamedTuple):
    """A fenced block, with the line of its first row in the page."""

    language: str
    source: str
    line: int


def blocks_of(text: str) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        yield Block(match[1], match[2], text.count("\n", 0, match.start(2)) + 1)


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    if ">>>" in block.source:
        parser, runner = doctest.DocTestParser(), doctest.DebugRunner(optionflags=FLAGS)
        test = parser.get_doctest(block.source, namespace, page.name, str(page), block.line - 1)
        runner.run(test, clear_globs=False)
        namespace.update(test.globs)
        return
    # Blank lines ahead keep the page's line numbers in a traceback.
    exec(compile("\n" * (block.line - 1) + block.source, str(page), "exec"), namespace)


def run_console(block: Block) -> None:
    commands = block.source.replace("\\\n", " ").splitlines()
    for command in (line[2:] for line in commands if line.startswith("$ vneuron")):
        words = shlex.split(command, comments=True)
        program = str(Path(sys.executable).with_name(words[0]))
        done = subprocess.run(
            [program, *words[1:]], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.language == "python":
            run_python(block, page, namespace)
        elif block.language == "console":
            run_console(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    broken = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not broken


def test_the_reader_of_blocks_finds_them() -> None:
    text = "# a\n\n```python\nx = 1\n```\n\n```console\n$ vneuron --version\n```\n"
    assert list(blocks_of(text)) == [
        Block("python", "x = 1\n", 4),
        Block("console", "$ vneuron --version\n", 8),
    ]


def test_a_wrong_output_and_a_failing_command_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    run_python(Block("python", ">>> 1 + 1\n2\n", 3), page, {})
    with pytest.raises(doctest.DocTestFailure):
        run_python(Block("python", ">>> 1 + 1\n3\n", 3), page, {})
    with pytest.raises(ZeroDivisionError):
        run_python(Block("python", "1 / 0\n", 3), page, {})
    with pytest.raises((AssertionError, FileNotFoundError)):
        run_console(Block("console", "$ vneuron no-such-verb\n", 3))
