"""Checkpoints by score subject to health, against checkpoints by score alone.

In every run each epoch's weights are scored on validation and on test windows and examined, so
that one run says what each rule would have kept:

- score: the best validation joint NLL;
- band: the papers' order, valid epochs first (from the second on: at least half of the units in
  the calibrated band, at most a fifth above, and not both more than .48 below and less than .58
  inside), then the smallest penalty 6 (below − .2)₊² + 12 (above − .1)₊² + 10 (.58 − inside)₊²,
  then the score;
- verdict: this library's, epochs whose layer is not sick first, then the score.

    python benchmarks/claims/checkpoints.py DATA_FOLDER
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from study.data_sets import FOUR
from study.fits import Caps, Row, Setting, fitted, material_of, scores, test_windows, unit_state
from study.rows import Study, parser

from vneuron.forecasting.model import FittedModel
from vneuron.training.record import EpochRecord

CAPS = Caps(epochs=10, steps=20, test=256)
PRESETS = ("free", "projection", "homeostasis")
FIRST_VALID = 2


def penalty(state: Row) -> float:
    """The papers', of the band's shares."""
    below, above, inside = state["below"], state["above"], 1.0 - state["outside"]
    found = 6.0 * max(below - 0.2, 0.0) ** 2 + 12.0 * max(above - 0.1, 0.0) ** 2
    return float(found + 10.0 * max(0.58 - inside, 0.0) ** 2)


def valid(state: Row) -> bool:
    """Whether the papers call an epoch valid."""
    inside = 1.0 - state["outside"]
    thin = state["below"] > 0.48 and inside < 0.58
    return state["epoch"] >= FIRST_VALID and inside >= 0.5 and state["above"] <= 0.2 and not thin


def chosen(epochs: list[Row]) -> dict[str, Row]:
    """The epoch that each rule keeps."""
    return {
        "score": min(epochs, key=lambda e: e["val"]),
        "band": min(
            epochs, key=lambda e: (not valid(e), 0.0 if valid(e) else penalty(e), e["val"])
        ),
        "verdict": min(epochs, key=lambda e: (not e["healthy"], e["val"])),
    }


def run(folder: Path, name: str, setting: Setting, seed: int) -> Row:
    """One run's row: what each rule kept."""
    windows = test_windows(material_of(folder, name, setting, seed), CAPS.test)
    epochs: list[Row] = []

    def watch(model: FittedModel, record: EpochRecord) -> None:
        model.network.eval()
        found: Row = {"epoch": record.epoch, "val": record.scores["val_joint_nll"]}
        epochs.append(found | scores(model, windows) | unit_state(model.network.units))

    row: dict[str, Any] = fitted(folder, name, setting, seed, CAPS, watch=watch)
    for rule, epoch in chosen(epochs).items():
        kept = ("epoch", "mse", "crps", "joint_nll", "outside", "outside_set", "healthy")
        row |= {f"{rule}_{k}": epoch[k] for k in kept}
        row[f"{rule}_valid"] = valid(epoch)
    return row


def main() -> int:
    options = parser(__doc__, seeds=5).parse_args()
    study = Study("checkpoints", options.out, options.seconds)
    for network in options.networks:
        for seed in options.seeds:
            for name in options.sets or FOUR:
                for preset in PRESETS:
                    setting = Setting(preset, network, options={"control": preset})
                    study.run(
                        f"{network} {name} {preset} {seed}",
                        lambda: run(options.data, name, setting, seed),  # noqa: B023
                    )
    return study.finish()


if __name__ == "__main__":
    raise SystemExit(main())
