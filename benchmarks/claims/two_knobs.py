"""Two knobs, two effects: the KL set-point and φ, each on a grid.

The thermostat is told one KL per unit (low = high), and the autoregressive prior one φ that is not
learned. What comes of it: attained KL, autocorrelation of µ over the lag, contraction σ / σ_prior,
and how much each knob moves the other's effect. Two forms of memory: the exact KL to
N(φ z', 1 − φ²), whose stationary spread is 1 for every φ, and the papers' penalty on means, which
belongs to `reference` alone.

    python benchmarks/claims/two_knobs.py DATA_FOLDER
"""

from __future__ import annotations

from study.fits import Caps, Setting, fitted
from study.rows import Study, parser

import vneuron as vn
from vneuron.core import AbstractUnit
from vneuron.forecasting.config import REFERENCE_LAG

CAPS = Caps(epochs=4, steps=60, use=64)
SETS = ("ETTh1",)
SET_POINTS = (0.03, 0.1, 0.3, 1.0)
PHIS = (0.0, 0.5, 0.9)
PAPERS_PHIS = (0.5, 0.95)
BETA_RANGE = (1e-5, 30.0)
"""Wide, so that the thermostat reaches its set-point from both sides; β starts at .3."""

RATE = 0.05
"""Of the thermostat on the relative error, at most so much of ln β a step: the papers' moves ln β
by a fifth of the error in nats, which takes thousands of steps where set-points are small."""


class Thermostat(vn.KLBudget):
    """A KL budget without width that is quick enough for a short run."""

    def __init__(self, units: int, point: float) -> None:
        low, high = BETA_RANGE
        super().__init__(units, point, point, beta_min=low, beta_max=high, alive_share=0.0)
        self.point = point

    def update(self, statistics: vn.UnitStatistics) -> vn.Info:
        """ln β moves with the relative error, so that small set-points are found as fast."""
        error = ((statistics.kl - self.point) / self.point).clamp(-1.0, 1.0)
        self.change.copy_(RATE * error)
        return vn.Info({"kl_error": error.abs().mean()})


FORMS = {"reference": ("kl", "quadratic"), "trajectory": ("kl",)}


def grid(form: str, network: str) -> list[Setting]:
    """Every pair of a set-point and a φ, in one form of memory."""
    if form == "kl":
        return [_setting(point, phi, form, network) for point in SET_POINTS for phi in PHIS]
    return [_setting(point, phi, form, network) for point in (0.1, 1.0) for phi in PAPERS_PHIS]


def _setting(point: float, phi: float, form: str, network: str) -> Setting:
    options = {"prior": "autoregressive", "ar_form": form, "lag": REFERENCE_LAG, "beta": 0.3}

    def tune(units: AbstractUnit) -> None:
        assert isinstance(units, vn.GaussianUnits)
        if form == "kl":
            prior = vn.AutoregressiveNormal(units.units, units.latent_dim, phi=phi)
            for parameter in prior.parameters():
                parameter.requires_grad_(False)
        else:
            prior = vn.AutoregressiveNormal(
                units.units, units.latent_dim, phi=phi, tau=0.196, form="quadratic"
            )
        units.prior = prior
        units.controls.append(Thermostat(units.units, point))

    knobs = {"set_point": point, "phi_set": phi, "form": form}
    name = f"KL {point:g}, φ {phi:g}, {form}"
    return Setting(name, network, options=options, tune=tune, knobs=knobs)


def main() -> int:
    options = parser(__doc__).parse_args()
    study = Study("two_knobs", options.out, options.seconds)
    forms = [(network, form) for network in options.networks for form in FORMS[network]]
    for network, form in forms:
        for seed in options.seeds:
            for name in options.sets or SETS:
                for setting in grid(form, network):
                    study.run(
                        f"{network} {name} {setting.name} {seed}",
                        lambda: fitted(options.data, name, setting, seed, CAPS),  # noqa: B023
                    )
    return study.finish()


if __name__ == "__main__":
    raise SystemExit(main())
