"""A small real run for experiments on single layers of units: data, network, training, vitals.

A layer of units between a linear map and a linear head, Gaussian likelihood with a fixed noise,
on one of three series that ship with statsmodels: yearly sunspot numbers, monthly sea temperatures
of El Niño, and monthly CO2 at Mauna Loa (which drifts slowly, as some real series do).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

import vneuron as vn

INPUT, HORIZON, STEP, HELD_OUT = 22, 4, 1, 60
NOISE = 0.5
FEWEST_DRAWS, MOST_DRAWS = 32, 1024
VITALS = ("kl", "rate", "energy", "scale_mean", "use", "persistence", "innovation")
SERIES = ("sunspots", "elnino", "co2")


@dataclass
class Data:
    """Windows as rows: the past, the past one step earlier, and the future."""

    past: Tensor
    before: Tensor
    future: Tensor


def series(name: str) -> tuple[Data, Data]:
    """Training and held-out windows of a series, scaled by the training part."""
    values = torch.from_numpy(_read(name).astype(np.float32))
    train = values[:-HELD_OUT]
    values = (values - train.mean()) / train.std()
    ends = torch.arange(INPUT + STEP, len(values) - HORIZON + 1)

    def rows(offset: int, length: int) -> Tensor:
        return torch.stack([values[e + offset : e + offset + length] for e in ends.tolist()])

    everything = (rows(-INPUT, INPUT), rows(-INPUT - STEP, INPUT), rows(0, HORIZON))
    cut = len(ends) - HELD_OUT
    return Data(*(x[:cut] for x in everything)), Data(*(x[cut + HORIZON :] for x in everything))


def _read(name: str) -> np.ndarray:
    from statsmodels.datasets import co2, elnino, sunspots

    if name == "sunspots":
        return np.sqrt(sunspots.load_pandas().data["SUNACTIVITY"].to_numpy())
    if name == "elnino":
        return elnino.load_pandas().data.drop(columns="YEAR").to_numpy().ravel()
    if name == "co2":
        return co2.load_pandas().data["co2"].resample("MS").mean().interpolate().to_numpy()
    raise ValueError(f"series is {name!r}, expected one of {SERIES}.")


class Network(nn.Module):
    """Window in, mean of the next steps out; the window before gives the priors their context."""

    def __init__(self, units: vn.GaussianUnits) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(INPUT, 24), nn.Tanh())
        self.units = units
        self.head = nn.Linear(units.units, HORIZON)
        self.register_buffer("log_noise", torch.full((HORIZON,), math.log(NOISE)))
        units.readers.append(vn.Reader(self.head))
        self.remembers = isinstance(units.prior, vn.AutoregressiveNormal)

    def forward(self, past: Tensor, before: Tensor) -> Tensor:
        if not self.remembers:
            return self.head(self.units(self.features(past)))
        now, earlier = self.features(torch.cat([past, before])).chunk(2)
        with vn.muted():
            previous = self.units.infer(earlier)
        context = vn.PriorContext(previous.loc, previous.scale)
        return self.head(self.units(now, context))

    def nll(self, data: Data) -> Tensor:
        """[batch], nats, summed over the steps."""
        error = (data.future - self(data.past, data.before)) / self.log_noise.exp()
        return (0.5 * error.square() + self.log_noise + 0.5 * math.log(2 * math.pi)).sum(-1)


class Likelihood(nn.Module):
    """The network with its NLL as output, so that one `Collect` sees all."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, data: Data) -> Tensor:
        return self.network.nll(data)


@dataclass
class Found:
    """A layer's state: counts of verdicts, mean vitals, and the held-out NLL."""

    counts: dict[str, int]
    vitals: dict[str, float]
    nll: float
    ok: bool
    reasons: tuple[str, ...] = field(default=())

    def share(self, verdict: str) -> float:
        return self.counts.get(verdict, 0) / sum(self.counts.values())


def train(
    likelihood: vn.Collect, data: Data, steps: int, rate: float, data_weight: float = 1.0
) -> None:
    """Adam on the whole training part at once, with whatever controls are attached."""
    trained = [p for p in likelihood.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=rate)
    vn.prepare_controls(likelihood, steps)
    for _ in range(steps):
        nll, terms = likelihood(data)
        loss = vn.free_energy(data_weight * nll, terms, vn.penalties(likelihood, terms))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vn.control_step(likelihood, terms, optimizer)


def examine(likelihood: vn.Collect, held_out: Data) -> Found:
    """Verdicts with use measured on held-out windows."""
    network = likelihood.model.network
    # Silencing a unit that says nothing changes what the head happens to make of its noise.
    draws = max(MOST_DRAWS // network.units.units, FEWEST_DRAWS)
    many = Data(*(x.repeat(draws, 1) for x in (held_out.past, held_out.before, held_out.future)))
    vn.measure_use(network, lambda: network.nll(many))
    health = vn.health(network)
    vitals = {name: float(health.units[name].mean()) for name in VITALS}
    with torch.no_grad(), vn.muted():
        torch.manual_seed(0)
        nll = network.nll(many).mean().item()
    return Found(health.counts, vitals, nll, health.ok, health.reasons)
