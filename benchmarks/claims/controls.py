"""Study (a): free, projection and homeostasis, each with and without the autoregressive prior.

The papers' three combinations of controls on ETTh1, Exchange, Weather and ILI, beside the
deterministic twin, on the papers' network and on ours. Under `reference` the autoregressive prior
is the papers' penalty (φ = .95, τ = .196, lag 4); under `trajectory` it is the exact KL at the
season, with φ and τ learned.

    python benchmarks/claims/controls.py DATA_FOLDER
"""

from __future__ import annotations

from typing import Any

from study.data_sets import FOUR
from study.fits import Caps, Setting, fitted
from study.rows import Study, parser

CAPS = Caps()
PRESETS = ("free", "projection", "homeostasis")
SIZES: dict[str, dict[str, Any]] = {
    "reference": {"units": 128, "hidden": 128},
    "trajectory": {"units": 32, "hidden": 128},
}
MEMORY: dict[str, dict[str, Any]] = {
    "reference": {"prior": "autoregressive", "ar_form": "quadratic"},
    "trajectory": {"prior": "autoregressive", "ar_form": "kl"},
}


def settings(network: str) -> list[Setting]:
    """All of one network."""
    sizes = SIZES[network]
    found = [Setting("twin", network, "twin", sizes)]
    for preset in PRESETS:
        found.append(Setting(preset, network, options={**sizes, "control": preset}))
        options = {**sizes, "control": preset, **MEMORY[network]}
        found.append(Setting(f"{preset} + AR", network, options=options))
    return found


def main() -> int:
    options = parser(__doc__, seeds=5).parse_args()
    study = Study("controls", options.out, options.seconds)
    for network in options.networks:
        for seed in options.seeds:
            for name in options.sets or FOUR:
                for setting in settings(network):
                    study.run(
                        f"{network} {name} {setting.name} {seed}",
                        lambda: fitted(options.data, name, setting, seed, CAPS),  # noqa: B023
                    )
    return study.finish()


if __name__ == "__main__":
    raise SystemExit(main())
