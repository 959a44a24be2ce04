"""Models of MNIST on images of another kind: does iteration carry over better than amortisation?

    python benchmarks/iterative/ood.py DATA --seconds 20 --seeds 0 1 2

DATA holds mnist/*.gz, omniglot/images_background_small1.zip and natural_images/kodak_gray256.npz.
Every model learns from the same MNIST digits for the same CPU seconds on one thread, at one β, with
one linear dictionary of K atoms; nothing is tuned. The error of an image is ‖x − x̂‖² / ‖x‖² with x̂
decoded from mean codes. Intervals are 95% t intervals over seeds of the difference, on the same
images, between a rival at its best number of steps (chosen on these very images, in its favour) and
the fully iterative model after the last: above 0, iteration is better.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from budget import Build, fit_for, interval

from vneuron.imaging import (
    GaussianVAE,
    IterativeAmortisedVAE,
    IterativePoissonVAE,
    PoissonVAE,
    SemiAmortisedVAE,
    cut_patches,
    load_images,
)
from vneuron.imaging.evaluation import transfer
from vneuron.imaging.streams import rotating

FULL = "fully iterative"


def family(beta: float, rate: float) -> dict[str, Build]:
    mlp = {"encoder": "mlp", "beta": beta}
    return {
        FULL: lambda **a: IterativePoissonVAE(steps=30, beta=beta, prior_rate=rate, **a),
        "iterative-amortised, guarded": lambda **a: IterativeAmortisedVAE(**mlp, **a),
        "iterative-amortised, learned": lambda **a: IterativeAmortisedVAE(
            refinement="learned", steps=8, **mlp, **a
        ),
        "semi-amortised": lambda **a: SemiAmortisedVAE(**mlp, **a),
        "amortised Poisson": lambda **a: PoissonVAE(**mlp, **a),
        "amortised Gaussian": lambda **a: GaussianVAE(**mlp, **a),
    }


def other_images(data: Path, digits: np.ndarray, count: int, seed: int) -> dict[str, np.ndarray]:
    """Sets of 28 x 28 images, grey levels from 0 to 255, bright strokes on dark ground."""
    rng = np.random.default_rng(seed)
    chosen = digits[rng.choice(len(digits), count, replace=False)]
    turned = [
        next(iter(rotating(part, 1, start=angle))).numpy()
        for part, angle in zip(np.array_split(chosen, 3), (45.0, 90.0, 135.0), strict=True)
    ]
    letters = load_images(data / "omniglot" / "images_background_small1.zip")
    letters = 255.0 - letters[rng.choice(len(letters), count, replace=False)].astype(np.float32)
    small = F.interpolate(torch.tensor(letters)[:, None], (28, 28), mode="area")[:, 0]
    small = small * (255.0 / small.amax((1, 2), keepdim=True))
    pictures = load_images(data / "natural_images" / "kodak_gray256.npz")
    return {
        "MNIST": chosen,
        "rotated MNIST": np.concatenate(turned),
        "Omniglot": small.numpy(),
        "natural patches": cut_patches(pictures, count, 28, 0.0, seed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--latents", type=int, default=256)
    parser.add_argument("--images", type=int, default=12_000, help="to learn from")
    parser.add_argument("--test-images", type=int, default=300, help="of each set")
    parser.add_argument("--seconds", type=float, default=20.0, help="CPU seconds to train each")
    parser.add_argument("--beta", type=float, default=0.07)
    parser.add_argument("--prior-rate", type=float, default=0.001)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 4, 16, 64, 256])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not (options.data / "mnist").is_dir():
        print(f"skipped: no folder {options.data / 'mnist'}")
        return
    train = load_images(options.data / "mnist" / "train-images-idx3-ubyte.gz")[: options.images]
    test = load_images(options.data / "mnist" / "t10k-images-idx3-ubyte.gz")
    models = family(options.beta, options.prior_rate)
    found: dict[tuple[str, str, int], list[float]] = {}
    for seed in options.seeds:
        sets = other_images(options.data, test, options.test_images, seed)
        for name, build in models.items():
            model, seconds, passes = fit_for(
                build, train, options.seconds, latents=options.latents, seed=seed
            )
            table = transfer(model, sets, options.steps)
            for row in table.itertuples():
                found.setdefault((name, row.set, row.step), []).append(row.error_map)
            last = table[table["step"] == max(options.steps)].set_index("set")["error_map"]
            line = {"model": name, "seed": seed, "cpu_seconds": seconds, "passes": passes}
            print(json.dumps(line | last.round(4).to_dict()), flush=True)
    for kind in sets:
        print(f"\n{kind}: error after steps (mean over seeds)")
        for name in models:
            cells = [f"{np.mean(found[name, kind, step]):.4f}" for step in options.steps]
            print(f"  {name:30s}", "  ".join(cells))
        own_steps = max(options.steps)
        for name in [name for name in models if name != FULL]:
            means = [float(np.mean(found[name, kind, s])) for s in options.steps]
            step = options.steps[int(np.argmin(means))]
            pairs = zip(found[name, kind, step], found[FULL, kind, own_steps], strict=True)
            mean, width = interval([other - own for other, own in pairs])
            held = "held" if mean - width > 0 else "refuted" if mean + width < 0 else "open"
            print(f"  against {name} after {step}: {mean:+.4f} ± {width:.4f}, {held}")


if __name__ == "__main__":
    main()
