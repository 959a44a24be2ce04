"""What a fit of images leaves in its run folder beside the model: scores, codes, a portrait."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import Console

if TYPE_CHECKING:
    from ...imaging import AbstractImageModel
    from ...imaging.material import Material


def write_results(
    folder: Path,
    model: AbstractImageModel,
    material: Material,
    seconds: dict[str, float],
    console: Console,
) -> dict[str, Any]:
    """Score a fitted model and write `metrics.json`, `codes.npz`, `portrait.npz` and the page.

    Of a fit that was interrupted only the page is written: its scores would be those of no model
    that was asked for.

    Args:
        folder: of the run.
        model: fitted.
        material: what it was fitted to, and what it is judged by.
        seconds: processor seconds spent so far, by what on; the scoring's are added.
        console: where to say what is going on.

    Returns:
        `scores`, `codes`, `rate_distortion`, `images`, `epochs` and `cpu_seconds`, as `--json`
        prints them.
    """
    from ...imaging.portrait import portray
    from ...report.page import write_report
    from ...training.run_folder import RunFolder

    metrics: dict[str, Any] = {
        "images": 0,
        "scores": [],
        "codes": None,
        "rate_distortion": None,
        "epochs": model.n_epochs_,
        "cpu_seconds": seconds,
    }
    if model.outcome_ == "interrupted":
        console.say(f"report: {write_report(folder)}")
        console.say(f"interrupted: what was learned is kept; go on with --out {folder} --resume")
        return metrics
    console.say(f"scoring {len(material.test):,} test images")
    clock = time.process_time()
    portrait = portray(model, material.train, material.test)
    seconds["score"] = round(time.process_time() - clock, 2)
    metrics["scores"] = portrait.scores
    metrics["codes"] = portrait.cost
    metrics["rate_distortion"] = portrait.trade_off
    metrics["images"] = len(material.test)
    run = RunFolder.open(folder)
    run.write_arrays("codes.npz", {"codes": portrait.codes})
    run.write_arrays("portrait.npz", portrait.arrays)
    run.write_json("metrics.json", metrics)
    console.say(f"report: {write_report(folder)}")
    return metrics
