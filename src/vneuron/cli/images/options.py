"""Options that several verbs of `vneuron images` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SOURCE_HELP = (
    "A folder or .zip of pictures of one size, a picture, an .npz or .npy file, an idx file "
    "(gzipped or not); or, from scikit-learn, digits or photographs."
)
ImageRun = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder that `images fit` wrote.")
]
Source = Annotated[str, typer.Argument(metavar="DATA", help=SOURCE_HELP)]
Key = Annotated[
    str | None,
    typer.Option(help="Which array of an .npz; the only one of images if not given."),
]
