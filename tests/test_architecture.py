"""The house keeps its floors: a room imports lower rooms only, and no file holds two concepts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vneuron

SOURCE = Path(vneuron.__file__).parent
MAX_LINES = 400
FLOORS = {
    "functional": 0,
    "core": 1,
    "priors": 2,
    "vitals": 2,
    "figures": 2,
    "units": 3,
    "controls": 4,
    "inference": 4,
    "objective": 4,
    "training": 5,
    "testing": 5,
    "forecasting": 6,
    "imaging": 6,
    "report": 7,
    "autopilot": 8,
    "cli": 9,
    "__main__": 10,
}
FILES = sorted(SOURCE.rglob("*.py"))
INSIDE = [file for file in FILES if file.parent != SOURCE or file.stem in FLOORS]


def room(file: Path) -> str:
    """The room a file stands in: the first folder, or the file itself at the top."""
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


def imports(file: Path, source: str) -> Iterator[tuple[int, str]]:
    """Line and room of every import of vneuron, wherever in the file it stands."""
    package = ("vneuron", *file.relative_to(SOURCE).with_suffix("").parts)[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            paths = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = above + tuple((node.module or "").split(".") if node.module else ())
            # `from .. import core` names its rooms in the aliases.
            paths = [(*module, alias.name) for alias in node.names]
        else:
            continue
        for path in paths:
            if path[0] == "vneuron":
                yield node.lineno, path[1] if len(path) > 1 else ""


def violations(file: Path, source: str) -> list[str]:
    """Each import that leads up, or across to another room on the same floor."""
    own = room(file)
    found = []
    for line, other in imports(file, source):
        if other == own:
            continue
        if other not in FLOORS:
            found.append(f"line {line}: imports vneuron.{other or '*'}, which is no room")
        elif FLOORS[other] >= FLOORS[own]:
            found.append(
                f"line {line}: {own} (floor {FLOORS[own]}) imports {other} (floor {FLOORS[other]})"
            )
    return found


@pytest.mark.parametrize("file", INSIDE, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_room_imports_only_lower_floors(file: Path) -> None:
    assert violations(file, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/unit.py", "from ..units import GaussianUnits"),
        ("core/unit.py", "from vneuron.priors.standard import StandardNormal"),
        ("core/unit.py", "import vneuron.cli"),
        ("priors/standard.py", "from .. import vitals"),
        ("priors/standard.py", "def f():\n    from ..figures import fan"),
        ("objective.py", "from .controls import control_step"),
        ("units/gaussian.py", "import vneuron"),
        ("units/deep/er.py", "from ...units.gaussian import G\nfrom ...cli import main"),
    ],
)
def test_the_walk_sees_every_form_of_import(path: str, line: str) -> None:
    assert len(violations(SOURCE / path, line)) == 1


def test_every_room_has_a_floor() -> None:
    rooms = {room(file) for file in FILES if file.stem != "__init__" or file.parent != SOURCE}
    assert rooms <= FLOORS.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_holds_one_concept(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{lines} lines: it probably holds two concepts"


def test_there_is_no_room_for_odds_and_ends() -> None:
    names = {part.lower() for file in FILES for part in file.relative_to(SOURCE).parts}
    assert not [name for name in names if name.removesuffix(".py") in {"utils", "util", "helpers"}]
