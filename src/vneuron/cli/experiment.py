"""What `fit` and `demo` share: train, score, write, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import Console

if TYPE_CHECKING:
    from ..forecasting.config import ForecasterConfig
    from ..forecasting.data.frame import Panel
    from ..forecasting.data.split import Size


@dataclass(frozen=True)
class Experiment:
    """EVE and its baselines on one panel.

    Attributes:
        panel: the data.
        config: of the forecaster.
        sizes: train_size, val_size, test_size.
        facts: about the data, for `config.json`.
        console: where progress goes.
    """

    panel: Panel
    config: ForecasterConfig
    sizes: Mapping[str, Size]
    facts: Mapping[str, Any]
    console: Console

    def run(
        self,
        folder: Path,
        *,
        baselines: bool = True,
        resume: bool = False,
        overwrite: bool = False,
        command: list[str] | None = None,
    ) -> dict[str, Any]:
        """Train, score and report; what is wrong with the data is found before anything is written.

        Of several processes that torchrun started the first one alone scores and writes.

        Returns:
            "test", "windows", "health", "latent_share", "panel", "outcome", "train_cpu_seconds" by
            model, "notes" and "run", as `--json` prints them.
        """
        from ..forecasting.comparison import score_field, train_field, write_results
        from ..forecasting.fitting import known_choices, open_run
        from ..forecasting.material import prepare
        from ..report.page import write_report
        from ..training.launch import follows

        say = self.console.say
        chosen = known_choices(folder, resume=resume)
        material = prepare(self.panel, self.config, **self.sizes, chosen=chosen)
        self.console.notes((*material.split.notes, *material.scaling.notes))
        decided = material.config
        say(
            f"{len(self.panel)} series, {len(material.train):,} training and "
            f"{len(material.validation):,} validation windows; context {decided.input_size} steps, "
            f"encoder {decided.encoder}, features {decided.features}, start {decided.start}, "
            f"second reader {decided.second}"
            + ("" if decided.second == "none" else f" of {decided.second_context} steps")
            + (f", departure from {decided.departure} on" if decided.draws_in else "")
        )
        facts = {**self.facts, "command": command}
        with open_run(folder, material, facts, resume=resume, overwrite=overwrite) as run:
            found = train_field(
                material,
                run,
                baselines=baselines,
                resume=resume,
                quiet=self.console.quiet,
            )
            outcome = found.outcome.reason.value if found.outcome else "completed"
            metrics: dict[str, Any] = dict.fromkeys(("health", "latent_share", "panel"))
            metrics |= {"test": {}, "windows": 0}
            if follows():
                return {**metrics, "outcome": outcome}
            if not found.interrupted and run is not None:
                metrics = score_field(found, self.panel, say=say)
                write_results(run, found, metrics, self.panel)
        say(f"report: {write_report(folder)}")
        if found.interrupted:
            outcome = "interrupted"
            say(f"interrupted: the best so far is kept; go on with --out {folder} --resume")
        return {
            "test": metrics["test"],
            "windows": metrics["windows"],
            "health": metrics["health"],
            "latent_share": metrics["latent_share"],
            "panel": metrics["panel"],
            "outcome": outcome,
            "train_cpu_seconds": found.seconds,
            "notes": list(material.notes),
            "run": str(folder),
        }
