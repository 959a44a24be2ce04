"""Rate against distortion on whitened natural patches: the family in one run, equal CPU budgets.

    python benchmarks/iterative/rate_distortion.py ../shared/data/natural_images/kodak_gray256.npz

Patches of 16 x 16: from 13 pictures to learn from, from 3 others to choose settings by, and from 4
more to score; those with less than half of the typical contrast are left out. Every fit gets the
same CPU seconds on one thread (its passes are set by a timed share of the first one). Each model's
settings are swept with the first seed; the one nearest to (R², zeros) = (1, 1) on the choosing
patches is fitted again with every seed and scored, once, on the test patches. Sampled codes after
--steps steps (amortised: one), R² over all pixels together, zeros = portion of exact zeros,
distance = √((1 − R²)² + (1 − zeros)²); "map" decodes mean codes at the samples' zeros. The
published LCA is non-negative ("LCA"); a signed one has as many atoms again at no cost in zeros.

--metabolic fits iP-VAE and rectified iG-VAE at rising β instead, with every seed, and prints zeros
and activity on the choosing patches: β is to raise zeros in the one and not in the other.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vneuron.imaging import (
    AbstractImageModel,
    GaussianVAE,
    IterativeGaussianVAE,
    IterativePoissonVAE,
    PoissonVAE,
    PredictiveCoding,
    SparseCoding,
    cut_patches,
    load_images,
    whiten,
)

Build = Callable[..., AbstractImageModel]
Settings = dict[str, Any]


def grid(**values: tuple[Any, ...]) -> list[Settings]:
    """Every combination of settings."""
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


def rectified(build: Build) -> Build:
    return lambda **a: build(activation="rectified", **a)


def heavy_tailed(**arguments: Any) -> AbstractImageModel:
    return IterativePoissonVAE(prior_shape=0.01, prior_rate=0.1, **arguments)


def nonnegative(**arguments: Any) -> AbstractImageModel:
    return SparseCoding(nonnegative=True, **arguments)


FAMILY: dict[str, tuple[Build, list[Settings]]] = {
    "iP-VAE": (
        IterativePoissonVAE,
        grid(steps=(12, 30), beta=(0.07, 0.14))
        + grid(steps=(12, 30), beta=(0.14,), fineness=(4.0,)),
    ),
    "iP-VAE, gamma prior": (
        heavy_tailed,
        grid(steps=(12, 30), beta=(0.45,)) + grid(steps=(12, 30), beta=(0.3,), fineness=(2.0,)),
    ),
    "LCA, signed": (SparseCoding, grid(steps=(30, 100), penalty=(0.6, 0.8, 1.0))),
    "LCA": (nonnegative, grid(steps=(30, 100), penalty=(0.4, 0.6, 0.8))),
    "iG-VAE, rectified": (
        rectified(IterativeGaussianVAE),
        grid(steps=(12, 30), beta=(0.02, 0.1)),
    ),
    "P-VAE": (PoissonVAE, grid(beta=(0.01, 0.05))),
    "iG-VAE": (IterativeGaussianVAE, grid(steps=(12, 30), beta=(0.1,))),
    "PC": (PredictiveCoding, grid(prior_precision=(0.02, 0.2))),
    "iPC": (PredictiveCoding, grid(incremental=(True,), prior_precision=(0.02, 0.2))),
    "G-VAE": (GaussianVAE, grid(beta=(0.01, 0.1))),
}
BETAS = (0.03, 0.1, 0.3)
METABOLIC = {
    "iP-VAE": (IterativePoissonVAE, grid(steps=(20,), beta=BETAS)),
    "iG-VAE, rectified": (
        rectified(IterativeGaussianVAE),
        grid(steps=(20,), beta=BETAS),
    ),
}


def fit_within(
    build: Build, patches: np.ndarray, seconds: float, **arguments: Any
) -> tuple[AbstractImageModel, float]:
    """A model trained for about so many CPU seconds, and how many they were."""
    share = patches[: max(1000, len(patches) // 10)]
    build(epochs=1, **arguments).fit(patches[:400])  # first imports are not training
    start = time.process_time()
    build(epochs=1, **arguments).fit(share)
    an_epoch = (time.process_time() - start) * len(patches) / len(share)
    epochs = max(1, round(seconds / an_epoch))
    if an_epoch > seconds:
        patches = patches[: int(len(patches) * seconds / an_epoch)]
    start = time.process_time()
    model = build(epochs=epochs, **arguments).fit(patches)
    return model, round(time.process_time() - start, 1)


def measure(model: AbstractImageModel, patches: np.ndarray, steps: int) -> dict[str, float]:
    row = model.score_table(patches, steps=(steps,)).iloc[-1]
    found = {
        column: float(row[column])
        for column in ("r2_pooled", "r2_pooled_map", "zeros", "distance", "activity")
    }
    found["distance_map"] = float(np.hypot(1.0 - row["r2_pooled_map"], 1.0 - row["zeros"]))
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--patches", type=int, default=20_000)
    parser.add_argument("--scored-patches", type=int, default=400)
    parser.add_argument("--latents", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=15.0, help="CPU seconds of each fit")
    parser.add_argument("--steps", type=int, default=200, help="of inference when scoring")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=list(FAMILY), choices=list(FAMILY))
    parser.add_argument("--metabolic", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.pictures.is_file():
        print(f"skipped: no file {options.pictures}")
        return
    pictures = whiten(load_images(options.pictures))
    train = cut_patches(pictures[:13], options.patches, 16, 0.5, 0)
    choosing = cut_patches(pictures[13:16], options.scored_patches, 16, 0.5, 1)
    test = cut_patches(pictures[16:], options.scored_patches, 16, 0.5, 2)

    def fit(build: Build, settings: Settings, seed: int) -> tuple[AbstractImageModel, float]:
        shared = {"latents": options.latents, "seed": seed}
        return fit_within(build, train, options.seconds, **shared, **settings)

    if options.metabolic:
        for name, (build, sweep) in METABOLIC.items():
            for settings, seed in itertools.product(sweep, options.seeds):
                model, _ = fit(build, settings, seed)
                found = measure(model, choosing, options.steps)
                print(json.dumps({"model": name, "seed": seed} | settings | found), flush=True)
        return
    table = []
    for name in options.models:
        build, sweep = FAMILY[name]
        distances = []
        for settings in sweep:
            model, seconds = fit(build, settings, options.seeds[0])
            found = measure(model, choosing, options.steps)
            distances.append(found["distance"])
            line = {"model": name, "chosen on": "choosing"} | settings | found
            print(json.dumps(line | {"cpu_seconds": seconds}), flush=True)
        best = sweep[int(np.argmin(distances))]
        scores = []
        for seed in options.seeds:
            model, seconds = fit(build, best, seed)
            scores.append(measure(model, test, options.steps))
            line = {"model": name, "scored on": "test", "seed": seed} | best | scores[-1]
            print(json.dumps(line | {"cpu_seconds": seconds}), flush=True)
        table.append((name, best, distances, scores))
    print(f"\n{'model':20s} distance (sd)   R²    zeros  map   sweep's mean  settings")
    for name, best, distances, scores in sorted(
        table, key=lambda row: np.mean([s["distance"] for s in row[3]])
    ):
        mean = {k: np.mean([s[k] for s in scores]) for k in scores[0]}
        spread = np.std([s["distance"] for s in scores], ddof=1) if len(scores) > 1 else np.nan
        print(
            f"{name:20s} {mean['distance']:.3f} ({spread:.3f})  {mean['r2_pooled']:.3f}  "
            f"{mean['zeros']:.3f}  {mean['distance_map']:.3f}  {np.mean(distances):.3f}  {best}"
        )


if __name__ == "__main__":
    main()
