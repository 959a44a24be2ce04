"""`vneuron images encode`: codes of images by a run's model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import options
from ..console import Console, print_json
from .options import ImageRun, Key, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WRITERS = (".npz", ".parquet")


def run(
    run: ImageRun,
    data: Source,
    out: Annotated[
        Path,
        typer.Option(help="An .npz file (array codes) or a .parquet file (a column a latent)."),
    ] = Path("codes.npz"),
    steps: Annotated[
        int | None, typer.Option(help="Steps of inference; as many as in training if not given.")
    ] = None,
    kind: Annotated[
        str, typer.Option(help="sample: whole counts in Poisson models; mean: expected ones.")
    ] = "sample",
    key: Key = None,
    seed: options.Seed = None,
    device: options.Device = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> int:
    """Write the codes of DATA: one row an image, or a square of a larger picture."""
    from .remembered import read_images_like, read_model

    started = time.monotonic()
    console = Console(quiet=quiet)
    if out.suffix not in _WRITERS:
        raise ValueError(f"out is {str(out)!r}, expected a name that ends in .npz or .parquet")
    if not out.parent.is_dir():
        raise ValueError(f"{out}: there is no folder {out.parent}: make it first")
    model = read_model(run, device=device, seed=seed)
    found = read_images_like(run, data, key=key)
    console.notes(found.notes)
    codes = model.transform(found.images, steps=steps, kind=kind)
    _write(out, codes)
    console.say(f"{len(codes):,} codes of {codes.shape[1]} latents: {out}")
    if json:
        zeros = float((codes == 0).mean())
        facts: dict[str, Any] = {"images": len(codes), "latents": codes.shape[1], "zeros": zeros}
        facts |= {"type": str(codes.dtype), "mean": float(codes.mean()), "out": str(out)}
        print_json(facts | {"seconds": round(time.monotonic() - started, 2), "run": str(run)})
    return 0


def _write(path: Path, codes: NDArray[Any]) -> None:
    import io

    import numpy as np
    import pandas as pd

    from ...training.atomic import write_atomic

    buffer = io.BytesIO()
    if path.suffix == ".npz":
        np.savez_compressed(buffer, allow_pickle=False, codes=codes)
    else:
        names = [f"z{k}" for k in range(codes.shape[1])]
        pd.DataFrame(codes, columns=names).to_parquet(buffer, index=False)
    write_atomic(path, buffer.getvalue())
