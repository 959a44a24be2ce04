"""Units in the place of ReLU in the two examples: accuracy, and what their doubt is worth.

Doubt is judged by what it is for: telling wrong answers from right ones, and faint images from
clear ones (area under the ROC curve). It is held against the entropy of the ReLU network's own
probabilities, which costs nothing.

    python benchmarks/living/drop_in.py --seeds 0 1 2 3 4
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor

import vneuron as vn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import classifier
import convnet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name, run in (("classifier", spirals), ("convnet", bars)):
        rows = [run(seed) for seed in arguments.seeds]
        print(f"{name}: mean (sd) over {len(rows)} seeds")
        for key in rows[0]:
            values = [row[key] for row in rows]
            print(f"    {key:<44} {mean(values):.3f} ({stdev(values):.3f})")


def spirals(seed: int) -> dict[str, float]:
    found = classifier.fit(600, seed)
    return judged(found.plain, found.draws, found.label) | {"living units": living(found.health)}


def bars(seed: int) -> dict[str, float]:
    found = convnet.fit(300, seed)
    units = [doubts(draws) for draws in (found.draws, found.draws_faint)]
    plain = [entropy(p) for p in (found.plain, found.plain_faint)]
    return judged(found.plain, found.draws, found.label) | {
        "faint images, ReLU's entropy": auroc(*plain),
        "faint images, units' entropy": auroc(units[0][0], units[1][0]),
        "faint images, units' information": auroc(units[0][1], units[1][1]),
        "living units": living(found.health),
    }


def judged(plain: Tensor, draws: Tensor, label: Tensor) -> dict[str, float]:
    """Accuracy and log-likelihood, and how well each doubt tells errors of its own network."""
    p = draws.mean(0)
    wrong, wrong_plain = p.argmax(-1) != label, plain.argmax(-1) != label
    whole, information = doubts(draws)
    own = entropy(plain)
    return {
        "accuracy, ReLU": 1.0 - wrong_plain.float().mean().item(),
        "accuracy, units": 1.0 - wrong.float().mean().item(),
        "NLL, ReLU": -plain.gather(1, label[:, None]).log().mean().item(),
        "NLL, units": -p.gather(1, label[:, None]).log().mean().item(),
        "own errors, ReLU's entropy": auroc(own[~wrong_plain], own[wrong_plain]),
        "own errors, units' entropy": auroc(whole[~wrong], whole[wrong]),
        "own errors, units' information": auroc(information[~wrong], information[wrong]),
    }


def doubts(draws: Tensor) -> tuple[Tensor, Tensor]:
    """Entropy of the mean over draws, and the part of it that is between draws."""
    return entropy(draws.mean(0)), vn.categorical_information(draws)


def entropy(p: Tensor) -> Tensor:
    return -(p * p.clamp_min(1e-30).log()).sum(-1)


def auroc(low: Tensor, high: Tensor) -> float:
    """Chance that a value of `high` is above one of `low`, ties at a half."""
    if not len(low) or not len(high):
        return float("nan")
    difference = high[:, None] - low[None, :]
    return ((difference > 0).double() + 0.5 * (difference == 0)).mean().item()


def living(health: vn.Health) -> float:
    return health.counts.get("living", 0) / len(health.units)


if __name__ == "__main__":
    main()
