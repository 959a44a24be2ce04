"""A sampler that looks around the best trial so far, and leaves the rest to another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .backend import optuna

__all__ = ["NeighbourSampler"]


class NeighbourSampler(optuna.samplers.BaseSampler):
    """Every other trial is a neighbour of one of the best; the others are another sampler's.

    A neighbour has most of the options of one of the `leaders` best complete trials (by the first
    objective). Each option is moved with probability `moved`: numbers by a normal step of `step`
    times their range (its logarithm, where they are drawn so), choices in a list of numbers to the
    next one, other choices to any. Options that the leader does not have are the other sampler's.
    Local search from good starts is what makes short budgets pay (Wu, Wang & Huang, FLAML's CFO,
    AAAI 2021); the other sampler keeps the search global.

    Args:
        other: draws the rest.
        seed: of the moves.
        startup: trials before the first neighbour; at least two must be complete.
        share: of the trials that are neighbours.
        leaders: how many trials have neighbours.
        moved: probability that an option is.
        step: of numbers, as a share of their range.
    """

    def __init__(
        self,
        other: optuna.samplers.BaseSampler,
        seed: int = 0,
        startup: int = 6,
        share: float = 0.5,
        leaders: int = 3,
        moved: float = 0.4,
        step: float = 0.12,
    ) -> None:
        self.other = other
        self.seed = seed
        self.startup = startup
        self.share = share
        self.leaders = leaders
        self.moved = moved
        self.step = step
        self._asked: tuple[int, Mapping[str, Any] | None] = (-1, None)

    def reseed_rng(self) -> None:
        """As Optuna asks of a process that it has forked."""
        self.other.reseed_rng()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, Any]:
        """None for a neighbour: its options are moved one by one."""
        self._asked = trial.number, self._chosen(study, trial)  # once a trial: a storage is slow
        if self._asked[1] is not None:
            return {}
        return self.other.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, search_space: dict[str, Any]
    ) -> dict[str, Any]:
        """The other sampler's."""
        return self.other.sample_relative(study, trial, search_space) if search_space else {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        """A leader's option, moved or not."""
        leader = self._leader(study, trial)
        if leader is None or param_name not in leader:
            return self.other.sample_independent(study, trial, param_name, param_distribution)
        value = leader[param_name]
        if not param_distribution._contains(param_distribution.to_internal_repr(value)):
            return self.other.sample_independent(study, trial, param_name, param_distribution)
        random = np.random.default_rng((self.seed, trial.number, *param_name.encode()))
        if random.random() >= self.moved:
            return value
        return moved(value, param_distribution, self.step, random)

    def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """The other sampler's."""
        self.other.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        state: optuna.trial.TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """The other sampler's."""
        self.other.after_trial(study, trial, state, values)

    def _leader(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> Mapping[str, Any] | None:
        number, leader = self._asked
        return leader if number == trial.number else self._chosen(study, trial)

    def _chosen(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> Mapping[str, Any] | None:
        """The options around which a trial is to look; None where it is the other sampler's."""
        random = np.random.default_rng((self.seed, trial.number))
        if trial.number < self.startup or random.random() >= self.share:
            return None
        states = (optuna.trial.TrialState.COMPLETE,)
        done = [
            other
            for other in study.get_trials(deepcopy=False, states=states)
            if other.number < trial.number and math.isfinite(other.values[0])
        ]
        if len(done) < 2:
            return None
        done.sort(key=lambda other: (other.values[0], other.number))
        return done[int(random.integers(min(self.leaders, len(done))))].params


def moved(
    value: Any,
    distribution: optuna.distributions.BaseDistribution,
    step: float,
    random: np.random.Generator,
) -> Any:
    """A value near another one.

    Example:
        >>> random = np.random.default_rng(0)
        >>> moved(16, optuna.distributions.CategoricalDistribution([8, 16, 32]), 0.1, random)
        32
    """
    kinds = optuna.distributions
    if isinstance(distribution, kinds.CategoricalDistribution):
        choices: list[Any] = list(distribution.choices)
        numbers = all(isinstance(c, int | float) and not isinstance(c, bool) for c in choices)
        if not numbers or len(choices) < 2:
            return choices[int(random.integers(len(choices)))]
        ordered = sorted(choices)
        at = ordered.index(value) + int(random.choice([-1, 1]))
        return ordered[at] if 0 <= at < len(ordered) else value
    if not isinstance(distribution, kinds.FloatDistribution | kinds.IntDistribution):
        return value
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        width = step * math.log(high / low)
        found = float(value) * math.exp(width * random.standard_normal())
    else:
        found = float(value) + step * (high - low) * random.standard_normal()
    found = min(max(found, low), high)
    if isinstance(distribution, kinds.IntDistribution):
        stride = distribution.step
        return int(min(low + stride * round((found - low) / stride), high))
    return found
