"""Models of neuralforecast, trained in an environment of their own and scored by us.

What crosses is arrays: scaled training rows and the windows to forecast there, forecasts back.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vneuron.forecasting.data.windows import WindowBatch, Windows

from .baselines.independent import IndependentSteps
from .models import Ready
from .results import digest
from .workshop import Workshop, write_text

THEIRS = ("nf_patchtst", "nf_patchtst_student", "nf_nhits_student")
SCRIPT = Path(__file__).parents[1] / "theirs.py"
LEARNING_RATE, WINDOWS_A_STEP = 1e-3, 128
MOST_WINDOWS = 300_000
"""Of more training rows windows start at every second, third, ... only. Each step unfolds all
windows to draw 128: 25 minutes were not enough for 500 steps on Weather's 775,000."""


def theirs(
    name: str, shop: Workshop, windows: Windows, steps: int, python: str, afresh: bool
) -> Ready:
    """Train there, or find what was trained.

    Args:
        name: of the model, one of `THEIRS`.
        shop: the data.
        windows: to be forecast.
        steps: of training.
        python: of their environment.
        afresh: throw away what is there.

    Raises:
        ValueError: their process failed; its last line is told.
    """
    config = shop.material.config
    job = {
        "model": name,
        "horizon": config.horizon,
        "input_size": config.context_size,
        "steps": steps,
        "seed": config.seed,
        "learning_rate": LEARNING_RATE,
        "windows": WINDOWS_A_STEP,
        "stride": -(-sum(map(len, training_rows(shop))) // MOST_WINDOWS),
    }
    asked = {**job, "sizes": shop.sizes, "contexts": digest(windows.starts.tolist())}
    folder = shop.folder / "neuralforecast" / f"{shop.name}-{name}-{digest(asked)}"
    if afresh:
        shutil.rmtree(folder, ignore_errors=True)
    if not (folder / "forecasts.npz").exists():
        send(folder, job, shop, windows)
        call(python, folder)
    found, facts = receive(folder)
    forecast = InOrder(found, len(windows))
    return Ready(forecast, "scale" in found, facts.pop("train_cpu_seconds"), {
        **facts, "train_steps": steps})  # fmt: skip


def send(folder: Path, job: dict[str, Any], shop: Workshop, windows: Windows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = training_rows(shop)
    ends = np.cumsum([0, *map(len, rows)])
    np.savez(folder / "train.npz", values=np.concatenate(rows), offsets=ends)
    contexts = [batch.context.numpy() for batch in windows.batches(4096)]
    np.save(folder / "contexts.npy", np.concatenate(contexts))
    write_text(folder / "job.json", json.dumps(job))


def training_rows(shop: Workshop) -> list[np.ndarray]:
    """Scaled, of each series."""
    material = shop.material
    values, offsets = material.flat.values.numpy(), material.flat.offsets
    return [values[a : a + n] for a, n in zip(offsets[:-1], material.split.train.stop, strict=True)]


def call(python: str, folder: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, str(SCRIPT), str(folder)], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise ValueError(
            f"neuralforecast failed: {last} (exit code {done.returncode}); try "
            f"{python} {SCRIPT} {folder}"
        )
    (folder / "contexts.npy").unlink()


def receive(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with np.load(folder / "forecasts.npz") as arrays:
        found = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return found, json.loads((folder / "facts.json").read_text())


class InOrder:
    """Forecasts that are known already, handed out in the order of the windows, round and round.

    Args:
        found: loc, and maybe scale and df, [windows, H] each.
        count: windows of a round.
    """

    def __init__(self, found: dict[str, Tensor], count: int) -> None:
        if len(found["loc"]) != count:
            raise ValueError(f"found {len(found['loc'])} forecasts, expected {count}: run it again")
        self.found, self.count, self.at = found, count, 0

    def __call__(self, batch: WindowBatch) -> Tensor | IndependentSteps:
        rows = slice(self.at, self.at + len(batch.series))
        self.at = rows.stop % self.count
        loc = self.found["loc"][rows]
        if "scale" not in self.found:
            return loc
        return IndependentSteps(loc, self.found["scale"][rows], self.found["df"][rows])
