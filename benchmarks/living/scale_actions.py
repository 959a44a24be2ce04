"""What each scale action changes: at the action, and 100 steps later.

    python benchmarks/living/scale_actions.py

A network is trained on sunspot numbers for 300 steps; then every other unit is multiplied by 1.9
and the rest by 0.55, in one of the three forms (or not at all), and training goes on. KL is in
nats per window; noise is the standard deviation of the forecast over draws; the mean is that at
z = µ.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import torch

import vneuron as vn

sys.path.insert(0, str(Path(__file__).parent))
from small_run import Data, Likelihood, Network, series

UNITS, STEPS, LATER, RATE, BETA = 8, 300, 100, 0.01, 0.05
FORMS = (None, "raw", "mean", "gauge")


class State(NamedTuple):
    """Averages over held-out windows."""

    mean: torch.Tensor
    noise: torch.Tensor
    kl: float
    nll: float
    loss: float


def look(likelihood: vn.Collect, data: Data) -> State:
    network = likelihood.model.network
    with torch.no_grad():
        with vn.deterministic(network), vn.muted():
            mean = network(data.past, data.before)
        latent = network.units.infer(network.features(data.past))
        noise = (latent.scale[..., 0].square() @ network.head.weight.square().T).sqrt()
        torch.manual_seed(0)
        many = Data(*(x.repeat(64, 1) for x in (data.past, data.before, data.future)))
        nll, terms = likelihood(many)
        loss = vn.free_energy(nll, terms)
    return State(mean, noise, terms[0].kl.sum(-1).mean().item(), nll.mean().item(), loss.item())


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
    before = look(likelihood, held_out)
    if form is not None:
        factor = torch.tensor([1.9, 0.55]).repeat(UNITS // 2)
        vn.rescale(network.units, factor, form, optimizer)
    at = look(likelihood, held_out)
    train(likelihood, optimizer, data, LATER)
    return before, at, look(likelihood, held_out)


def main() -> None:
    torch.set_num_threads(1)
    print("form    when          max |Δ mean|   noise/before    KL     NLL    loss")
    for form in FORMS:
        before, at, later = run(form)
        for when, state in (("before", before), ("at action", at), (f"{LATER} later", later)):
            moved = (state.mean - before.mean).abs().max().item()
            ratio = (state.noise / before.noise).mean().item()
            print(
                f"{form or 'none':<7} {when:<12} {moved:>13.2e} {ratio:>14.4f} {state.kl:>7.3f} "
                f"{state.nll:>7.3f} {state.loss:>7.3f}"
            )


if __name__ == "__main__":
    main()
