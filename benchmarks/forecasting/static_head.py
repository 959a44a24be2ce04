"""What units add beyond a static low-rank head, and how much of it is speed of learning.

Units and a static head of equal rank, the same data, budget and seeds, over learning rates of the
loading W. "frozen" is the rise of the units' joint NLL when what they take from the window is
taken away (scales and means at their averages): what their dynamics are worth.

    python benchmarks/forecasting/static_head.py DATA --train-size 5311 --val-size 760
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import Contender, build_network
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.material import Material, prepare
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.task import TrajectoryTask
from vneuron.training.loop import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--input-size", type=int, default=336)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--val-size", type=int)
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 3.0, 10.0, 30.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--encoder", default="linear", help="linear, mlp or auto")
    parser.add_argument("--beta", type=float, default=1.0)
    parser.add_argument(
        "--fixed-scale", action="store_true", help="keep the static head's scales at one"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    panel = read_table(arguments.data, missing="interpolate", duplicates="first").panel
    rows = []
    for seed in arguments.seeds:
        config = ForecasterConfig(
            arguments.horizon,
            arguments.input_size,
            encoder=arguments.encoder,
            second="none",
            beta=arguments.beta,
            seed=seed,
        )
        sizes = {"train_size": arguments.train_size, "val_size": arguments.val_size}
        material = prepare(panel, config, **sizes)
        for rate in arguments.rates:
            found = compare(material, material.config, rate, arguments.fixed_scale)
            rows.append({"seed": seed, "rate of W": rate, **found})
            print(rows[-1], flush=True)
    frame = pd.DataFrame(rows).drop(columns="seed").groupby("rate of W").agg(["mean", "std"])
    print("\nvalidation joint NLL, nats per step")
    print(frame.round(4).to_string())


def compare(
    material: Material, config: ForecasterConfig, rate: float, fixed_scale: bool
) -> dict[str, float]:
    units, network = fit("EVE", material, config, rate)
    static, _ = fit("lowrank", material, config, rate, fixed_scale)
    return {
        "units": units,
        "static": static,
        "gain": static - units,
        "frozen": frozen_rise(network, material),
    }


def fit(
    contender: Contender,
    material: Material,
    config: ForecasterConfig,
    rate: float,
    fixed_scale: bool = False,
) -> tuple[float, TrajectoryNetwork]:
    data = material.trial_data
    network = build_network(contender, config, data.location, data.mask_inputs, data.surroundings)
    assert isinstance(network, TrajectoryNetwork)
    if fixed_scale and network.static_scale is not None:
        network.static_scale.requires_grad_(False)
    task = TrajectoryTask(network, material.train, material.validation, loading_rate=rate)
    outcome = Trainer(config.training(quiet=True)).fit(task)
    return outcome.best_score, network.eval()


@torch.no_grad()
def frozen_rise(network: TrajectoryNetwork, material: Material) -> float:
    """Mean rise over validation windows, per step, with all units frozen at once."""
    batches = list(material.validation.batches(2048))
    scales = torch.cat([scale_of(network, batch) for batch in batches])
    average = scales.log().mean(0).exp()
    rise, windows = 0.0, 0
    for batch in batches:
        path = network(*batch.inputs)
        still = replace(path, unit_scale=average)
        rise += float((still.joint_nll(batch.target) - path.joint_nll(batch.target)).sum())
        windows += len(batch.target)
    return rise / windows / material.validation.horizon


def scale_of(network: TrajectoryNetwork, batch: WindowBatch) -> Tensor:
    latent = network.read(*batch.inputs).latent
    assert latent is not None
    return latent.scale.flatten(1)


if __name__ == "__main__":
    main()
