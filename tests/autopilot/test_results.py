"""What a search says of its options."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution

from vneuron.autopilot.results import LEAST_FOR_IMPORTANCE, importances


def study_of(trials: int, objectives: int) -> optuna.Study:
    """A study whose first value is that of one option alone."""
    study = optuna.create_study(directions=["minimize"] * objectives)
    random = np.random.default_rng(0)
    for _ in range(trials):
        params = {"matters": float(random.random()), "idle": float(random.random())}
        space = {name: FloatDistribution(0.0, 1.0) for name in params}
        values = [params["matters"] ** 2, float(random.random())][:objectives]
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=space, values=values)
        )
    return study


@pytest.mark.parametrize("objectives", [1, 2])
def test_the_option_that_matters_is_told_without_a_warning(objectives):
    found = importances(study_of(40, objectives))
    assert found["matters"] > 2 * found["idle"]


def test_of_few_trials_nothing_is_told():
    assert importances(study_of(LEAST_FOR_IMPORTANCE - 1, 2)) == {}
