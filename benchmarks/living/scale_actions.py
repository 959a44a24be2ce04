"""What each scale action changes: at the action, and 100 steps later.

    python benchmarks/living/scale_actions.py --seeds 0 1 2 3 4

A network is trained on sunspot numbers for 300 steps; then every other unit is multiplied by 1.9
and the rest by 0.55, in one of the three forms (or not at all), and training goes on. KL and NLL
are in nats per window of four steps, loss is with the KL at β = .05; noise is the standard
deviation of the forecast over draws; the mean is that at z = µ. The first two columns are the
largest change of any held-out forecast over all seeds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import torch

import vneuron as vn

sys.path.insert(0, str(Path(__file__).parent))
from small_run import Data, Likelihood, Network, series

UNITS, STEPS, LATER, RATE, BETA = 8, 300, 100, 0.01, 0.05
FORMS = (None, "raw", "mean", "gauge")


class State(NamedTuple):
    """Averages over held-out windows; `trained` is the loss over the training ones."""

    mean: torch.Tensor
    noise: torch.Tensor
    kl: float
    nll: float
    loss: float
    trained: float


def look(likelihood: vn.Collect, data: Data, seen: Data) -> State:
    network = likelihood.model.network
    with torch.no_grad():
        with vn.deterministic(network), vn.muted():
            mean = network(data.past, data.before)
        latent = network.units.infer(network.features(data.past))
        noise = (latent.scale[..., 0].square() @ network.head.weight.square().T).sqrt()
        _, _, trained = _losses(likelihood, seen)
        kl, nll, loss = _losses(likelihood, data)
    return State(mean, noise, kl, nll, loss, trained)


def _losses(likelihood: vn.Collect, data: Data) -> tuple[float, float, float]:
    """KL, NLL and free energy, over 64 draws for each window."""
    torch.manual_seed(0)
    nll, terms = likelihood(Data(*(x.repeat(64, 1) for x in (data.past, data.before, data.future))))
    loss = vn.free_energy(nll, terms)
    return terms[0].kl.sum(-1).mean().item(), nll.mean().item(), loss.item()


def train(likelihood: vn.Collect, optimizer: torch.optim.Optimizer, data: Data, steps: int) -> None:
    for step in range(steps):
        torch.manual_seed(1000 + step)
        nll, terms = likelihood(data)
        optimizer.zero_grad()
        vn.free_energy(nll, terms).backward()
        optimizer.step()
        vn.control_step(likelihood, terms, optimizer)


def run(form: vn.core.ScaleForm | None, seed: int = 0) -> tuple[State, State, State]:
    """Before the action, right after it, and later."""
    torch.manual_seed(seed)
    data, held_out = series("sunspots")
    network = Network(vn.GaussianUnits(24, UNITS, beta=BETA))
    likelihood = vn.Collect(Likelihood(network))
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=RATE)
    train(likelihood, optimizer, data, STEPS)
    before = look(likelihood, held_out, data)
    if form is not None:
        factor = torch.tensor([1.9, 0.55]).repeat(UNITS // 2)
        vn.rescale(network.units, factor, form, optimizer)
    at = look(likelihood, held_out, data)
    train(likelihood, optimizer, data, LATER)
    return before, at, look(likelihood, held_out, data)


class Effect(NamedTuple):
    """What one state is beside the one before the action."""

    mean_moved: float
    noise_moved: float
    noise: float
    kl: float
    nll: float
    loss: float
    trained: float


def effect(state: State, before: State) -> Effect:
    ratio = state.noise / before.noise
    return Effect(
        (state.mean - before.mean).abs().max().item(),
        (ratio - 1.0).abs().max().item(),
        ratio.mean().item(),
        state.kl - before.kl,
        state.nll - before.nll,
        state.loss - before.loss,
        state.trained - before.trained,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"change against before the action, mean (sd) over {len(arguments.seeds)} seeds")
    print(
        "form   when        max |Δ mean|  max |Δ noise|/noise  noise ratio  ΔKL  ΔNLL  Δloss  "
        "Δtraining loss"
    )
    for form in FORMS:
        runs = [run(form, seed) for seed in arguments.seeds]
        for when, label in ((1, "at action"), (2, f"{LATER} later")):
            effects = [effect(states[when], states[0]) for states in runs]
            worst = [max(e.mean_moved for e in effects), max(e.noise_moved for e in effects)]
            others = [[e[i] for e in effects] for i in range(2, 7)]
            print(
                f"{form or 'none':<6} {label:<10} "
                + "  ".join(f"{value:>9.1e}" for value in worst)
                + "  "
                + "  ".join(f"{mean(v):>7.3f} ({stdev(v):.3f})" for v in others)
            )


if __name__ == "__main__":
    main()
