"""The front of trials that nothing beats on every count, and which of them is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .criteria import Criterion
from .plan import Goal
from .study import Finished

__all__ = ["Chosen", "choose", "front", "knee"]

GATES_WORTH = 5.0
"""Tolerances of quality (.01 nats, or 1% CRPS) that the gates of health may cost. Among 74 trials
on exchange rates the one that kept them was .72 nats per step behind."""


@dataclass(frozen=True)
class Chosen:
    """A trial, and why it.

    Attributes:
        trial: the trial.
        reason: one sentence.
        front: the trials that nothing beats, by quality.
    """

    trial: Finished
    reason: str
    front: tuple[Finished, ...]


def front(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which points no other point beats: is no worse anywhere and better somewhere.

    Args:
        values: [points, criteria], lower for better.

    Example:
        >>> front(np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0], [3.0, 1.0]])).tolist()
        [True, True, False, True]
    """
    no_worse = (values[:, None] <= values[None]).all(-1)
    better = (values[:, None] < values[None]).any(-1)
    return np.asarray(~(no_worse & better).any(axis=0))


def knee(values: npt.NDArray[np.float64]) -> int:
    """The point of a front farthest below the plane through its ends, in shares of its extent.

    With each criterion from 0 (best of the front) to 1 (worst), the plane on which they sum to
    one; points below it give little up in one criterion for much in the others (Das 1999, "On
    characterizing the knee of the Pareto curve"). Criteria that do not vary do not count.

    Args:
        values: [points, criteria] of a front.

    Example:
        >>> knee(np.array([[0.0, 1.0], [0.1, 0.2], [1.0, 0.0]]))
        1
    """
    low, high = values.min(axis=0), values.max(axis=0)
    varies = high > low
    if not varies.any():
        return 0
    shares = (values[:, varies] - low[varies]) / (high - low)[varies]
    return int(shares.sum(axis=1).argmin())


def choose(trials: Sequence[Finished], criteria: Sequence[Criterion], goal: Goal) -> Chosen:
    """The trial to go on with.

    "pareto": among the valid trials, the knee of the part of the front whose quality is within
    its tolerance of the best; a cheaper or healthier model is worth a difference that means
    nothing, and no more. "lexicographic": valid before not, then least penalty, then quality, as
    in the reference. "quality": the best valid one. Without a valid trial within five tolerances
    of the best, the gates are dropped but for "lexicographic", and the reason says so.

    Args:
        trials: at least one.
        criteria: quality first.
        goal: of the plan.

    Raises:
        ValueError: there is no trial.
    """
    if not trials:
        raise ValueError(
            "no trial was completed, so there is nothing to choose from: give more time or more "
            "trials, or a space whose configurations can be trained"
        )
    quality = criteria[0]
    kept, caveat = _gated(trials, quality, strict=goal == "lexicographic")
    points = np.array([[trial.values[c.name] for c in criteria] for trial in kept])
    on_front = [trial for trial, on in zip(kept, front(points), strict=True) if on]
    on_front.sort(key=lambda trial: trial.values[quality.name])
    best = on_front[0]
    if goal == "lexicographic":
        chosen = min(
            trials, key=lambda t: (not t.valid, round(t.penalty, 6), t.values[quality.name])
        )
        reason = f"valid first, then least penalty ({chosen.penalty:.3g}), then {quality.name}"
    elif goal == "quality":
        chosen, reason = best, f"best {quality.name} of {len(kept)} trials"
    else:
        chosen, reason = _near_best(on_front, criteria)
    return Chosen(chosen, caveat + reason, tuple(on_front))


def _gated(
    trials: Sequence[Finished], quality: Criterion, *, strict: bool
) -> tuple[list[Finished], str]:
    """The trials to choose from, and what has to be said of the others."""
    valid = [trial for trial in trials if trial.valid]
    if not valid:
        return list(trials), "no trial keeps every gate of health; "
    best, best_valid = (min(t.values[quality.name] for t in ts) for ts in (trials, valid))
    if strict or best_valid <= best + GATES_WORTH * quality.slack(best):
        return valid, ""
    behind = best_valid - best
    return list(trials), f"what keeps every gate of health is {behind:.2g} behind; "


def _near_best(on_front: Sequence[Finished], criteria: Sequence[Criterion]) -> tuple[Finished, str]:
    quality = criteria[0]
    best = on_front[0].values[quality.name]
    near = [t for t in on_front if t.values[quality.name] <= best + quality.slack(best)]
    # Differences in quality within the tolerance are nothing, so only the others weigh here.
    others = np.array([[t.values[c.name] for c in criteria[1:]] for t in near])
    chosen = near[knee(others)] if others.shape[1] else near[0]
    behind = chosen.values[quality.name] - best
    if chosen is on_front[0]:
        reason = f"best {quality.name} of the front"
        if len(near) > 1:
            reason += f", and the knee of the {len(near)} within {quality.slack(best):.2g} of it"
        return chosen, reason
    gains = ", ".join(
        f"{c.name} {chosen.values[c.name]:.4g} instead of {on_front[0].values[c.name]:.4g}"
        for c in criteria[1:]
        if chosen.values[c.name] < on_front[0].values[c.name]
    )
    return chosen, (
        f"knee of the {len(near)} trials of the front within {quality.slack(best):.2g} of the best "
        f"{quality.name}: {behind:.2g} behind it, with {gains}"
    )
