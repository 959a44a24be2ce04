"""The `vneuron` command: verbs, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from . import autopilot, demo, evaluate, fit, forecast, health, info, report
from .images.app import app as images
from .options import show_version

app = typer.Typer(
    name="vneuron",
    help="Forecasts of whole trajectories, with intervals that hold for each step and for sums "
    "over steps.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for verb in (demo, fit, forecast, evaluate, autopilot, health, report, info):
    app.command(name=verb.__name__.rpartition(".")[2])(verb.run)
app.add_typer(images, name="images")


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options of the command itself."""


def main() -> None:
    """Run the command; wrong usage and bad input end in one line on standard error and code 2."""
    # Steps are small: a second thread gains little on a quiet machine, and on a busy one threads
    # that wait for each other made a fit 20 times slower. Who sets the variable is obeyed.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        code = typer.main.get_command(app).main(standalone_mode=False)
    except TyperException as error:
        _fail(f"{error.format_message() or 'No command given.'} See vneuron --help.")
    except Abort:
        _fail("stopped", 130)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has seen enough
        sys.exit(0)
    except (ValueError, OSError) as error:
        _fail(_one_line(error))
    except ImportError as error:
        _fail(str(error))
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _fail(message: str, code: int = 2) -> None:
    print(f"vneuron: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
