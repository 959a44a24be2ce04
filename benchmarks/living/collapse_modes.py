"""Each mode of collapse, induced on purpose in a small real run, named by the verdict, and cured.

    python benchmarks/living/collapse_modes.py

The run: yearly sunspot numbers (bundled with statsmodels), 22 years in, 4 out, a layer of units
between a linear map and a linear head, Gaussian likelihood with a fixed noise. Each case trains
with the cause in place, is judged on held-out windows, gets its control *with the cause still
there*, trains on, and is judged again.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

import vneuron as vn

INPUT, HORIZON, STEP, HELD_OUT = 22, 4, 1, 60
NOISE = 0.5
DRAWS = 32


@dataclass
class Data:
    """Windows as rows: the past, the past one step earlier, and the future."""

    past: Tensor
    before: Tensor
    future: Tensor


def sunspots() -> tuple[Data, Data]:
    """Training and held-out windows, scaled by the training part."""
    from statsmodels.datasets import sunspots

    series = torch.tensor(sunspots.load_pandas().data["SUNACTIVITY"].to_numpy().copy())
    series = series.float().sqrt()
    train = series[:-HELD_OUT]
    series = (series - train.mean()) / train.std()
    first, last = INPUT + STEP, len(series) - HORIZON
    ends = torch.arange(first, last + 1)

    def rows(offset: int, length: int) -> Tensor:
        return torch.stack([series[e + offset : e + offset + length] for e in ends.tolist()])

    everything = (rows(-INPUT, INPUT), rows(-INPUT - STEP, INPUT), rows(0, HORIZON))
    cut = len(ends) - HELD_OUT
    return Data(*(x[:cut] for x in everything)), Data(*(x[cut + HORIZON :] for x in everything))


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


Cure = Callable[[vn.GaussianUnits], None]


@dataclass
class Case:
    """A mode of collapse: what causes it, and what cures it."""

    mode: str
    cause: str
    cure: str
    units: Callable[[], vn.GaussianUnits]
    apply: Cure
    prepare: Callable[[Network], None] = lambda network: None
    steps: int = 300
    rate: float = 0.01
    data_weight: float = 1.0
    after_rate: float = 0.0
    after_steps: int = 300


@dataclass
class Found:
    """A layer's state: counts of verdicts, mean vitals, and the held-out NLL."""

    counts: dict[str, int]
    vitals: dict[str, float]
    nll: float
    ok: bool
    reasons: tuple[str, ...] = field(default=())


def train(likelihood: vn.Collect, case: Case, data: Data, steps: int) -> None:
    trained = [p for p in likelihood.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=case.rate)
    vn.prepare_controls(likelihood, steps)
    for _ in range(steps):
        nll, terms = likelihood(data)
        loss = vn.free_energy(case.data_weight * nll, terms, vn.penalties(likelihood, terms))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vn.control_step(likelihood, terms, optimizer)


def examine(likelihood: vn.Collect, held_out: Data) -> Found:
    network = likelihood.model.network
    many = Data(*(x.repeat(DRAWS, 1) for x in (held_out.past, held_out.before, held_out.future)))
    vn.measure_use(network, lambda: network.nll(many))
    health = vn.health(network)
    columns = ["kl", "rate", "energy", "scale_mean", "use", "persistence"]
    vitals = {name: float(health.units[name].mean()) for name in columns}
    with torch.no_grad(), vn.muted():
        torch.manual_seed(0)
        nll = network.nll(many).mean().item()
    return Found(health.counts, vitals, nll, health.ok, health.reasons)


def run(case: Case, seed: int = 0) -> tuple[Found, Found, Found]:
    """The layer before its cure, after training on without it, and after training on with it."""
    torch.manual_seed(seed)
    past, held_out = sunspots()
    network = Network(case.units())
    case.prepare(network)
    likelihood = vn.Collect(Likelihood(network))
    train(likelihood, case, past, case.steps)
    before = examine(likelihood, held_out)
    alone = copy.deepcopy(likelihood)
    case = replace(case, data_weight=1.0, rate=case.after_rate or case.rate)
    train(alone, case, past, case.after_steps)
    case.apply(network.units)
    train(likelihood, case, past, case.after_steps)
    return before, examine(alone, held_out), examine(likelihood, held_out)


UNITS, FEW = 8, 4


def fixed_scale(network: Network) -> None:
    """σ stays where it is, so that only µ can grow."""
    network.units.raw_scale.requires_grad_(False)


def wide_prior(network: Network) -> None:
    """N(0, 9.9²), and it stays so."""
    prior = network.units.prior
    with torch.no_grad():
        prior.raw_scale.fill_(60.0)
    prior.requires_grad_(False)


def bias_only(network: Network) -> None:
    """A mean that starts as its bias, which stays."""
    # Features without a mean, or the weights would learn to cancel the bias.
    network.features.append(nn.BatchNorm1d(24, affine=False))
    with torch.no_grad():
        network.units.loc.weight.mul_(0.01)
        network.units.loc.bias.fill_(1.5)
    network.units.loc.bias.requires_grad_(False)


def heavy_past(network: Network) -> None:
    network.units.prior.weight.fill_(LAMBDA)
    network.units.controls.append(
        vn.EnergyBand(UNITS, target=0.5, quantity="variance", weight=300.0, warmup=0, ramp=1)
    )


def kept_awake(network: Network) -> None:
    band = vn.EnergyBand(48, target=0.5, quantity="variance", weight=50.0, warmup=0, ramp=1)
    network.units.controls.append(band)


LAMBDA = 300.0

CASES = (
    Case(
        "exploding",
        "β = 0, no band, learning rate .1",
        "EnergyBand with Projection (raw)",
        lambda: vn.GaussianUnits(24, FEW, scale="per_unit", beta=0.0, initial_scale=2.0),
        lambda units: units.controls.extend(
            [vn.EnergyBand(FEW, target=1.0, warmup=0, ramp=1), vn.Projection(FEW, every=10)]
        ),
        prepare=fixed_scale,
        steps=150,
        rate=0.1,
        after_rate=0.01,
    ),
    Case(
        "noiseless",
        "β = 0",
        "ScaleGuard and KLBudget",
        lambda: vn.GaussianUnits(24, FEW, scale="per_unit", beta=0.0),
        lambda units: units.controls.extend(
            [vn.ScaleGuard(FEW), vn.KLBudget(FEW, low=0.05, high=1.0)]
        ),
        rate=0.1,
        steps=600,
        after_rate=0.01,
    ),
    Case(
        "saturated",
        "no data term, loose prior N(0, 10²)",
        "ScaleGuard, and data",
        lambda: vn.GaussianUnits(24, UNITS, scale="per_unit", prior=vn.LearnedNormal(UNITS)),
        lambda units: units.controls.append(vn.ScaleGuard(UNITS)),
        prepare=wide_prior,
        data_weight=0.0,
        rate=0.1,
        after_rate=0.02,
    ),
    Case(
        "frozen in time",
        f"autoregressive penalty with λ = {LAMBDA:.0f}",
        "ShareBalance",
        lambda: vn.GaussianUnits(
            24,
            UNITS,
            beta=0.05,
            prior=vn.AutoregressiveNormal(UNITS, phi=0.99, form="quadratic"),
        ),
        lambda units: units.controls.append(vn.ShareBalance(UNITS)),
        prepare=heavy_past,
    ),
    Case(
        "dead",
        "β = 50",
        "KLBudget",
        lambda: vn.GaussianUnits(24, UNITS, beta=50.0),
        lambda units: units.controls.append(vn.KLBudget(UNITS)),
        rate=0.02,
        steps=400,
    ),
    Case(
        "constant",
        "a mean from its bias alone, at β = 10",
        "EnergyBand on Var µ",
        lambda: vn.GaussianUnits(24, UNITS, beta=10.0, scale="per_unit"),
        lambda units: units.controls.append(
            vn.EnergyBand(UNITS, target=0.5, quantity="variance", weight=1000.0, warmup=0, ramp=1)
        ),
        prepare=bias_only,
    ),
    Case(
        "ignored",
        "48 units kept awake where a few would do",
        "prune",
        lambda: vn.GaussianUnits(24, 48, beta=0.03),
        lambda units: vn.prune(
            units, units.statistics.use >= units.statistics.use.topk(4).values[-1]
        ),
        prepare=kept_awake,
    ),
)


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'mode':<15}{'cause':<42}{'control':<34}")
    for case in CASES:
        found = run(case)
        print(f"{case.mode:<15}{case.cause:<42}{case.cure:<34}")
        for label, state in zip(("before", "alone", "cured"), found, strict=True):
            numbers = "  ".join(f"{k} {v:.3g}" for k, v in state.vitals.items())
            counts = ", ".join(f"{n} {verdict}" for verdict, n in state.counts.items())
            print(f"    {label:<7} {counts:<28} {numbers}  NLL {state.nll:.3g}")


if __name__ == "__main__":
    main()
