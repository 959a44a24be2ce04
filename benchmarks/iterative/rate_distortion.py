"""Rate against distortion on whitened natural patches: the family in one run, equal CPU budgets.

    python benchmarks/iterative/rate_distortion.py ../shared/data/natural_images/kodak_gray256.npz

Patches of 16 x 16 from 16 pictures to learn from, from 4 others to score; those with less than half
of the typical contrast are left out. Every model trains for the same CPU seconds on one thread (its
epochs are set by a timed first epoch). Sampled codes after 200 steps (amortised: one), R² over all
pixels together, zeros = portion of exact zeros, distance = √((1 − R²)² + (1 − zeros)²).
"""

from __future__ import annotations

import argparse
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

FAMILY: dict[str, tuple[Build, str, tuple[float, ...]]] = {
    "iP-VAE": (lambda **a: IterativePoissonVAE(steps=30, **a), "beta", (0.05, 0.1, 0.2)),
    "iP-VAE, learned prior": (
        lambda **a: IterativePoissonVAE(steps=30, prior_rate=None, **a),
        "beta",
        (0.1, 0.3),
    ),
    "iG-VAE, rectified": (
        lambda **a: IterativeGaussianVAE(steps=30, activation="rectified", **a),
        "beta",
        (0.1, 0.5),
    ),
    "iG-VAE": (lambda **a: IterativeGaussianVAE(steps=30, **a), "beta", (0.1, 0.5)),
    "LCA": (lambda **a: SparseCoding(**a), "penalty", (0.25, 0.5, 1.0)),
    "PC": (lambda **a: PredictiveCoding(**a), "prior_precision", (0.1,)),
    "iPC": (lambda **a: PredictiveCoding(incremental=True, **a), "prior_precision", (0.1,)),
    "P-VAE": (lambda **a: PoissonVAE(**a), "beta", (0.01, 0.1)),
    "G-VAE, rectified": (
        lambda **a: GaussianVAE(activation="rectified", **a),
        "beta",
        (0.01, 0.1),
    ),
    "G-VAE": (lambda **a: GaussianVAE(**a), "beta", (0.01, 0.1)),
}


def fit_within(build: Build, patches: np.ndarray, seconds: float, **arguments: Any) -> Any:
    """A model trained for about so many CPU seconds, and how many they were."""
    share = patches[: max(2000, len(patches) // 10)]
    build(epochs=1, **arguments).fit(patches[:400])  # first imports are not training
    start = time.process_time()
    build(epochs=1, **arguments).fit(share)
    an_epoch = (time.process_time() - start) * len(patches) / len(share)
    epochs = max(1, round(seconds / an_epoch))
    if an_epoch > seconds:
        patches = patches[: int(len(patches) * seconds / an_epoch)]
    start = time.process_time()
    model = build(epochs=epochs, **arguments).fit(patches)
    return model, round(time.process_time() - start, 1), epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--patches", type=int, default=40_000)
    parser.add_argument("--test-patches", type=int, default=500)
    parser.add_argument("--latents", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=30.0, help="CPU seconds to train each")
    parser.add_argument("--steps", type=int, default=200, help="of inference when scoring")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", default=list(FAMILY), choices=list(FAMILY))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.pictures.is_file():
        print(f"skipped: no file {options.pictures}")
        return
    pictures = whiten(load_images(options.pictures))
    best: dict[str, list[float]] = {}
    for seed in options.seeds:
        train = cut_patches(pictures[:16], options.patches, 16, 0.5, seed)
        test = cut_patches(pictures[16:], options.test_patches, 16, 0.5, seed)
        for name in options.models:
            build, argument, values = FAMILY[name]
            distances = []
            for value in values:
                model, seconds, epochs = fit_within(
                    build,
                    train,
                    options.seconds,
                    **{argument: value, "latents": options.latents, "seed": seed},
                )
                row = model.score_table(test, steps=(options.steps,)).iloc[-1]
                distances.append(float(row["distance"]))
                line = {"model": name, argument: value, "seed": seed}
                line |= {"cpu_seconds": seconds, "epochs": epochs}
                line |= {
                    column: round(float(row[column]), 3)
                    for column in ("r2_pooled", "r2_pooled_map", "zeros", "distance", "activity")
                }
                print(json.dumps(line), flush=True)
            best.setdefault(name, []).append(min(distances))
    for name, found in sorted(best.items(), key=lambda item: np.mean(item[1])):
        print(f"{name:24s} best distance {np.mean(found):.3f} ± {np.std(found):.3f}")


if __name__ == "__main__":
    main()
