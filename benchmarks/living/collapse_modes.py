"""Each mode of collapse, induced on purpose in a small real run, named by the verdict, and cured.

    python benchmarks/living/collapse_modes.py --seeds 0 1 2 3 4

Each case trains with the cause in place, is judged on held-out windows, gets its control *with the
cause still there*, trains on, and is judged again; a copy trains on without the control, to tell a
cure from time. A mode counts as *named* where it is the commonest fault of a layer that is sick, as
*cured* where no more than a tenth of the units still have it and half of them live.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import vneuron as vn

sys.path.insert(0, str(Path(__file__).parent))
from small_run import VITALS, Found, Likelihood, Network, examine, series, train

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
    rounds: int = 1


def run(case: Case, seed: int = 0, name: str = "sunspots") -> tuple[Found, Found, Found]:
    """The layer before its cure, after training on without it, and after training on with it."""
    torch.manual_seed(seed)
    past, held_out = series(name)
    network = Network(case.units())
    case.prepare(network)
    likelihood = vn.Collect(Likelihood(network))
    train(likelihood, past, case.steps, case.rate, case.data_weight)
    before = examine(likelihood, held_out)
    alone = copy.deepcopy(likelihood)
    rate = case.after_rate or case.rate
    train(alone, past, case.rounds * case.after_steps, rate)
    for _ in range(case.rounds):
        case.apply(network.units)
        train(likelihood, past, case.after_steps, rate)
        after = examine(likelihood, held_out)
    return before, examine(alone, held_out), after


def named(found: Found, mode: str) -> bool:
    """Whether the layer is sick, and that mode is its commonest fault."""
    return (
        not found.ok
        and all(
            found.share(mode) >= found.share(verdict)
            for verdict in found.counts
            if vn.Verdict(verdict).fault
        )
        and found.share(mode) > 0
    )


def cured(found: Found, mode: str) -> bool:
    """Whether no more than a tenth of the units still have it, and at least half live."""
    return found.share(mode) <= 0.1 and found.share("living") >= 0.5


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


def prune_ignored(units: vn.GaussianUnits) -> None:
    """Those without use, but at most half: of redundant units each is ignored, not all are."""
    use = units.statistics.use
    vn.prune(units, use >= use.median().clamp(max=vn.vitals.Thresholds().use))


def kept_awake(network: Network) -> None:
    band = vn.EnergyBand(48, target=0.5, quantity="variance", weight=50.0, warmup=0, ramp=1)
    network.units.controls.append(band)


LAMBDA = 300.0

CASES = (
    Case(
        "exploding",
        "β = 0, no band, learning rate .1, σ fixed at 2",
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
        "no data term, loose prior N(0, 9.9²)",
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
        f"autoregressive penalty with λ = {LAMBDA:.0f}, and a band that keeps Var µ up",
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
        lambda: vn.GaussianUnits(24, FEW, beta=50.0),
        lambda units: units.controls.append(vn.KLBudget(FEW)),
        rate=0.02,
        steps=600,
    ),
    Case(
        "constant",
        "means held at their bias of 1.5, at β = 10",
        "EnergyBand on Var µ",
        lambda: vn.GaussianUnits(24, UNITS, beta=10.0, scale="per_unit"),
        lambda units: units.controls.append(
            vn.EnergyBand(UNITS, target=0.5, quantity="variance", weight=1000.0, warmup=0, ramp=1)
        ),
        prepare=bias_only,
    ),
    Case(
        "ignored",
        "48 units kept awake by a band where a few would do",
        "prune, eight times",
        lambda: vn.GaussianUnits(24, 48, beta=0.03),
        prune_ignored,
        prepare=kept_awake,
        after_steps=75,
        rounds=8,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--series", nargs="+", default=["sunspots", "elnino"])
    modes = [case.mode for case in CASES]
    parser.add_argument("--modes", nargs="+", choices=modes, default=modes)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.series:
        print(f"{name}, {len(arguments.seeds)} seeds; medians over seeds of means over units")
        for case in (case for case in CASES if case.mode in arguments.modes):
            report(case, [run(case, seed, name) for seed in arguments.seeds])


def report(case: Case, runs: list[tuple[Found, Found, Found]]) -> None:
    def count(test: Callable[[Found, str], bool], when: int) -> str:
        return f"{sum(test(found[when], case.mode) for found in runs)}/{len(runs)}"

    print(
        f"  {case.mode}: {case.cause}. Named {count(named, 0)}, still {count(named, 1)} without a "
        f"control; {case.cure}: cured {count(cured, 2)}, layer ok {count(_ok, 2)}"
    )
    for when, label in enumerate(("before", "alone", "cured")):
        states = [found[when] for found in runs]
        numbers = {name: [state.vitals[name] for state in states] for name in VITALS}
        shown = "  ".join(f"{name} {statistics.median(v):.3g}" for name, v in numbers.items())
        share = statistics.median(state.share(case.mode) for state in states)
        living = statistics.median(state.share("living") for state in states)
        nll = statistics.median(state.nll for state in states)
        print(
            f"      {label:<7} {case.mode} {share:.0%}, living {living:.0%}   {shown}  "
            f"NLL {nll:.3g}",
            flush=True,
        )


def _ok(found: Found, mode: str) -> bool:
    return found.ok


if __name__ == "__main__":
    main()
