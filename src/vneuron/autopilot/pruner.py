"""Stopping trials early by their validation curve and their units' vitals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .backend import optuna

__all__ = ["CURVE", "FACTORS", "PROGRESS", "VitalsPruner", "expected_rest", "factor_inputs"]

PROGRESS = "progress"
"""The user attribute under which a trial keeps its epochs."""

FACTORS: dict[str, float] = {
    "one": 0.411,
    "done": -1.037,
    "out_of_band": 0.328,
    "active": 0.504,
    "kl_trend": -0.543,
}
"""What `benchmarks/autopilot/calibrate.py` printed for 32 curves of three sets, "with vitals"."""

CURVE: dict[str, float] = {"one": 1.465, "done": -1.475}
"""The same for the validation curve alone. On sets that were not fitted on, vitals foretold no
better than this (docs/results/autopilot.md)."""

TOLERANCE = 0.01


def factor_inputs(epochs: Sequence[Mapping[str, Any]], total: int) -> dict[str, float]:
    """What the rest of a trial is foretold from, after its last epoch so far.

    Args:
        epochs: each with "score" and, of models with units, "out_of_band", "active", "kl".
        total: epochs of a whole trial.

    Returns:
        "one"; "done": share of the epochs; "out_of_band" and "active": shares of units;
        "kl_trend": change of ln KL over the last epoch, kept in [−1, 1].
    """
    last, before = epochs[-1], epochs[-2]
    now, then = float(last.get("kl", 0.0)), float(before.get("kl", 0.0))
    trend = math.log(now / then) if now > 0 and then > 0 else 0.0
    return {
        "one": 1.0,
        "done": len(epochs) / total,
        "out_of_band": float(last.get("out_of_band", 0.0)),
        "active": float(last.get("active", 0.0)),
        "kl_trend": min(max(trend, -1.0), 1.0),
    }


def expected_rest(epochs: Sequence[Mapping[str, Any]], total: int) -> float:
    """What the score would still fall by if each epoch to come brought what the last one did.

    An epoch that brought less than a tenth of the mean of those before is taken to have brought
    that: one bad validation does not end a trial.

    Example:
        >>> expected_rest([{"score": 3.0}, {"score": 2.0}], total=4)
        2.0
    """
    scores = [float(epoch["score"]) for epoch in epochs]
    least = 0.1 * (scores[0] - min(scores)) / (len(scores) - 1)
    return max(scores[-2] - scores[-1], least, 0.0) * (total - len(scores))


class VitalsPruner(optuna.pruners.BasePruner):
    r"""Stops a trial that is unlikely to come near the best one.

    After epoch e of E it is granted, beyond the best score so far,

    .. math:: d_e \, (E - e) \, \max(0, w \cdot x_e)

    where d_e is what the last epoch brought and x_e holds a constant, e/E, the share of units out
    of their band, the share of active units, and the trend of the KL. The weights w are those of
    a 90% quantile regression of what trials still gained on x_e (`benchmarks/autopilot/
    calibrate.py`); on other sets the bound held in 76% to 80% of cases. It is stopped when even
    that does not bring it within `tolerance` of the best trial that is
    complete.

    It is an ordinary pruner of Optuna, and reads the epochs that a trial keeps in its user
    attribute "progress"; so it serves studies of several objectives too.

    Args:
        factors: w by name; None takes `FACTORS`; `CURVE` does not read vitals.
        tolerance: nats per step.
        startup: complete trials before it stops any.
        least: epochs before it stops one; at least 2.
    """

    def __init__(
        self,
        factors: Mapping[str, float] | None = None,
        tolerance: float = TOLERANCE,
        startup: int = 2,
        least: int = 2,
    ) -> None:
        if least < 2:
            raise ValueError(f"least is {least}, expected at least 2: a trend takes two epochs.")
        self.factors = dict(FACTORS if factors is None else factors)
        self.tolerance = tolerance
        self.startup = startup
        self.least = least

    def optimistic(self, epochs: Sequence[Mapping[str, Any]], total: int) -> float:
        """The score that a trial may still reach."""
        inputs = factor_inputs(epochs, total)
        factor = sum(self.factors.get(name, 0.0) * value for name, value in inputs.items())
        best = min(float(epoch["score"]) for epoch in epochs)
        return best - max(factor, 0.0) * expected_rest(epochs, total)

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether to stop the trial now."""
        progress = trial.user_attrs.get(PROGRESS, {})
        return self.stops(study, progress.get("epochs", []), progress.get("total", 0))

    def stops(self, study: optuna.Study, epochs: Sequence[Mapping[str, Any]], total: int) -> bool:
        """The same for whoever has the trial's epochs at hand: a storage need not be asked.

        Args:
            study: whose complete trials it is held against.
            epochs: of the trial so far.
            total: epochs of a whole trial.
        """
        if len(epochs) < self.least or len(epochs) >= total:
            return False
        finals = [
            min(epoch["score"] for epoch in other.user_attrs[PROGRESS]["epochs"])
            for other in study.get_trials(
                deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)
            )
            if other.user_attrs.get(PROGRESS, {}).get("epochs")
        ]
        if len(finals) < self.startup:
            return False
        return bool(self.optimistic(epochs, total) > min(finals) + self.tolerance)
