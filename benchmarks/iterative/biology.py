"""What is said of cortex, asked of a fitted network: saturation, masks, latency, receptive fields.

    python benchmarks/iterative/biology.py DATA/natural_images/kodak_gray256.npz --seeds 0 1 2

An iterative Poisson model learns whitened patches in closed form. Its natural gradient is run as a
recurrent network (`Circuit`): whole, with what neurons say to one another cut ("self"), and with
all feedback cut ("none"). Tuned neurons (selectivity above .7, energy above .2; at most 100) see
their own grating, from rest, for 600 small steps; contrast responses and masks are also read early,
while the response still rises. Masks are orthogonal gratings, their effect the mean over four
phases, as under a mask that drifts. Medians over neurons, 95% t intervals over seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from budget import interval

from vneuron.imaging import IterativePoissonVAE, cut_patches, load_images, whiten
from vneuron.imaging.evaluation import (
    Circuit,
    contrast_response,
    fit_gratings,
    grating,
    half_rise,
    log_slope,
    mask_suppression,
    naka_rushton,
    spike_triggered_average,
)
from vneuron.imaging.portrait import atoms

CONTRASTS = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0)
MASKS = (0.25, 0.5, 1.0)
MASK_PHASES = (0.0, 0.25, 0.5, 0.75)  # of a turn
EARLY = (30, 100)
TEST_CONTRAST = 0.5
MOST = 100


def tuned(
    model: IterativePoissonVAE, side: int
) -> tuple[float, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Share of tuned neurons, some of them, their gratings and the orthogonal ones."""
    table = fit_gratings(atoms(model).reshape(-1, side, side))
    chosen = np.flatnonzero(((table["selectivity"] > 0.7) & (table["energy"] > 0.2)).to_numpy())
    share = len(chosen) / model.latents
    chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:MOST])
    own = table.loc[chosen]
    angle = torch.tensor(np.deg2rad(own["orientation"].to_numpy()))
    wave, phase = (torch.tensor(own[c].to_numpy()) for c in ("frequency", "phase"))
    preferred = grating((side, side), angle, wave, phase).flatten(1)
    across = torch.stack(
        [
            grating((side, side), angle + 0.5 * torch.pi, wave, phase + 2 * torch.pi * turn)
            for turn in MASK_PHASES
        ]
    ).flatten(2)
    return share, torch.tensor(chosen), preferred, across


def slopes(circuit: Circuit, own: torch.Tensor, neurons: torch.Tensor, steps: int) -> np.ndarray:
    """Medians over neurons of d ln r / d ln c between neighbours among the contrasts."""
    risen = contrast_response(circuit, own, neurons, CONTRASTS, steps)
    answering = np.maximum(risen[risen[:, -1] > 0.1], 1e-9)
    pairs = range(len(CONTRASTS) - 1)
    found = [log_slope(CONTRASTS[i : i + 2], answering[:, i : i + 2]) for i in pairs]
    return np.array([np.median(slope) for slope in found])


def masked(
    circuit: Circuit, own: torch.Tensor, across: torch.Tensor, neurons: torch.Tensor, steps: int
) -> np.ndarray:
    """Suppression of each neuron by masks of each contrast, the mean over the masks' phases."""
    found = [
        mask_suppression(circuit, own, mask, neurons, TEST_CONTRAST, MASKS, steps)
        for mask in across
    ]
    return np.mean(found, axis=0)


def responses(model: IterativePoissonVAE, side: int, steps: int) -> dict[str, float]:
    share, neurons, own, across = tuned(model, side)
    found: dict[str, float] = {"tuned": share}
    settled = contrast_response(Circuit(model, step=0.02), own, neurons, CONTRASTS, steps)
    answering = settled[:, -2] > 0.1  # a rate of a tenth of a spike at contrast 1
    own, across, neurons = own[answering], across[:, answering], neurons[answering]
    for lateral in ("all", "self", "none"):
        circuit = Circuit(model, lateral, step=0.02)
        for after in (*EARLY, steps):
            values = slopes(circuit, own, neurons, after)
            for low, high, slope in zip(CONTRASTS[:-1], CONTRASTS[1:], values, strict=True):
                found[f"{lateral}, step {after}: slope at {low:g} to {high:g}"] = float(slope)
            if lateral == "none":  # all else would be said of the ceiling
                continue
            by = masked(circuit, own, across, neurons, after)
            for contrast, column in zip(MASKS, by.T, strict=True):
                name = f"{lateral}, step {after}: suppression, mask {contrast}"
                found[name] = float(np.median(column))
            found[f"{lateral}, step {after}: share suppressed by 5%"] = float(
                (by[:, 1] > 0.05).mean()
            )
    halves = [naka_rushton(CONTRASTS, row).half for row in settled[answering][:40]]
    found["share with c50 within contrasts"] = float((np.array(halves) < CONTRASTS[-1]).mean())
    whole = Circuit(model, step=0.02)
    for contrast in CONTRASTS[1:]:
        rise = half_rise(whole, own, neurons, contrast, steps)
        found[f"steps to half rise at {contrast}"] = float(np.nanmedian(rise))
    return found


def white_noise(model: IterativePoissonVAE, steps: int, trials: int, seed: int) -> dict[str, float]:
    """How like a neuron's spike-triggered average is to its atom."""
    circuit = Circuit(model, step=0.1, spiking=True)
    average, spikes = spike_triggered_average(
        circuit, steps, lags=8, trials=trials, contrast=4.0, seed=seed
    )
    rows = atoms(model)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-9)
    seen = spikes >= 1000
    power = np.linalg.norm(average, axis=2)
    lag = power[seen].argmax(1)
    peak = average[seen, lag]
    peak = peak / np.linalg.norm(peak, axis=1, keepdims=True)
    return {
        "STA: neurons with 1000 spikes": float(seen.mean()),
        "STA: correlation with the atom": float(np.median((peak * rows[seen]).sum(1))),
        "STA: peak lag, steps": float(np.median(lag)),
        "STA: spikes a neuron": float(np.median(spikes)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--latents", type=int, default=512)
    parser.add_argument("--patches", type=int, default=16_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--prior-rate", type=float, default=0.005)
    parser.add_argument("--prior-shape", type=float, help="of a gamma prior; Poisson without")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--noise-steps", type=int, default=1500)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.pictures.is_file():
        print(f"skipped: no file {options.pictures}")
        return
    pictures = whiten(load_images(options.pictures))[:, 8:-8, 8:-8]
    found: dict[str, list[float]] = {}
    for seed in options.seeds:
        start = time.process_time()
        patches = cut_patches(pictures, options.patches, 16, 0.5, seed)
        model = IterativePoissonVAE(
            latents=options.latents,
            steps=30,
            beta=options.beta,
            epochs=options.epochs,
            prior_rate=options.prior_rate,
            prior_shape=options.prior_shape,
            seed=seed,
        ).fit(patches)
        fitted = time.process_time()
        values = responses(model, 16, options.steps)
        values |= white_noise(model, options.noise_steps, options.trials, seed)
        took = {"fit": round(fitted - start), "measure": round(time.process_time() - fitted)}
        print(json.dumps({"seed": seed, "cpu_seconds": took}), flush=True)
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        mean, width = interval(values)
        print(f"{name:52s} {mean:10.4f} ± {width:.4f}")


if __name__ == "__main__":
    main()
