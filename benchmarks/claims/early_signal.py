"""Study (c): does the share of units out of band early in training foretell the test error?

Random configurations from the papers' search space (their AutoPilot's), each trained once. After
10% and 25% of the run the share of units out of the band is noted, and the validation loss beside
it; at the end the test error of the weights that validation chose. Mode (free, projection,
homeostasis) and the autoregressive penalty are drawn too. `trajectory` takes the same draws, but
its network learns φ and τ, so that these two are drawn for `reference` alone; and since a step of
it goes with the cube of N · k, a layer has fewer units where N · k would be above 128 (a run of
N · k = 512 takes 800 CPU-seconds).

    python benchmarks/claims/early_signal.py DATA_FOLDER --configurations 40
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from study.data_sets import DATA_SETS, FOUR
from study.fits import Caps, Row, Setting, band_shares, fitted
from study.rows import Study, parser

import vneuron as vn
from vneuron.core import AbstractUnit
from vneuron.forecasting.model import FittedModel
from vneuron.functional.gaussian import unbounded_scale
from vneuron.training.record import EpochRecord

CAPS = Caps(epochs=20, steps=8, batch=48, test=256, use=8)
EARLY = {"10": 2, "25": 5}
"""Epochs after which 10% and 25% of the run are over."""

MODES = ("free", "projection", "homeostasis")
STEP_BETA, STEP_BETA_MIN = 1e-3, 1e-6
UNITS, MOST = 32, 128
"""Units of `trajectory`, and the most of units times k."""


def draw(number: int) -> dict[str, Any]:
    """Configuration `number` of the papers' space, the same for every data set."""
    random = np.random.default_rng((20260218, number))

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(random.uniform(math.log(low), math.log(high))))

    return {
        "mode": str(random.choice(MODES)),
        "memory": bool(random.random() < 0.5),
        "learning_rate": log_uniform(2e-4, 2e-3),
        "initial_scale": log_uniform(0.25, 1.0),
        "band_weight": float(random.choice([0.6, 0.8, 1.2, 1.8, 2.5])),
        "beta_max": float(random.choice([1.5e-3, 2.5e-3, 4e-3, 6e-3])),
        "target": float(random.choice([0.03, 0.05, 0.08])),
        "homeostasis_rate": float(random.uniform(0.08, 0.24)),
        "max_scale": float(random.uniform(1.1, 1.8)),
        "phi": float(random.uniform(0.85, 0.97)),
        "tau_factor": float(random.uniform(0.5, 1.0)),
        "spread": log_uniform(2.0, 10.0),
        "latent_dim": int(random.choice([1, 2, 4, 8, 16])),
        "warmup": int(random.choice([64, 128, 224])),
        "ramp": int(random.choice([64, 96, 128])),
        "every": int(random.choice([1, 5, 10])),
    }


def setting_of(number: int, network: str, horizon: int) -> Setting:
    """A drawn configuration as controls of the units."""
    knobs = draw(number)
    options: dict[str, Any] = {
        "learning_rate": knobs["learning_rate"],
        "latent_dim": knobs["latent_dim"],
    }
    if network == "trajectory":
        options["units"] = min(UNITS, MOST // knobs["latent_dim"])
    if knobs["memory"]:
        form = "quadratic" if network == "reference" else "kl"
        options |= {"prior": "autoregressive", "ar_form": form}

    def tune(units: AbstractUnit) -> None:
        _attach(units, knobs, horizon, with_prior=knobs["memory"] and network == "reference")

    return Setting(f"draw {number}", network, options=options, tune=tune, knobs=knobs)


def _attach(units: AbstractUnit, knobs: Row, horizon: int, *, with_prior: bool) -> None:
    """The drawn values on fresh units; weights of a loss per step are multiplied by H."""
    n = units.units
    assert isinstance(units, vn.GaussianUnits)
    units.raw_scale.data.fill_(unbounded_scale(knobs["initial_scale"]))
    if with_prior:
        centre = math.sqrt(0.8 * 1.6) * knobs["target"]
        tau = knobs["tau_factor"] * math.sqrt(centre)
        units.prior = vn.AutoregressiveNormal(
            n, units.latent_dim, phi=knobs["phi"], tau=tau, form="quadratic"
        )
    units.beta.fill_(STEP_BETA * horizon)
    warmup, ramp = vn.Span(knobs["warmup"], 0.1), vn.Span(knobs["ramp"], 0.1)
    band = vn.EnergyBand(
        n,
        knobs["target"],
        knobs["spread"],
        weight=knobs["band_weight"] * horizon,
        warmup=warmup,
        ramp=ramp,
    )
    if knobs["mode"] == "projection":
        units.controls.extend([band, vn.Projection(n, vn.Span(64, 0.1))])
        return
    low, high = STEP_BETA_MIN * horizon, knobs["beta_max"] * horizon
    units.controls.extend([vn.KLBudget(n, beta_min=low, beta_max=high), band])
    if knobs["mode"] == "free":
        return
    soft = vn.Homeostasis(
        n, knobs["every"], rate=knobs["homeostasis_rate"], limit=knobs["max_scale"]
    )
    guard = vn.ScaleGuard(n, units.latent_dim)
    units.controls.extend([soft, guard, vn.BandCalibration(n)])
    if with_prior:
        units.controls.append(vn.ShareBalance(n))


def watched(folder: Any, name: str, setting: Setting, seed: int) -> Row:
    """A run's row with what was to be seen early."""
    early: Row = {}

    def watch(model: FittedModel, record: EpochRecord) -> None:
        for share, epoch in EARLY.items():
            if record.epoch == epoch and model.network.units is not None:
                found = band_shares(model.network.units)
                early.update({f"{k}_{share}": v for k, v in found.items()})
                early.update({f"{k}_{share}": v for k, v in record.scores.items()})

    row = fitted(folder, name, setting, seed, CAPS, watch=watch)
    return {**row, **early}


def main() -> int:
    reader = parser(__doc__)
    reader.add_argument("--configurations", type=int, default=40)
    options = reader.parse_args()
    study = Study("early_signal", options.out, options.seconds)
    for network in options.networks:
        for number in range(options.configurations):
            for name in options.sets or FOUR:
                setting = setting_of(number, network, DATA_SETS[name].horizon)
                study.run(
                    f"{network} {name} {number}",
                    lambda: watched(options.data, name, setting, number),  # noqa: B023
                )
    return study.finish()


if __name__ == "__main__":
    raise SystemExit(main())
