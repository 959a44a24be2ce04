"""What codes cost: bits per pixel at equal R², synaptic events, and a decoder that skips zeros.

    python benchmarks/iterative/codes.py DATA/natural_images/kodak_gray256.npz --seeds 0 1 2

Whitened patches of 16 x 16; each model learns for the same CPU seconds on one thread. Points come
from one dictionary each, with codes inferred at several prices (amortised models: several fits).
Counts are coded as they are; codes that are not whole are rounded to a grid of several widths. Bits
are the ideal length under the counts' frequencies in codes of training patches. Bits at an R² are
read off the lower hull of a model's points. Decoders are timed in pairs, on the same codes.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from budget import fit_for, interval

from vneuron.imaging import (
    AbstractImageModel,
    IterativeGaussianVAE,
    IterativePoissonVAE,
    PoissonVAE,
    SparseCoding,
    cut_patches,
    load_images,
    whiten,
)
from vneuron.imaging.codes import code_cost, count_model
from vneuron.imaging.events import EventDecoder, pack

STEPS = 100
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
Point = tuple[float, float]


def r_squared(images: np.ndarray, found: np.ndarray) -> float:
    rows = images.reshape(len(images), -1)
    spread = ((rows - rows.mean(1, keepdims=True)) ** 2).sum()
    return float(1 - ((rows - found.reshape(rows.shape)) ** 2).sum() / spread)


def unsigned(values: np.ndarray) -> np.ndarray:
    """0, −1, 1, −2, 2, ... as 0, 1, 2, 3, 4, ..."""
    return np.where(values < 0, -2 * values - 1, 2 * values)


def counted(model: AbstractImageModel, train: np.ndarray, test: np.ndarray) -> Iterator[Point]:
    """Bits per pixel and R² of whole counts."""
    codes = model.transform(test, steps=STEPS)
    bits = code_cost(codes, count_model(model.transform(train, steps=STEPS)), test[0].size)
    yield bits.bits_per_pixel, r_squared(test, model.inverse_transform(codes))


def rounded(model: AbstractImageModel, train: np.ndarray, test: np.ndarray) -> Iterator[Point]:
    """The same of mean codes, on grids of several widths."""
    fitted, other = (model.transform(x, steps=STEPS, kind="mean") for x in (train, test))
    typical = float(np.sqrt((fitted**2).mean()))
    for width in WIDTHS:
        grid = width * typical
        whole = [np.rint(codes / grid).astype(np.int64) for codes in (fitted, other)]
        bits = code_cost(unsigned(whole[1]), count_model(unsigned(whole[0])), test[0].size)
        yield bits.bits_per_pixel, r_squared(test, model.inverse_transform(whole[1] * grid))


def at(points: list[Point], target: float) -> float:
    """Least bits per pixel for an R², between points linearly; NaN beyond them."""
    best = [
        a[0] + (b[0] - a[0]) * (target - a[1]) / (b[1] - a[1])
        for a in points
        for b in points
        if a[1] <= target <= b[1] and a[1] < b[1]
    ]
    return min(best, default=float("nan"))


def priced(model: AbstractImageModel, name: str) -> Iterator[AbstractImageModel]:
    own = getattr(model, name)
    for factor in FACTORS:
        other = copy.copy(model)
        setattr(other, name, factor * own)
        yield other


def time_decoders(codes: np.ndarray, model: AbstractImageModel, pairs: int) -> dict[str, Any]:
    """Medians of CPU-time ratios, dense over sparse, for batches of several sizes."""
    decoder = EventDecoder(model)
    dictionary = decoder.atoms.T.contiguous()
    facts: dict[str, Any] = {"zeros": round(float((codes == 0).mean()), 3)}
    for batch in (1, 200, len(codes)):
        z = torch.tensor(codes[:batch], dtype=torch.float32)
        events = pack(z)
        repeats = max(1, 2000 // batch)

        def dense(z: torch.Tensor = z) -> Any:
            return F.linear(z, dictionary)

        def sparse(events: Any = events) -> Any:
            return decoder(events)

        def packed(z: torch.Tensor = z) -> Any:
            return decoder(pack(z))

        torch.testing.assert_close(sparse().flatten(1), dense(), rtol=1e-3, atol=1e-3)
        for name, ours in (("from events", sparse), ("packing too", packed)):
            ratios = [_spent(dense, repeats) / _spent(ours, repeats) for _ in range(pairs)]
            low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
            facts[f"batch {batch}, {name}"] = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    return facts


def _spent(do: Callable[[], Any], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        do()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--patches", type=int, default=16_000)
    parser.add_argument("--test-patches", type=int, default=500)
    parser.add_argument("--latents", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=20.0, help="CPU seconds to train each")
    parser.add_argument("--r2", type=float, nargs="+", default=[0.5, 0.6, 0.7, 0.8])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.pictures.is_file():
        print(f"skipped: no file {options.pictures}")
        return
    pictures = whiten(load_images(options.pictures))[:, 8:-8, 8:-8]
    bits: dict[str, dict[float, list[float]]] = {}
    for seed in options.seeds:
        train = cut_patches(pictures[:16], options.patches, 16, 0.5, seed)
        test = cut_patches(pictures[16:], options.test_patches, 16, 0.5, seed)
        known = train[:2000]
        shared = {"latents": options.latents, "seed": seed}

        def fit(build: Any, seed: int = seed, train: Any = train, shared: Any = shared) -> Any:
            model, seconds, passes = fit_for(build, train, options.seconds, **shared)
            line = {"model": type(model).__name__, "seed": seed, "cpu_seconds": seconds}
            print(json.dumps(line | {"passes": passes}), flush=True)
            return model

        poisson = fit(lambda **a: IterativePoissonVAE(steps=30, beta=0.1, **a))
        rectified = fit(
            lambda **a: IterativeGaussianVAE(steps=30, beta=0.1, activation="rectified", **a)
        )
        lca = fit(lambda **a: SparseCoding(penalty=0.5, **a))
        amortised = [fit(lambda b=b, **a: PoissonVAE(beta=b, **a)) for b in (0.01, 0.1)]
        points = {
            "iP-VAE, counts": [p for m in priced(poisson, "beta") for p in counted(m, known, test)],
            "iP-VAE, rates rounded": [
                p for m in priced(poisson, "beta") for p in rounded(m, known, test)
            ],
            "iG-VAE rectified, rounded": [
                p for m in priced(rectified, "beta") for p in rounded(m, known, test)
            ],
            "LCA, rounded": [p for m in priced(lca, "penalty") for p in rounded(m, known, test)],
            "P-VAE, counts": [p for m in amortised for p in counted(m, known, test)],
        }
        for name, found in points.items():
            for target in options.r2:
                per_target = bits.setdefault(name, {}).setdefault(target, [])
                per_target.append(at([*found, (0.0, 0.0)], target))
        codes = poisson.transform(np.concatenate([test, train[:500]]), steps=STEPS)
        cost = code_cost(codes, count_model(codes), 256)
        work = {"spikes": cost.spikes, "active": cost.active, "events": cost.events}
        work |= {"gathers": cost.gathers, "dense": cost.dense, "ratio": cost.dense / cost.gathers}
        print(json.dumps({k: round(v, 1) for k, v in work.items()}))
        print(json.dumps(time_decoders(codes, poisson, options.pairs)), flush=True)
    print("\nbits per pixel at R² of", options.r2)
    for name, found in bits.items():
        cells = [f"{m:.3f} ± {w:.3f}" for m, w in (interval(found[t]) for t in options.r2)]
        print(f"  {name:28s}", "  ".join(cells))


if __name__ == "__main__":
    main()
