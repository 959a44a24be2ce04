"""Depth and granularity: where should the uncertainty of a network lie, at equal parameters?

One MLP five ways (`networks.py`): deterministic; one latent for the whole network, as in a VAE;
Gaussian weights; one latent a layer; one a unit. Two hidden layers, and the last kind in stacks of
1, 2 and 4 layers of units too. All have the parameters of a deterministic network of two layers of
64 (the nearest width). Classification: scikit-learn's digits, 1,200 / 200 / 397 examples.
Forecasting: ETTh1, 96 rows in and 24 out, each window less its last value, with a Gaussian
likelihood of one learned spread a step. The price of a nat is chosen for each kind, set and seed
among .001, .01 and .1 by validation NLL. Test NLL is that of the mixture of 32 draws.

    python benchmarks/claims/granularity.py DATA_FOLDER
"""

from __future__ import annotations

import math
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from study.data_sets import find
from study.networks import KINDS, build, parameters, weight_kl, width_for
from study.rows import Row, Study, parser
from torch import Tensor, nn

import vneuron as vn

BETAS = (0.001, 0.01, 0.1)
STEPS, BATCH, RATE = 500, 64, 2e-3
DRAWS, WIDTH, DEPTH, STACKS = 32, 64, 2, (1, 2, 4)
INPUT, HORIZON = 96, 24
USED, USE_DRAWS = 128, 8
"""Validation examples, and draws of each, by which the use of every unit is measured."""


class Task(NamedTuple):
    """Examples in three parts, each (x, y).

    Attributes:
        train: to learn from.
        validation: to choose a price by, and to tell what units are worth.
        test: read once a run.
        outputs: how many numbers the likelihood takes.
        classes: whether y is a class, [n], or values, [n, outputs].
    """

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    outputs: int
    classes: bool


class Predictor(nn.Module):
    """A network and its likelihood."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network = network
        self.classes = task.classes
        self.log_spread = None if task.classes else nn.Parameter(torch.zeros(task.outputs))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """NLL of one draw, [batch], nats an example."""
        return self.nll(self.network(x), y)

    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Of given outputs, [..., batch]."""
        if self.log_spread is None:
            label = y.expand(outputs.shape[:-1])[..., None]
            return -outputs.log_softmax(-1).gather(-1, label)[..., 0]
        error = (y - outputs) / self.log_spread.exp()
        return (0.5 * error.square() + self.log_spread + 0.5 * math.log(2 * math.pi)).sum(-1)


@cache
def digits() -> Task:
    """8 × 8 pixels in [0, 1], ten classes."""
    from sklearn.datasets import load_digits

    pixels, label = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))
    x = torch.from_numpy(pixels[order] / 16.0).float()
    y = torch.from_numpy(label[order])
    cuts = (slice(0, 1200), slice(1200, 1400), slice(1400, None))
    return Task(*((x[c], y[c]) for c in cuts), 10, True)


@cache
def etth1(folder: Path) -> Task:
    """Windows of all seven series, every fifth row to learn from, every 24th to judge."""
    rows = pd.read_csv(find(folder, "ETTh1.csv")).iloc[:14400, 1:].to_numpy()
    values = (rows - rows[:8640].mean(0)) / rows[:8640].std(0)
    parts = []
    for first, stop, step in ((0, 8640, 5), (8640 - INPUT, 11520, 24), (11520 - INPUT, 14400, 24)):
        part = np.lib.stride_tricks.sliding_window_view(values[first:stop], INPUT + HORIZON, 0)
        windows = torch.from_numpy(part[::step].reshape(-1, INPUT + HORIZON).copy()).float()
        windows = windows - windows[:, INPUT - 1 : INPUT]
        parts.append((windows[:, :INPUT], windows[:, INPUT:]))
    return Task(*parts, HORIZON, False)


def train(task: Task, kind: str, depth: int, beta: float, seed: int) -> tuple[Predictor, int]:
    """A trained predictor, and the width that it was given."""
    torch.manual_seed(seed)
    inputs, outputs = task.train[0].shape[1], task.outputs
    budget = parameters(build("deterministic", inputs, outputs, WIDTH, DEPTH, beta))
    width = width_for(kind, inputs, outputs, depth, budget)
    model = Predictor(build(kind, inputs, outputs, width, depth, beta), task)
    collected = vn.Collect(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    count = len(task.train[0])
    for _ in range(STEPS):
        chosen = torch.randint(count, (BATCH,))
        nll, terms = collected(task.train[0][chosen], task.train[1][chosen])
        loss = vn.free_energy(nll, terms) + beta * weight_kl(model) / count
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if terms:
            vn.control_step(collected, terms)
    return model.eval(), width


@torch.no_grad()
def judged(model: Predictor, part: tuple[Tensor, Tensor], draws: int = DRAWS) -> Row:
    """NLL of the mixture of draws, nats an example, and the error of its mean."""
    torch.manual_seed(0)
    x, y = part
    outputs = torch.stack([model.network(x) for _ in range(draws)])
    nll = math.log(draws) - (-model.nll(outputs, y)).logsumexp(0)
    if model.classes:
        wrong = (outputs.softmax(-1).mean(0).argmax(-1) != y).double().mean()
        return {"nll": float(nll.mean()), "error": float(wrong)}
    squared = (outputs.mean(0) - y).square().mean()
    return {"nll": float(nll.mean()) / y.shape[1], "error": float(squared)}


def layers_state(model: Predictor, task: Task) -> Row:
    """KL of each layer of units and what is said of its units, first layer first."""
    layers = [m for m in model.modules() if isinstance(m, vn.GaussianUnits)]
    if not layers:
        return {"kl_weights": float(weight_kl(model).detach())}
    x, y = (part[:USED] for part in task.validation)
    # Silencing a unit that says nothing changes what is made of its noise: many draws even it out.
    x, y = x.repeat(USE_DRAWS, 1), y.repeat(USE_DRAWS, *[1] * (y.dim() - 1))
    vn.measure_use(model, lambda: model(x, y))
    row: Row = {}
    for number, layer in enumerate(layers, start=1):
        found = vn.health(layer)
        row[f"kl_{number}"] = float(found.units["kl"].sum())
        for verdict in ("living", "static", "ignored", "dead", "constant"):
            row[f"{verdict}_{number}"] = found.counts.get(verdict, 0) / len(found.units)
    return row


def run(task: Task, name: str, kind: str, depth: int, seed: int) -> Row:
    """One kind's row at the price that validation prefers."""
    began = time.process_time()
    tried = []
    for beta in (0.0,) if kind == "deterministic" else BETAS:
        model, width = train(task, kind, depth, beta, seed)
        tried.append((judged(model, task.validation)["nll"], beta, model, width))
    _, beta, model, width = min(tried, key=lambda t: t[0])
    row = {"data": name, "kind": kind, "depth": depth, "seed": seed, "beta": beta, "width": width}
    row |= {"parameters": parameters(model.network), **judged(model, task.test)}
    row |= layers_state(model, task)
    caps = {"steps": STEPS, "batch": BATCH, "learning_rate": RATE, "draws": DRAWS}
    row["config"] = {**caps, "kind": kind, "depth": depth, "width": width, "betas": list(BETAS)}
    return {**row, "cpu_seconds": time.process_time() - began}


def main() -> int:
    options = parser(__doc__, seeds=5).parse_args()
    study = Study("granularity", options.out, options.seconds)
    tasks = {"digits": digits, "ETTh1": lambda: etth1(options.data)}
    kinds = [(kind, DEPTH) for kind in KINDS]
    kinds += [(kind, d) for kind in ("deterministic", "a unit") for d in STACKS if d != DEPTH]
    for seed in options.seeds:
        for name in options.sets or tasks:
            for kind, depth in kinds:
                study.run(
                    f"{name} {kind} {depth} {seed}",
                    lambda: run(tasks[name](), name, kind, depth, seed),  # noqa: B023
                )
    return study.finish()


if __name__ == "__main__":
    raise SystemExit(main())
