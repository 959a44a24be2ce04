"""Study (b): k = 1 … 16 dimensions in a unit, at equal N and at equal N · k.

Under the papers' homeostasis (on `trajectory` under budgets by use, the library's default).

    python benchmarks/claims/latent_dim.py DATA_FOLDER
"""

from __future__ import annotations

from study.data_sets import FOUR
from study.fits import Caps, Setting, fitted
from study.rows import Study, parser

CAPS = Caps(epochs=4, steps=45)
DIMENSIONS = (1, 2, 4, 8, 16)
CONTROL = {"reference": "homeostasis", "trajectory": "adaptive"}
EQUAL_UNITS = {"reference": 16, "trajectory": 8}
EQUAL_PRODUCT = {"reference": 64, "trajectory": 32}


def settings(network: str) -> list[Setting]:
    """N equal, and N · k equal."""
    found = []
    for k in DIMENSIONS:
        sizes = {"N": EQUAL_UNITS[network], "N·k": EQUAL_PRODUCT[network] // k}
        for equal, units in sizes.items():
            options = {"latent_dim": k, "units": units, "control": CONTROL[network]}
            knobs = {"k": k, "equal": equal}
            name = f"k {k}, equal {equal}"
            found.append(Setting(name, network, options=options, knobs=knobs))
    return found


def main() -> int:
    options = parser(__doc__).parse_args()
    study = Study("latent_dim", options.out, options.seconds)
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
