"""What controls and vitals cost in a training step: CPU time, paired, one thread.

    python benchmarks/living/overhead.py [pairs]

The step is the forecaster's own (L = 336, H = 96, batch 256, hidden 256): forward, backward,
clipping, AdamW. "off" has no control and no statistics at all; "vitals" keeps statistics; "all"
carries every control at once, projection and homeostasis acting as often as they ever would. Each
pair runs the variants one after another in random order, so that drifts of the machine cancel.
"""

from __future__ import annotations

import random
import sys
import time

import torch

import vneuron as vn
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.task import TrajectoryObjective

INPUT, HORIZON, BATCH, STEPS = 336, 96, 256, 5


class Variant:
    def __init__(self, kind: str, units: int, k: int) -> None:
        torch.manual_seed(0)
        prior = vn.AutoregressiveNormal(units, k, form="quadratic")
        layer = vn.GaussianUnits(256, units, latent_dim=k, beta=0.1, prior=prior)
        self.objective = TrajectoryObjective(TrajectoryNetwork(INPUT, HORIZON, units=layer))
        self.kind = kind
        if kind == "all":
            layer.controls.extend(
                [
                    vn.KLBudget(units),
                    vn.EnergyBand(units, target=1.0, warmup=0, ramp=1),
                    vn.Projection(units, every=64, form="mean"),
                    vn.Homeostasis(units, every=5, form="mean"),
                    vn.ScaleGuard(units, k),
                    vn.BandCalibration(units),
                    vn.ShareBalance(units),
                ]
            )
        self.parameters = list(self.objective.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, fused=True)
        vn.prepare_controls(self.objective, 10_000)

    def step(self, context: torch.Tensor, target: torch.Tensor) -> None:
        nll, terms, penalty, _ = self.objective(context, target)
        vn.free_energy(nll, terms, penalty).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 96.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.kind != "off":
            vn.control_step(self.objective, terms, self.optimizer)


def compare(units: int, k: int, pairs: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds of a step, and median of its ratio to "off" over pairs."""
    variants = {kind: Variant(kind, units, k) for kind in ("off", "vitals", "all")}
    context, target = torch.randn(BATCH, INPUT), torch.randn(BATCH, HORIZON)
    times: dict[str, list[float]] = {kind: [] for kind in variants}
    for pair in range(pairs + 2):
        for kind in random.sample(list(variants), 3):
            began = time.process_time()
            for _ in range(STEPS):
                variants[kind].step(context, target)
            if pair >= 2:  # the first two warm up
                times[kind].append((time.process_time() - began) / STEPS)
    median = torch.tensor
    return {
        kind: (
            1e3 * median(own).median().item(),
            (median(own) / median(times["off"])).median().item(),
        )
        for kind, own in times.items()
    }


def main() -> None:
    torch.set_num_threads(1)
    random.seed(0)
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print("units  k   variant   ms per step   ratio to off (median of pairs)")
    for units, k in ((32, 1), (32, 4), (128, 1)):
        for kind, (milliseconds, ratio) in compare(units, k, pairs).items():
            print(f"{units:>5} {k:>2}   {kind:<8} {milliseconds:>12.2f} {ratio:>14.3f}")


if __name__ == "__main__":
    main()
