"""CPU-seconds until EVE scores as well as the published EVE ever does, against that one's own.

    git clone https://github.com/YvesRuffenach/EVE ~/EVE
    python benchmarks/speed/time_to_quality.py ~/EVE ETTh1.csv [--epochs 6]

ETTh1, L = 336, H = 96, training rows 8,640, validation and test 2,880 each, scaled by training
rows, every window of every channel. The reference is the notebook's own code, read from the
checkout when this runs: its model, its controls (homeostasis), its training loop and its settings,
with the data above and with the number of epochs given here. Its time is that of training alone up
to the end of the epoch with its best *test* CRPS; what it spends on scores is left out, which
favours it; its validations, which it needs to choose an epoch, are counted beside. EVE is trained
afresh with more and more steps (one cosine each) until its test CRPS is at least as good; its time
is that of training, and beside it that of preparing the data, training and validation together,
its encoder and features named; with --trials they are chosen by trials, which count. One thread;
imports are left out on both sides. Skipped where there is no checkout.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from measure import verdict

import vneuron as vn
from vneuron.forecasting.contenders import build_task
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.windows import Windows, windows_between
from vneuron.forecasting.material import Material, prepare
from vneuron.forecasting.memory import Memory
from vneuron.forecasting.model import FittedModel
from vneuron.training.config import TrainingConfig
from vneuron.training.loop import Trainer

INPUT, HORIZON, SHIFT = 336, 96, 4
TRAIN, HELD_OUT = 8640, 2880
STEPS = (10, 20, 25, 30, 40, 60, 80, 160, 320, 640)


def read(data: Path) -> Panel:
    """The file's columns as series, in its own units."""
    wide = pd.read_csv(data, parse_dates=["date"]).iloc[: TRAIN + 2 * HELD_OUT]
    long = wide.melt(id_vars="date", var_name="unique_id", value_name="y")
    return Panel.from_frame(long.rename(columns={"date": "ds"}))


class Triples(torch.utils.data.Dataset[tuple[torch.Tensor, ...]]):
    """Context, the context `SHIFT` rows before, and target, as the notebook's loaders give them."""

    def __init__(self, windows: Windows) -> None:
        self.rows, self.starts = windows.flat.values, windows.starts.tolist()  # noqa: PD011

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        start = self.starts[index]
        middle = start + INPUT
        return (
            self.rows[None, start:middle],
            self.rows[None, start - SHIFT : middle - SHIFT],
            self.rows[None, middle : middle + HORIZON],
        )


def notebook(checkout: Path) -> dict[str, Any]:
    """The names that the notebook's defining cells define."""
    cells = json.loads((checkout / "ecl-1.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    module = types.ModuleType("notebook")
    sys.modules["notebook"] = module  # its dataclasses look themselves up
    names = vars(module)
    for source in sources:
        if _defines(source):
            exec(compile(_definitions(source), "ecl-1.ipynb", "exec"), names)  # noqa: S102
    return names


def _defines(source: str) -> bool:
    wanted = ("class ModelNeuronVAETS", "def run_trial", "def gaussian_nll", "def make_mu2_band")
    others = ("class PerUnitBetaController", "class PerNeuronVAERegulator", "def ar_penalty")
    more = ("def set_seed", "class Cfg", "def trial_is_valid", "def project_mu2_band", "device =")
    return any(text in source for text in (*wanted, *others, *more))


def _definitions(source: str) -> str:
    """Imports, functions, classes and plain constants; nothing that runs a model or reads data."""
    import ast

    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    tree = ast.parse("\n".join(lines))
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef) or (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in ("device", "cfg", "_Z_CACHE")
        ):
            kept.append(node)
    tree.body = kept
    return ast.unparse(tree)


def reference(
    checkout: Path, material: Material, epochs: int, seed: int
) -> tuple[float, float, float]:
    """Its best test CRPS, and CPU-seconds until the end of that epoch: of training, and of training
    and validation."""
    names = notebook(checkout)
    parts = {
        "train": material.train,
        "val": material.validation,
        "test": test_windows(material),
    }
    # a window needs SHIFT rows before it
    first = torch.from_numpy(material.flat.offsets[:-1].copy())
    for name, part in parts.items():
        parts[name] = part.take((part.starts >= first[part.series] + SHIFT).nonzero()[:, 0])
    cfg = names["replace"](names["cfg"], epochs=epochs)
    loaders = [
        torch.utils.data.DataLoader(
            Triples(part), batch_size=256, shuffle=name == "train", drop_last=name == "train"
        )
        for name, part in parts.items()
    ]
    scoring = names["_eval_epoch"]
    ends: list[float] = []  # training until each call: of validation, then of test, each epoch
    own: list[float] = []  # what each call took
    began = time.process_time()

    def timed(*given: Any, **options: Any) -> Any:
        start = time.process_time()
        ends.append(start - began - sum(own))
        found = scoring(*given, **options)
        own.append(time.process_time() - start)
        return found

    names |= {"_eval_epoch": timed, "beta_info": None}
    history = names["run_trial"](cfg, seed, *loaders, prune=False)["history"]
    scores = [row["test_crps"] for row in history]
    for epoch, score in enumerate(scores):
        print(f"reference, epoch {epoch + 1}: CRPS {score:.4f} at {ends[2 * epoch]:.1f} CPU-s")
    best = int(np.argmin(scores))
    print(f"reference: {sum(own):.1f} CPU-s more for its scores of all epochs")
    return scores[best], ends[2 * best], ends[2 * best] + sum(own[: 2 * best + 1 : 2])


def test_windows(material: Material) -> Windows:
    return windows_between(material.flat, material.split.test, INPUT, HORIZON)


def ours(panel: Panel, steps: int, seed: int, reader: dict[str, Any]) -> tuple[float, float, float]:
    """Test CRPS after so many steps, and CPU-seconds of training, and of data, training and
    validation."""
    forecaster = vn.EVEForecaster(HORIZON, INPUT, **reader, seed=seed, device="cpu", quiet=True)
    config = forecaster.config
    began = time.process_time()
    material = prepare(panel, config, train_size=TRAIN, val_size=HELD_OUT, test_size=HELD_OUT)
    config = material.config
    model = FittedModel.untrained("EVE", config, Memory.of(material, config))
    training = TrainingConfig(
        epochs=1,
        min_steps_per_epoch=1,
        max_steps_per_epoch=steps,
        seed=seed,
        device="cpu",
        quiet=True,
    )
    task = build_task(model.network, material.train, material.validation)
    validate, validating = task.validate, [0.0]

    def timed(*given: Any, **options: Any) -> Any:
        start = time.process_time()
        found = validate(*given, **options)
        validating[0] += time.process_time() - start
        return found

    task.validate = timed  # type: ignore[method-assign]
    fitting = time.process_time()
    Trainer(training).fit(task)
    spent = time.process_time() - began
    trained = time.process_time() - fitting - validating[0]
    total, count = 0.0, 0
    for batch in test_windows(material).batches(2048):
        scores = model.forecast(batch).steps().crps(batch.target.double().numpy())
        total, count = total + float(scores.sum()), count + scores.size
    return total / count, trained, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="of YvesRuffenach/EVE")
    parser.add_argument("data", type=Path, help="ETTh1.csv")
    parser.add_argument("--epochs", type=int, default=6, help="of the reference; its own are 24")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--known",
        type=float,
        nargs=3,
        metavar=("CRPS", "SECONDS", "WITH_VALIDATION"),
        help="what an earlier run found of the reference, which is then not run",
    )
    parser.add_argument(
        "--trials",
        action="store_true",
        help="leave encoder and features to trials, and count these",
    )
    options = parser.parse_args()
    if not (options.checkout / "ecl-1.ipynb").is_file():
        print(f"skipped: {options.checkout} is no checkout of YvesRuffenach/EVE")
        return
    torch.set_num_threads(1)
    panel = read(options.data)
    config = vn.EVEForecaster(
        HORIZON, INPUT, encoder="linear", features="window", device="cpu"
    ).config
    sizes = {"train_size": TRAIN, "val_size": HELD_OUT, "test_size": HELD_OUT}
    named = {"encoder": "linear", "features": "window"}
    ours(panel, 1, 0, named)  # first imports
    if options.known:
        target, theirs, validated = options.known
    else:
        material = prepare(panel, config, **sizes)
        target, theirs, validated = reference(
            options.checkout, material, options.epochs, options.seed
        )
    print(
        f"reference: best test CRPS {target:.4f} after {theirs:.1f} CPU-s of training, "
        f"{validated:.1f} with validations"
    )
    for steps in STEPS:
        score, trained, spent = ours(panel, steps, options.seed, {} if options.trials else named)
        print(
            f"EVE, {steps} steps: CRPS {score:.4f} after {trained:.2f} CPU-s of training, "
            f"{spent:.2f} with data and validation",
            flush=True,
        )
        if score <= target:
            for label, own, seconds in (
                ("training alone", trained, theirs),
                ("with validation, EVE's data too", spent, validated),
                ("all of EVE's, training alone of the reference's", spent, theirs),
            ):
                name = f"CPU-seconds to that quality, EVE / reference, {label}"
                print(verdict(name, own / seconds, 1 / 20))
            return
    print("MISSED EVE did not reach that score within the steps tried")


if __name__ == "__main__":
    main()
