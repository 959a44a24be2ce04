"""MNIST by iterative Poisson inference: R², zeros, and a linear probe on the codes.

    python benchmarks/iterative/mnist.py ../shared/data/mnist --seed 0
    python benchmarks/iterative/mnist.py ../shared/data/mnist --seed 0 --held-out 400

CPU seconds of one thread. Scores are on test images, after the stated number of steps; "sampled"
codes are whole counts. The probe is scikit-learn's logistic regression on mean codes, its penalty
chosen on the last tenth of the training codes. With
--held-out the first so many training images are left out of the fit and scored in place of the test
images, which are not read, and nothing is probed: this is how the defaults were chosen.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from vneuron.imaging import IterativeGaussianVAE, IterativePoissonVAE, load_images
from vneuron.imaging.evaluation import linear_probe, score_steps

FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}

STRENGTHS = (0.003, 0.01, 0.1, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=["poisson", "gaussian", "rectified"], default="poisson")
    parser.add_argument("--latents", type=int, default=512)
    parser.add_argument("--steps", type=int, default=128, help="T, in training")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--beta", type=float, default=0.5)
    parser.add_argument("--prior-rate", type=float, default=0.1)
    parser.add_argument("--prior-shape", type=float, default=0.01, help="0: a Poisson prior")
    parser.add_argument("--fineness", type=float, default=1.0)
    parser.add_argument("--train-images", type=int, default=30_000, help="the last so many")
    parser.add_argument("--held-out", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument("--test-steps", type=int, nargs="+", default=[16, 128, 1000])
    parser.add_argument("--test-images", type=int, default=500)
    parser.add_argument("--probe-images", type=int, default=30_000)
    parser.add_argument("--probe-steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.folder.is_dir():
        print(f"skipped: no folder {options.folder} with MNIST's idx files")
        return
    splits = ["train"] if options.held_out else list(FILES)
    data = {
        split: [load_images(options.folder / name) for name in FILES[split]] for split in splits
    }
    images, labels = data["train"]
    scored = images[: options.held_out] if options.held_out else data["test"][0]
    fitted = images[options.held_out :]
    fitted = fitted[-options.train_images :]
    arguments = {
        "latents": options.latents,
        "steps": options.steps,
        "beta": options.beta,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "seed": options.seed,
        "quiet": False,
    }
    if options.model == "poisson":
        model: IterativePoissonVAE | IterativeGaussianVAE = IterativePoissonVAE(
            **arguments,
            prior_rate=options.prior_rate,
            prior_shape=options.prior_shape or None,
            fineness=options.fineness,
        )
    else:
        activation = "identity" if options.model == "gaussian" else "rectified"
        model = IterativeGaussianVAE(**arguments, activation=activation)
    start = time.process_time()
    model.fit(fitted)
    print(
        json.dumps({"fit": model.get_params(), "cpu_seconds": round(time.process_time() - start)})
    )
    if options.save:
        model.save(options.save)
    start = time.process_time()
    table = score_steps(model, scored[: options.test_images], options.test_steps)
    print(table.round(4).to_string(index=False))
    print(json.dumps({"score_cpu_seconds": round(time.process_time() - start)}))
    if options.probe_images == 0 or options.held_out:
        return
    codes = [
        model.transform(part, steps=options.probe_steps, kind="mean")
        for part in (images[: options.probe_images], data["test"][0])
    ]
    start = time.process_time()
    known = labels[: options.probe_images]
    accuracy = linear_probe(codes[0], known, codes[1], data["test"][1], strengths=STRENGTHS)
    seconds = round(time.process_time() - start)
    print(json.dumps({"probe_accuracy": accuracy, "cpu_seconds": seconds}))


if __name__ == "__main__":
    main()
