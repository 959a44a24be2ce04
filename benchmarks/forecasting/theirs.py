"""Train a model of neuralforecast and forecast given windows; run by an environment that has it.

    PYTHON benchmarks/forecasting/theirs.py JOB_FOLDER

`job.json` says which model and how long; `train.npz` holds the training rows of all series, scaled
as for every other model; `contexts.npy` the windows to forecast. What comes back, `forecasts.npz`
and `facts.json`, is scored by the benchmark itself. Nothing here needs vneuron.

PatchTST has its authors' sizes for small data (16 wide, 4 heads, 3 layers, patches of 16 by 8),
NHITS its library's. None was tuned, as the models that they stand beside were not.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

AT_ONCE = 4096
"""Windows that are forecast in one frame."""


def main() -> None:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    import neuralforecast
    import torch
    from neuralforecast import NeuralForecast

    torch.set_num_threads(1)
    began = time.process_time()
    frame = training_frame(folder)
    forecaster = NeuralForecast(models=[build(job)], freq=1)
    forecaster.fit(frame)
    trained = time.process_time()
    found = forecasts(forecaster, np.load(folder / "contexts.npy"))
    facts = {
        "train_cpu_seconds": trained - began,
        "predict_cpu_seconds": time.process_time() - trained,
        "neuralforecast": neuralforecast.__version__,
        "their_torch": torch.__version__,
        "learning_rate": job["learning_rate"],
        "windows_a_step": job["windows"],
    }
    unfinished = folder / f".forecasts.{os.getpid()}.npz"
    np.savez(unfinished, **found)
    (folder / "facts.json").write_text(json.dumps(facts))
    unfinished.replace(folder / "forecasts.npz")


def build(job: dict[str, Any]) -> Any:
    from neuralforecast.losses.pytorch import MSE, DistributionLoss
    from neuralforecast.models import NHITS, PatchTST

    student = job["model"].endswith("_student")
    # its parameters are what we score: the draws that it makes beside them are wasted
    law = DistributionLoss("StudentT", level=[80], return_params=True, num_samples=2)
    common = {
        "h": job["horizon"],
        "input_size": job["input_size"],
        "loss": law if student else MSE(),
        "max_steps": job["steps"],
        "learning_rate": job["learning_rate"],
        "step_size": job["stride"],
        "windows_batch_size": job["windows"],
        "inference_windows_batch_size": 512,
        "val_check_steps": 10**6,
        "random_seed": job["seed"] + 1,
        "enable_progress_bar": False,
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    }
    if "nhits" in job["model"]:
        return NHITS(**common, scaler_type="standard")
    patch = min(16, job["input_size"] // 2)
    sizes = {"hidden_size": 16, "n_heads": 4, "linear_hidden_size": 128, "encoder_layers": 3}
    return PatchTST(
        **common, **sizes, dropout=0.3, fc_dropout=0.3, patch_len=patch, stride=patch // 2,
        revin=True,
    )  # fmt: skip


def training_frame(folder: Path) -> pd.DataFrame:
    data = np.load(folder / "train.npz")
    lengths = np.diff(data["offsets"])
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(len(lengths)), lengths),
            "ds": np.concatenate([np.arange(n) for n in lengths]),
            "y": data["values"],
        }
    )


def forecasts(forecaster: Any, contexts: np.ndarray) -> dict[str, np.ndarray]:
    """Every window as a series of its own: loc [windows, H], and scale and df where there are."""
    horizon = forecaster.models[0].h
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, len(contexts), AT_ONCE):
        some = contexts[start : start + AT_ONCE]
        count, length = some.shape
        frame = pd.DataFrame(
            {
                "unique_id": np.repeat(np.arange(count), length),
                "ds": np.tile(np.arange(length), count),
                "y": some.reshape(-1),
            }
        )
        out = forecaster.predict(df=frame).reset_index()
        out = out.sort_values(["unique_id", "ds"], kind="stable")
        parts.append(
            {
                name: out[column].to_numpy(dtype=np.float32).reshape(count, horizon)
                for name, column in columns(out).items()
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def columns(out: pd.DataFrame) -> dict[str, str]:
    """The columns that hold loc, scale and df: of a point model its only one is loc."""
    ends = {"loc": "-loc", "scale": "-scale", "df": "-df"}
    found = {n: c for n, end in ends.items() for c in out.columns if str(c).endswith(end)}
    if found:
        return found
    (only,) = [c for c in out.columns if c not in ("unique_id", "ds", "index")]
    return {"loc": only}


if __name__ == "__main__":
    # this folder holds modules of names that others use too
    sys.path = [place for place in sys.path if place != os.path.dirname(os.path.abspath(__file__))]
    main()
