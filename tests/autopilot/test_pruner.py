"""The pruner that reads vitals: what it foretells, and whom it stops."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.autopilot.pruner import PROGRESS, VitalsPruner, expected_rest, factor_inputs

SCORES = st.lists(st.floats(-5, 5), min_size=2, max_size=8)


def epochs(scores: list[float], **signs: float) -> list[dict[str, float]]:
    return [{"score": score, "kl": 1.0, **signs} for score in scores]


def told(study: optuna.Study, scores: list[float], total: int = 4, **signs: float) -> optuna.Trial:
    trial = study.ask()
    trial.set_user_attr(PROGRESS, {"epochs": epochs(scores, **signs), "total": total})
    return trial


def frozen(study: optuna.Study, trial: optuna.Trial) -> optuna.trial.FrozenTrial:
    return study.trials[trial.number]


def study_with(finals: list[float]) -> optuna.Study:
    study = optuna.create_study(direction="minimize")
    for final in finals:
        study.tell(told(study, [final + 1.0, final + 0.5, final, final]), final)
    return study


@given(scores=SCORES, total=st.integers(2, 12))
def test_the_rest_is_never_negative_and_ends_with_the_trial(
    scores: list[float], total: int
) -> None:
    curve = epochs(scores)
    if total >= len(curve):
        assert expected_rest(curve, total) >= 0.0
    assert expected_rest(curve, len(curve)) == 0.0


@given(scores=SCORES, shift=st.floats(-3, 3))
def test_what_is_granted_does_not_depend_on_the_zero_of_the_score(
    scores: list[float], shift: float
) -> None:
    moved = epochs([score + shift for score in scores])
    rest = expected_rest(epochs(scores), 9)
    assert expected_rest(moved, 9) == pytest.approx(rest, abs=1e-9)


def test_a_hopeless_trial_is_stopped_and_a_hopeful_one_is_not() -> None:
    pruner = VitalsPruner({"one": 1.0})
    study = study_with([0.0, 0.1])
    hopeless, hopeful = told(study, [3.0, 2.9]), told(study, [3.0, 1.2])
    assert pruner.prune(study, frozen(study, hopeless))
    assert not pruner.prune(study, frozen(study, hopeful))


def test_vitals_decide_where_curves_are_alike() -> None:
    """With a weight on active units, the trial whose units are alive is granted more."""
    pruner = VitalsPruner({"one": 0.2, "active": 2.0})
    study = study_with([0.0, 0.1])
    dead = told(study, [3.0, 2.0], active=0.0)
    living = told(study, [3.0, 2.0], active=1.0)
    assert pruner.prune(study, frozen(study, dead))
    assert not pruner.prune(study, frozen(study, living))


def test_nobody_is_stopped_before_there_is_something_to_compare_with() -> None:
    pruner = VitalsPruner({"one": 1.0}, startup=2)
    study = study_with([0.0])
    assert not pruner.prune(study, frozen(study, told(study, [3.0, 2.9])))
    study = study_with([0.0, 0.0])
    assert not pruner.prune(study, frozen(study, told(study, [3.0])))
    assert not pruner.prune(study, frozen(study, told(study, [3.0, 3.0, 3.0, 3.0])))


def test_it_serves_studies_of_several_objectives() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    for final in (0.0, 0.1):
        study.tell(told(study, [1.0, 0.5, final, final]), [final, 1.0])
    assert VitalsPruner({"one": 1.0}).prune(study, frozen(study, told(study, [3.0, 2.9])))


def test_it_is_an_ordinary_pruner() -> None:
    study = study_with([0.0, 0.1])
    study.pruner = VitalsPruner({"one": 1.0})
    trial = told(study, [3.0, 2.9])
    trial.report(2.9, 2)
    assert trial.should_prune()


def test_the_trend_of_the_kl_is_of_its_logarithm() -> None:
    curve = epochs([1.0, 0.5])
    curve[1]["kl"] = 2.0
    assert factor_inputs(curve, 4)["kl_trend"] == pytest.approx(0.6931, abs=1e-4)
    curve[1]["kl"] = 0.0
    assert factor_inputs(curve, 4)["kl_trend"] == 0.0


def test_a_trend_takes_two_epochs() -> None:
    with pytest.raises(ValueError, match="least is 1"):
        VitalsPruner(least=1)
