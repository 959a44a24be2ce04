"""Speed, memory and gradients against the published code, in one run on one thread.

    git clone https://github.com/hadivafaii/IterativeVAE ~/IterativeVAE
    python benchmarks/iterative/speed.py ~/IterativeVAE

Batch 200, 256 pixels, 512 latents, 16 steps. Both sides start from the same dictionary, noise, gain
and prior, see the same patches, and use torch's Adamax. Rounds alternate between the two; what is
printed are medians of CPU seconds, and of the ratio within a round. "quiet" is the published start;
in "busy" rates are those of a dictionary at work. Skipped where there is no checkout.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vneuron.inference import InferenceOptions, IterativePoisson, LinearDecoder

sys.path.insert(0, str(Path(__file__).parent))
from reference import build, load

BATCH, FEATURES, LATENTS, STEPS, BETA = 200, 256, 512, 16, 24.0
REGIMES = {"quiet": (1e-4, -5.0, 0.0), "busy": (0.05, -2.5, -1.0)}


def pair(reference: Any, regime: str, compat: bool = False) -> tuple[Any, IterativePoisson]:
    """Their model and ours with the same parameters."""
    scale, prior, log_gain = REGIMES[regime]
    theirs = build(reference, "poisson", latents=LATENTS, steps=STEPS, beta=BETA)
    ours = IterativePoisson(
        LinearDecoder(LATENTS, FEATURES), InferenceOptions(reference_compat=compat)
    )
    layer = theirs.layer
    torch.manual_seed(0)
    with torch.no_grad():
        layer.phi.weight.normal_(0.0, scale)
        layer.u_init[0].fill_(prior).add_(0.5 * torch.randn(LATENTS))
        layer.log_lr[0].fill_(log_gain)
        ours.decoder.dictionary.copy_(layer.phi.weight)
        ours.log_prior.copy_(layer.u_init[0][0])
        ours.log_gain.fill_(log_gain)
    return theirs, ours


def their_loss(model: Any, x: Tensor, temperature: float) -> Tensor:
    model.update_temp(temperature)
    total = torch.zeros(())
    for step in range(STEPS):
        model.update_time(step)
        output = model(x)
        kl = output["loss_kl"].sum(-1)
        total = total + (output["loss_recon"] + BETA * kl).mean()
    return total / STEPS


def our_loss(model: IterativePoisson, x: Tensor, temperature: float) -> Tensor:
    constants = model.constants()
    state = model.init_state(len(x), temperature, constants)
    total = torch.zeros(())
    for _ in range(STEPS):
        before, state = state, model.step(state, x, temperature, constants)
        terms = model.terms(before, state, x, constants)
        total = total + (terms.nll + BETA * terms.kl.sum(-1)).mean()
    return total / STEPS


def updater(
    model: Any, loss: Callable[[Any, Tensor, float], Tensor], x: Tensor, temperature: float
) -> Callable[[], None]:
    optimizer = torch.optim.Adamax(model.parameters(), lr=1e-6)  # the regime is to stay

    def update() -> None:
        optimizer.zero_grad()
        loss(model, x, temperature).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 300.0)
        optimizer.step()
        if hasattr(model, "detach_inference_state"):
            model.detach_inference_state()

    return update


def compare(theirs: Callable[[], None], ours: Callable[[], None], rounds: int) -> dict[str, float]:
    """Medians of CPU milliseconds of both, and of their ratio within a round."""
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    for work in (theirs, ours):
        work()
    for _ in range(rounds):
        for name, work in (("theirs", theirs), ("ours", ours)):
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
    medians = {f"{name}_ms": 1e3 * statistics.median(times) for name, times in seconds.items()}
    return {k: round(v, 2) for k, v in (medians | {"ratio": statistics.median(ratios)}).items()}


@torch.no_grad()
def hard_steps(
    reference: Any, regime: str, x: Tensor, rounds: int, steps: int = 100
) -> dict[str, Any]:
    """Steps with whole counts, from the prior on; losses are not computed on either side."""
    theirs, ours = pair(reference, regime)
    zeros = {}

    def their_steps() -> None:
        theirs.reset_inference_state(len(x))
        for step in range(steps):
            theirs.update_time(max(step, 1))
            theirs.layer(x, temp=0.0)
            theirs.layer.generate(temp=0.0)
        zeros["theirs"] = float((theirs.layer.samples == 0).float().mean())

    def our_steps() -> None:
        constants = ours.constants()
        state = ours.init_state(len(x), 0.0, constants)
        for _ in range(steps):
            state = ours.step(state, x, 0.0, constants)
        zeros["ours"] = float((state.spikes == 0).float().mean())

    found: dict[str, Any] = compare(their_steps, our_steps, rounds)
    for name in ("theirs", "ours"):
        found[f"{name}_ms"] = round(found[f"{name}_ms"] / steps, 3)
        found[f"{name}_zeros"] = round(zeros[name], 3)
    return found


def gradients(reference: Any, x: Tensor, draws: int) -> dict[str, float]:
    """Gradients of all parameters over many draws: how far apart in standard errors, 1 if equal."""
    theirs, ours = pair(reference, "busy", compat=True)
    with torch.no_grad():  # below the number of events at which theirs cuts a count off
        theirs.layer.n_exp.fill_(40)
    names = {
        "dictionary": (theirs.layer.phi.weight, ours.decoder.dictionary),
        "noise": (theirs.layer.dec_log_sigma, ours.raw_log_sigma),
        "leak": (theirs.layer.log_bias, ours.log_leak),
        "gain": (theirs.layer.log_lr[0], ours.log_gain),
        "prior": (theirs.layer.u_init[0], ours.log_prior),
    }
    sums = {name: torch.zeros(4, p[1].numel(), dtype=torch.float64) for name, p in names.items()}
    for _ in range(draws):
        for side, (model, loss) in enumerate(((theirs, their_loss), (ours, our_loss))):
            model.zero_grad()
            if side == 0:
                model.reset_inference_state(len(x))
            loss(model, x, 0.3).backward()
            for name, parameters in names.items():
                gradient = parameters[side].grad.flatten().double()
                sums[name][2 * side] += gradient
                sums[name][2 * side + 1] += gradient.square()
    result = {}
    for name, total in sums.items():
        mean = total / draws
        variance = (mean[1] - mean[0] ** 2 + mean[3] - mean[2] ** 2) / (draws - 1)
        score = (mean[0] - mean[2]) / variance.sqrt().clamp_min(1e-30)
        result[name] = round(float(score.square().mean().sqrt()), 3)
    return result


def memory(checkout: Path, side: str, temperature: float) -> float:
    """Peak resident memory of updates in a fresh process, above that before them, in MiB."""
    command = [sys.executable, __file__, str(checkout), "--peak", side, str(temperature)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def peak(checkout: Path, side: str, temperature: float) -> None:
    theirs, ours = pair(load(checkout), "busy")
    x = torch.randn(BATCH, FEATURES)
    model, loss = {"theirs": (theirs, their_loss), "ours": (ours, our_loss)}[side]
    update = updater(model, loss, x, temperature)
    # Linux keeps the highest resident size; 5 sets it back to the present one.
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    for _ in range(3):
        update()
    print((resident("VmHWM") - before) / 1024)


def resident(field: str) -> int:
    """A memory figure of this process in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="of hadivafaii/IterativeVAE")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (options.checkout / "main" / "layers.py").is_file():
        print(f"skipped: {options.checkout} is no checkout of hadivafaii/IterativeVAE")
        return
    torch.set_num_threads(1)
    if options.peak:
        peak(options.checkout, options.peak[0], float(options.peak[1]))
        return
    reference = load(options.checkout)
    x = torch.randn(BATCH, FEATURES)
    for regime in REGIMES:
        for temperature in (1.0, 0.5, 0.05):
            theirs, ours = pair(reference, regime)
            found = compare(
                updater(theirs, their_loss, x, temperature),
                updater(ours, our_loss, x, temperature),
                options.rounds,
            )
            line = {"update": regime, "temperature": temperature} | found
            print(json.dumps(line), flush=True)
        print(json.dumps({"hard_step": regime} | hard_steps(reference, regime, x, options.rounds)))
    peaks = {side: round(memory(options.checkout, side, 0.5)) for side in ("theirs", "ours")}
    print(json.dumps({"peak_mib": peaks, "share": round(peaks["ours"] / peaks["theirs"], 3)}))
    apart = gradients(reference, x[:20], options.draws)
    print(json.dumps({"gradients_apart_in_standard_errors": apart}))


if __name__ == "__main__":
    main()
