"""What vitals tell of the rest of a trial: the pruner's weights, and whether they are worth it.

    python benchmarks/autopilot/calibrate.py runs/autopilot/pool

For every epoch of every curve of the pool (`pool.py`): what the best score to come still gained,
over what the last epoch's gain would bring if it went on. A 90% quantile regression of that ratio
on a constant and the share of epochs done (the validation curve alone) is compared with one that
reads the vitals too, by its pinball loss on sets that it was not fitted on. Prints the weights
fitted on all sets, which `vneuron.autopilot.pruner.FACTORS` holds, and writes those fitted without
each set to weights.json, for comparisons on that set.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from vneuron.autopilot.pruner import expected_rest, factor_inputs
from vneuron.training.atomic import write_atomic

QUANTILE = 0.9
LITTLE = 0.01
"""Nats per step."""
CURVE = ("one", "done")
VITALS = (*CURVE, "out_of_band", "active", "kl_trend")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("pool", type=Path)
    folder = options.parse_args().pool
    sets = {path.stem: moments(path) for path in sorted(folder.glob("*.parquet"))}
    print("trials and moments: " + ", ".join(f"{n} {len(f)}" for n, f in sets.items()))
    left_out = {}
    rows = []
    for name, held_out in sets.items():
        others = pd.concat([frame for other, frame in sets.items() if other != name])
        row = {"fitted without": name}
        for label, inputs in (("curve", CURVE), ("vitals", VITALS)):
            weights = fitted(others, inputs)
            row[label] = loss(held_out, weights)
            row[f"{label} covers"] = covered(held_out, weights)
            if label == "vitals":
                left_out[name] = weights
            else:
                left_out[f"{name}/curve"] = weights
        rows.append(row)
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.4f"))
    everything = pd.concat(sets.values())
    for label, inputs in (("curve alone", CURVE), ("with vitals", VITALS)):
        weights = fitted(everything, inputs)
        print(label, {name: round(value, 3) for name, value in weights.items()})
    left_out["all"] = weights
    write_atomic(folder / "weights.json", json.dumps(left_out, indent=1).encode())


def moments(path: Path) -> pd.DataFrame:
    """A row for each epoch from the second to the last but one."""
    rows = []
    for trial in pd.read_parquet(path).to_dict("records"):
        epochs = json.loads(trial["epochs"])
        scores = [epoch["score"] for epoch in epochs]
        for seen in range(2, len(epochs)):
            granted = expected_rest(epochs[:seen], len(epochs))
            gained = min(scores[:seen]) - min(scores)
            inputs = factor_inputs(epochs[:seen], len(epochs))
            rows.append({**inputs, "granted": granted, "gained": gained})
    return pd.DataFrame(rows)


def fitted(frame: pd.DataFrame, inputs: tuple[str, ...]) -> dict[str, float]:
    """Quantile regression of gained over granted on the inputs, by linear programming.

    A ratio, so that a few trials that fall by tens of nats do not decide alone; where less than
    `LITTLE` is granted, in units of that.
    """
    scale = np.maximum(frame["granted"].to_numpy(), LITTLE)
    x = frame[list(inputs)].to_numpy() * (frame["granted"].to_numpy() / scale)[:, None]
    y = frame["gained"].to_numpy() / scale
    count, width = x.shape
    cost = np.concatenate(
        [np.zeros(width), np.full(count, QUANTILE), np.full(count, 1.0 - QUANTILE)]
    )
    equal = np.hstack([x, np.eye(count), -np.eye(count)])
    bounds = [(None, None)] * width + [(0, None)] * (2 * count)
    found = linprog(cost, A_eq=equal, b_eq=y, bounds=bounds, method="highs")
    return dict(zip(inputs, found.x[:width].tolist(), strict=True))


def bound(frame: pd.DataFrame, weights: dict[str, float]) -> np.ndarray:
    factor = sum(weight * frame[name].to_numpy() for name, weight in weights.items())
    return np.maximum(factor, 0.0) * frame["granted"].to_numpy()


def loss(frame: pd.DataFrame, weights: dict[str, float]) -> float:
    """Mean pinball loss, in shares of what was granted."""
    scale = np.maximum(frame["granted"].to_numpy(), LITTLE)
    over = (frame["gained"].to_numpy() - bound(frame, weights)) / scale
    return float(np.maximum(QUANTILE * over, (QUANTILE - 1.0) * over).mean())


def covered(frame: pd.DataFrame, weights: dict[str, float]) -> float:
    """How often the bound holds; 0.9 is meant."""
    return float((frame["gained"].to_numpy() <= bound(frame, weights) + 1e-12).mean())


if __name__ == "__main__":
    main()
