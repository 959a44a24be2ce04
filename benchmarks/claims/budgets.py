"""Study (d): static, adaptive and macro/micro budgets of KL.

Static: one price of a nat for all units and all time. Thermostat: every unit is kept within the
papers' [.05, .30] nats. Adaptive: each unit's price follows what its information buys on held-out
windows. Macro/micro: a latent of four dimensions that all units of a window share conditions their
priors, at the static price. Beside them the twin, and on `trajectory` a static low-rank head.

    python benchmarks/claims/budgets.py DATA_FOLDER
"""

from __future__ import annotations

from typing import Any

from study.data_sets import DATA_SETS, FOUR
from study.fits import Caps, Setting, fitted
from study.rows import Study, parser

import vneuron as vn
from vneuron.core import AbstractUnit

CAPS = Caps(epochs=6, steps=35)
STEP_BETA_RANGE = (1e-6, 1e-2)
PRIORS: dict[str, str] = {"reference": "standard", "trajectory": "learned"}


def settings(network: str, horizon: int) -> list[Setting]:
    """All of one network."""

    def thermostat(units: AbstractUnit) -> None:
        low, high = (bound * horizon for bound in STEP_BETA_RANGE)
        units.controls.append(vn.KLBudget(units.units, beta_min=low, beta_max=high))

    own: dict[str, Any] = {"prior": PRIORS[network]}
    found = [
        Setting("twin", network, "twin"),
        Setting("free of charge", network, options={**own, "beta": 0.0}),
        Setting("static", network, options=own),
        Setting("thermostat", network, options=own, tune=thermostat),
        Setting("adaptive", network, options={**own, "control": "adaptive"}),
        Setting("macro/micro", network, options={"prior": "macro"}),
    ]
    if network == "trajectory":
        found.append(Setting("static head", network, "lowrank"))
    return found


def main() -> int:
    options = parser(__doc__).parse_args()
    study = Study("budgets", options.out, options.seconds)
    for network in options.networks:
        for seed in options.seeds:
            for name in options.sets or FOUR:
                for setting in settings(network, DATA_SETS[name].horizon):
                    study.run(
                        f"{network} {name} {setting.name} {seed}",
                        lambda: fitted(options.data, name, setting, seed, CAPS),  # noqa: B023
                    )
    return study.finish()


if __name__ == "__main__":
    raise SystemExit(main())
