"""A small task for the tests of the loop: a linear map of noisy features, one layer of units."""

from __future__ import annotations

import os
import signal

import torch
from torch import nn

import vneuron as vn
from vneuron.training.run_folder import RunFolder
from vneuron.training.task import AbstractTask, StepOutput


class SmallModule(nn.Module):
    def __init__(self, units=4, draws=True):
        super().__init__()
        self.units = vn.GaussianUnits(3, units, beta=0.1)
        self.units.deterministic = not draws
        self.net = vn.Collect(nn.Sequential(self.units, nn.Linear(units, 1)))

    def forward(self, x, y):
        out, terms = self.net(x)
        nll = 0.5 * (y - out).square().sum(-1)
        return StepOutput(nll, terms, nll.new_zeros(()), {"error": nll.detach().mean().sqrt()})


class SmallTask(AbstractTask):
    """`scores` replaces what validation finds, epoch by epoch; `at` does something at a batch."""

    score = "val_nll"

    def __init__(self, examples=64, *, draws=True, scores=None, at=None, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(examples, 3, generator=generator)
        self.y = self.x.sum(-1, keepdim=True)
        self.examples = examples
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.module = SmallModule(draws=draws)
        self.scores = scores
        self.at = at or {}
        self.batches = []
        self.validations = 0

    def batch(self, indices, device):
        self.batches.append(indices)
        if len(self.batches) in self.at:
            self.at[len(self.batches)](self)
        return self.x[indices].to(device), self.y[indices].to(device)

    def parameter_groups(self):
        linear = self.module.net.model[1]
        return [
            {"params": self.module.units.parameters(), "weight_decay": 0.01},
            {"params": linear.parameters(), "lr_scale": 0.5},
        ]

    def validate(self, module):
        self.validations += 1
        nll = module(self.x, self.y)[0].mean()
        self.module.units.statistics.use.fill_(float(nll))
        if self.scores is not None:
            return {"val_nll": self.scores[self.validations - 1]}
        return {"val_nll": nll}

    def vitals(self):
        return vn.health(self.module).units


def die(task):
    """Leave no time for anything, as a kill -9 or the machine's end does."""
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt(task):
    """What Ctrl-C does."""
    os.kill(os.getpid(), signal.SIGINT)


def poison(task):
    """Make the loss NaN from here on."""
    task.y = task.y * torch.nan


def new_run(path):
    run = RunFolder.create(path)
    run.write_json("config.json", {"vneuron": "0"})
    return run


def history(run):
    """The events of a run but for the time they took and that it was resumed."""
    return [
        {key: value for key, value in event.items() if key not in ("time", "seconds")}
        for event in run.read_events()
        if event["event"] != "resume"
    ]
