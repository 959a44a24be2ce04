"""Study (b2): constraints from off to crushing.

One number s scales all that the papers' homeostasis does: the start, floor and ceiling of β and
the band's weight by s, the rate of homeostasis by s up to its limit; s = 1 is theirs, 0 is no
constraint at all (no KL, no band, no action), 16 is crushing. Judged on clean test windows, on
corrupted ones (noise, spikes, a stuck sensor), and by the variance between seeds, against the
deterministic twin. On `reference` and on `trajectory`.

    python benchmarks/claims/constraint_strength.py DATA_FOLDER
"""

from __future__ import annotations

from study.data_sets import DATA_SETS
from study.fits import Caps, Setting, fitted
from study.rows import Study, parser

import vneuron as vn
from vneuron.core import AbstractUnit

CAPS = Caps(epochs=4, steps=45, validation=96, test=320, use=96)
SETS = ("Exchange", "Weather", "Victoria", "Hangzhou", "ECL subset", "METR-LA")
STRENGTHS = (0.0, 0.25, 1.0, 4.0, 16.0)
STEP_BETA, STEP_BETA_RANGE = 1e-3, (1e-6, 1e-2)
RATE, MOST_RATE = 0.15, 0.5


def setting_of(strength: float, network: str, horizon: int) -> Setting:
    """The papers' homeostasis, s times as strong."""

    def tune(units: AbstractUnit) -> None:
        n, beta = units.units, strength * horizon
        units.beta.fill_(STEP_BETA * beta)
        if strength == 0.0:
            return
        low, high = (bound * beta for bound in STEP_BETA_RANGE)
        units.controls.extend(
            [
                vn.KLBudget(n, beta_min=low, beta_max=high),
                vn.EnergyBand(n, weight=2.0 * beta),
                vn.Homeostasis(n, 5, rate=min(RATE * strength, MOST_RATE)),
                vn.ScaleGuard(n, units.latent_dim),
                vn.BandCalibration(n),
            ]
        )

    return Setting(f"s = {strength:g}", network, tune=tune, knobs={"strength": strength})


def main() -> int:
    options = parser(__doc__).parse_args()
    study = Study("constraint_strength", options.out, options.seconds)
    for network in options.networks:
        for seed in options.seeds:
            for name in options.sets or SETS:
                horizon = DATA_SETS[name].horizon
                settings = [Setting("twin", network, "twin")]
                settings += [setting_of(strength, network, horizon) for strength in STRENGTHS]
                for setting in settings:
                    study.run(
                        f"{network} {name} {setting.name} {seed}",
                        lambda: fitted(options.data, name, setting, seed, CAPS, corrupt=True),  # noqa: B023
                    )
    return study.finish()


if __name__ == "__main__":
    raise SystemExit(main())
