"""What controls and vitals cost in a training step: CPU time, paired, one thread.

    python benchmarks/living/overhead.py --networks trajectory-32 reference-1024

The step: forward, backward, clipping, AdamW, at batch 256, L = 336, H = 96, hidden 256. "off" has
no control and no statistics at all; "vitals" keeps statistics; "all" carries every control at once,
projection and homeostasis acting as often as they ever would, `Allocation` among them. With
--memory the units' prior is the autoregressive penalty on the window a day before in every variant,
and "all" balances its share and measures persistence as well. Each pair runs the variants one after
another in random order, so that drifts of the machine cancel.

What `Allocation` lives on, the units' use, is measured at validation. It is timed apart, as a part
of an epoch of 224 steps (ETTh1) with everything on.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn

import vneuron as vn
from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.networks.features import Encoder
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.networks.reference import ReferenceNetwork, ReferenceObjective
from vneuron.forecasting.networks.reference.use import measure_use
from vneuron.forecasting.task import USE_WINDOWS, TrajectoryObjective
from vneuron.forecasting.usefulness import measure_usefulness

INPUT, HORIZON, BATCH, EPOCH, DAY = 336, 96, 256, 224, 24
KINDS = ("off", "vitals", "all")


class Plain(nn.Module):
    """Units between two linear maps, Gaussian likelihood: the least a step with them can cost."""

    def __init__(self, units: vn.GaussianUnits) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(INPUT, 256), nn.GELU(), units)
        self.head = nn.Linear(units.units, HORIZON)
        units.readers.append(vn.Reader(self.head))
        self.collected = vn.Collect(nn.Sequential(self.body, self.head))

    def forward(
        self, context: Tensor, target: Tensor
    ) -> tuple[Tensor, tuple[vn.LocalTerm, ...], Tensor | float, None]:
        path, terms = self.collected(context)
        penalty = vn.penalties(self.collected, terms)
        return 0.5 * (target - path).square().sum(-1), terms, penalty, None


class Variant:
    """A network, by name and number of units, with controls or without."""

    def __init__(self, network: str, units: int, k: int, kind: str, lag: int) -> None:
        torch.manual_seed(0)
        prior = vn.AutoregressiveNormal(units, k, form="quadratic") if lag else None
        layer = vn.GaussianUnits(256, units, latent_dim=k, beta=0.1, prior=prior)
        self.layer, self.kind = layer, kind
        self.network: nn.Module
        if network == "plain" and not lag:
            self.network = self.objective = Plain(layer)
        elif network in ("trajectory", "mlp"):
            encoder: Encoder = "mlp" if network == "mlp" else "linear"
            self.network = TrajectoryNetwork(
                INPUT, HORIZON, units=layer, prior_lag=lag, encoder=encoder
            )
            self.objective = TrajectoryObjective(self.network)
        elif network == "reference":
            self.network = ReferenceNetwork(INPUT, HORIZON, layer, prior_lag=lag)
            self.objective = ReferenceObjective(self.network)
        else:
            raise ValueError(
                f"network is {network!r}, expected trajectory, mlp or reference, or plain without "
                "--memory."
            )
        if kind == "all":
            layer.controls.extend(
                [
                    vn.KLBudget(units),
                    vn.EnergyBand(units, target=1.0, warmup=0, ramp=1),
                    vn.Projection(units, every=64, form="mean"),
                    vn.Homeostasis(units, every=5, form="mean"),
                    vn.ScaleGuard(units, k),
                    vn.BandCalibration(units),
                    vn.Allocation(units),
                ]
            )
            layer.controls.extend([vn.ShareBalance(units)] if lag else [])
        self.parameters = list(self.objective.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, fused=True)
        vn.prepare_controls(self.objective, 10_000)

    def step(self, context: Tensor, target: Tensor) -> None:
        nll, terms, penalty, _ = self.objective(context, target)
        vn.free_energy(nll, terms, penalty).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 96.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.kind != "off":
            vn.control_step(self.objective, terms, self.optimizer)

    def measure(self, context: Tensor, target: Tensor) -> None:
        """What validation adds for `Allocation`, on as many windows as the trainer takes."""
        self.network.eval()
        batch = WindowBatch(context, target, torch.zeros(len(target), dtype=torch.long), None, None)
        if isinstance(self.network, TrajectoryNetwork):
            measure_usefulness(self.network, batch)
        elif isinstance(self.network, ReferenceNetwork):
            measure_use(self.network, batch)
        self.network.train()


class Cost(NamedTuple):
    """Milliseconds of a step and its ratio to "off", medians over pairs."""

    milliseconds: float
    ratio: float


def compare(network: str, units: int, k: int, lag: int, pairs: int, steps: int) -> dict[str, Cost]:
    variants = {kind: Variant(network, units, k, kind, lag) for kind in KINDS}
    context, target = torch.randn(BATCH, INPUT + 4 + lag), torch.randn(BATCH, HORIZON)
    context = context[:, :INPUT] if network == "plain" else context
    times: dict[str, list[float]] = {kind: [] for kind in variants}
    for pair in range(pairs + 2):
        for kind in random.sample(KINDS, len(KINDS)):
            began = time.process_time()
            for _ in range(steps):
                variants[kind].step(context, target)
            if pair >= 2:  # the first two warm up
                times[kind].append((time.process_time() - began) / steps)
    costs = {
        kind: Cost(
            1e3 * statistics.median(own),
            statistics.median(a / b for a, b in zip(own, times["off"], strict=True)),
        )
        for kind, own in times.items()
    }
    if network != "plain":
        windows = USE_WINDOWS if network in ("trajectory", "mlp") else 256
        measured = []
        for _ in range(3):
            began = time.process_time()
            variants["all"].measure(
                torch.randn(windows, INPUT + 4 + lag), torch.randn(windows, HORIZON)
            )
            measured.append(time.process_time() - began)
        spent = statistics.median(measured)
        epoch = EPOCH * costs["all"].milliseconds / 1e3
        costs["use"] = Cost(1e3 * spent, spent / (spent + epoch))
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["trajectory-32", "reference-1024"])
    parser.add_argument("--k", type=int, default=1)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--steps", type=int, default=5, help="steps in a row, each of a pair")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    print(f"batch {BATCH}, k = {arguments.k}; ms per step, ratio to off (medians of pairs)")
    for name in arguments.networks:
        network, units = name.rsplit("-", 1)
        lag = DAY if arguments.memory else 0
        costs = compare(network, int(units), arguments.k, lag, arguments.pairs, arguments.steps)
        for kind in KINDS:
            print(
                f"{name:<16} {kind:<8} {costs[kind].milliseconds:>9.2f} {costs[kind].ratio:>8.3f}"
            )
        if "use" in costs:
            use = costs["use"]
            print(
                f"{name:<16} measuring use: {use.milliseconds:.0f} ms, {use.ratio:.1%} of an epoch"
            )


if __name__ == "__main__":
    main()
