"""Half of the trials look around the best ones, and never leave the space."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.autopilot.neighbours import NeighbourSampler, moved

KINDS = optuna.distributions
DISTRIBUTIONS = {
    "log": KINDS.FloatDistribution(1e-4, 1e-1, log=True),
    "linear": KINDS.FloatDistribution(-1.0, 3.0),
    "whole": KINDS.IntDistribution(2, 20, step=3),
    "whole, log": KINDS.IntDistribution(1, 512, log=True),
    "numbers": KINDS.CategoricalDistribution([64, 8, 16]),
    "names": KINDS.CategoricalDistribution(["a", "b", "c"]),
    "switch": KINDS.CategoricalDistribution([True, False]),
    "one": KINDS.CategoricalDistribution([5]),
}


def some_value(distribution: Any, random: np.random.Generator) -> Any:
    if isinstance(distribution, KINDS.CategoricalDistribution):
        return distribution.choices[int(random.integers(len(distribution.choices)))]
    if isinstance(distribution, KINDS.IntDistribution):
        steps = (distribution.high - distribution.low) // distribution.step
        return int(distribution.low + distribution.step * random.integers(steps + 1))
    return float(random.uniform(distribution.low, distribution.high))


@given(st.sampled_from(sorted(DISTRIBUTIONS)), st.integers(0, 2**31), st.floats(0.01, 3.0))
def test_what_is_moved_stays_in_its_domain(name: str, seed: int, step: float) -> None:
    random = np.random.default_rng(seed)
    distribution = DISTRIBUTIONS[name]
    value = moved(some_value(distribution, random), distribution, step, random)
    assert distribution._contains(distribution.to_internal_repr(value))


def test_numbers_in_a_list_move_to_the_next_one() -> None:
    random = np.random.default_rng(0)
    numbers = DISTRIBUTIONS["numbers"]
    assert {moved(8, numbers, 0.1, random) for _ in range(50)} == {8, 16}
    assert {moved(16, numbers, 0.1, random) for _ in range(50)} == {8, 64}
    assert {moved("a", DISTRIBUTIONS["names"], 0.1, random) for _ in range(50)} == {"a", "b", "c"}


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 1e-4, 1.0, log=True)
    kind = trial.suggest_categorical("kind", ["good", "bad", "worse"])
    extra = trial.suggest_float("extra", 0.0, 1.0) if kind == "good" else 1.0
    return math.log(x / 0.01) ** 2 + 3 * (kind != "good") + extra


def study_of(sampler: optuna.samplers.BaseSampler, trials: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return study


def random_sampler(seed: int = 0) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


def test_it_finds_more_than_the_sampler_that_it_wraps() -> None:
    ours = [study_of(NeighbourSampler(random_sampler(s), s), 40).best_value for s in range(8)]
    theirs = [study_of(random_sampler(s), 40).best_value for s in range(8)]
    assert np.median(ours) < np.median(theirs)


def test_the_same_seed_draws_the_same() -> None:
    first, second = (study_of(NeighbourSampler(random_sampler(), 3), 25) for _ in range(2))
    assert [t.params for t in first.trials] == [t.params for t in second.trials]


def test_half_of_the_trials_are_neighbours_and_keep_most_options() -> None:
    study = study_of(NeighbourSampler(random_sampler(), 1, leaders=1, moved=0.0), 60)
    seen: list[dict[str, Any]] = []
    copies = 0
    for trial in study.trials:
        copies += trial.number >= 6 and trial.params in seen
        seen.append(trial.params)
    assert 15 <= copies <= 40


def test_leaders_are_complete_trials_only() -> None:
    def fails(trial: optuna.Trial) -> float:
        objective(trial)
        raise optuna.TrialPruned

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    plain = optuna.create_study(sampler=random_sampler())
    plain.optimize(fails, n_trials=12)
    wrapped = optuna.create_study(sampler=NeighbourSampler(random_sampler(), 0))
    wrapped.optimize(fails, n_trials=12)
    assert [t.params for t in wrapped.trials] == [t.params for t in plain.trials]


def test_several_objectives_are_led_by_the_first() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = NeighbourSampler(random_sampler(), 0, leaders=1, moved=0.0, share=1.0)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    study.optimize(lambda trial: (objective(trial), trial.number), n_trials=12)
    best = min(study.trials[:6], key=lambda t: t.values[0])
    assert all(t.params == best.params for t in study.trials[6:])


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_a_leader_outside_of_a_changed_space_is_not_followed(bound: float) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = NeighbourSampler(random_sampler(), 0, leaders=1, share=1.0, moved=bound)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=6)
    study.optimize(lambda trial: trial.suggest_float("x", 2.0, 3.0), n_trials=6)
    assert all(2.0 <= t.params["x"] <= 3.0 for t in study.trials[6:])
