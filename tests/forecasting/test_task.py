"""The training task: held-out scores, the gain, vitals, parameter groups."""

import numpy as np
import pandas as pd
import pytest
import torch

import vneuron as vn
from vneuron.forecasting import forecast_task
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import CONTENDERS, build_network
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.windows import evenly_spaced
from vneuron.forecasting.material import prepare
from vneuron.forecasting.task import GAINS, LOADING_RATE, MARGINS_GAIN, TrajectoryTask

CONFIG = ForecasterConfig(horizon=4, input_size=8, units=3, hidden=8, missing="mask")


def material_of(frame, gaps=False, **changes):
    if gaps:
        frame = frame.copy()
        frame.loc[np.random.default_rng(0).random(len(frame)) < 0.1, "y"] = np.nan
    config = ForecasterConfig(**{**CONFIG.as_dict(), **changes})
    return prepare(Panel.from_frame(frame, missing="mask"), config)


def task_of(material, contender="EVE"):
    network = build_network(contender, CONFIG, material.location, material.mask_inputs)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name != "raw_df":
                parameter.add_(0.05 * torch.randn_like(parameter))
    task = TrajectoryTask(network.eval(), material.train, material.validation)
    return task, network


def everything(windows):
    return windows.gather(torch.arange(len(windows)))


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("contender", CONTENDERS)
def test_held_out_scores_are_means_over_observed_steps(frame, contender, gaps):
    material = material_of(frame, gaps)
    task, network = task_of(material, contender)
    with torch.no_grad():
        found = task.validate(task.module)
        batch = everything(material.validation)
        path = network(batch.context, batch.context_observed)
        seen = batch.target_observed
        seen = torch.ones_like(batch.target, dtype=torch.bool) if seen is None else seen
        joint = path.joint_nll(batch.target, seen).sum() / seen.sum()
        marginal = path.marginal_nll(batch.target, seen).sum() / seen.sum()
        squared = (batch.target - path.loc).square()[seen].mean()
    assert found["val_joint_nll"] == pytest.approx(float(joint), rel=1e-5)
    assert found["val_nll"] == pytest.approx(float(marginal), rel=1e-5)
    assert found["val_mse"] == pytest.approx(float(squared), rel=1e-5)
    assert task.score in found
    assert task.score == ("val_joint_nll" if contender in ("EVE", "lowrank") else "val_nll")


@pytest.mark.parametrize("contender", ["EVE", "twin"])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_gain_is_the_best_of_the_candidates_for_single_steps(frame, contender, gaps):
    material = material_of(frame, gaps)
    task, network = task_of(material, contender)
    batch = everything(material.validation)
    with torch.no_grad():
        network.mean_reader.mul_(3.0)  # so that all of it is too much
        losses = []
        for gain in GAINS:
            network.mean_gain.fill_(gain)
            path = network(batch.context, batch.context_observed)
            losses.append(float(path.marginal_nll(batch.target, batch.target_observed).sum()))
        task.validate(task.module)
    assert float(network.mean_gain) == GAINS[int(np.argmin(losses))]
    assert len(set(losses)) == len(GAINS)


def test_the_gain_is_one_where_there_is_nothing_to_weigh(frame):
    task, network = task_of(material_of(frame), "lowrank")
    with torch.no_grad():
        task.validate(task.module)
    assert float(network.mean_gain) == 1.0


def test_validation_writes_each_units_worth(frame):
    task, network = task_of(material_of(frame))
    statistics = network.units.statistics
    assert bool(statistics.use.isnan().all())
    with torch.no_grad():
        task.validate(task.module)
    for name in ("use", "dynamic_use", "outcome_information"):
        assert bool(getattr(statistics, name).isfinite().all())
    assert len(task.vitals()) == 3


@pytest.mark.parametrize("contender", ["twin", "linear", "lowrank"])
def test_only_variational_units_have_vitals(frame, contender):
    task, _ = task_of(material_of(frame), contender)
    with torch.no_grad():
        task.validate(task.module)
    assert task.vitals() is None


@pytest.mark.parametrize("contender", CONTENDERS)
def test_every_parameter_is_in_one_group(frame, contender):
    task, network = task_of(material_of(frame), contender)
    groups = task.parameter_groups()
    found = [id(p) for group in groups for p in group["params"]]
    assert sorted(found) == sorted(id(p) for p in network.parameters() if p.requires_grad)
    if network.loading is not None:
        own = next(g for g in groups if any(p is network.loading for p in g["params"]))
        assert (own["lr_scale"], own["weight_decay"]) == (LOADING_RATE, 0.0)
        assert len(own["params"]) == {"EVE": 4, "lowrank": 2}[contender]
    margins = {id(p) for p in network.margins()}
    for group in groups:
        resting = group.get("settles_by") == "val_nll"
        assert group.get("settles_at", 0.0) == (MARGINS_GAIN if resting else 0.0)
        for parameter in group["params"]:
            # margins settle first, but where there is nothing else to learn
            assert resting == (id(parameter) in margins and network.loading is not None)
    for group in groups:
        for parameter in group["params"]:
            if parameter.dim() <= 1:
                assert group["weight_decay"] == 0.0


def test_a_batch_is_what_the_objective_takes(frame):
    for gaps in (False, True):
        task, _ = task_of(material_of(frame, gaps))
        batch = task.batch(torch.tensor([0, 5]), torch.device("cpu"))
        # a network that reads masks sees beginnings hidden, gaps or none
        assert (batch[2] is None, batch[3] is None) == (False, not gaps)
        assert batch[4].series.tolist() == [0, 0]
        assert task.module(*batch)[0].shape == (2,)
        assert task.examples == len(material_of(frame, gaps).train)


def test_training_sees_training_rows_only(frame):
    """What comes after the training rows changes neither windows nor scaling nor location."""
    changed = frame.copy()
    last = changed.groupby("unique_id").cumcount() >= 192  # 240 rows: 10% test, 10% validation
    changed.loc[last, "y"] = 1e6
    first, second = material_of(frame), material_of(changed)
    assert (first.scaling.mean == second.scaling.mean).all()
    assert (first.scaling.sd == second.scaling.sd).all()
    assert first.location == second.location
    one, other = everything(first.train), everything(second.train)
    assert torch.equal(one.context, other.context)
    assert torch.equal(one.target, other.target)


def test_validation_sees_no_test_row(frame):
    changed = frame.copy()
    last = changed.groupby("unique_id").cumcount() >= 216
    changed.loc[last, "y"] = 1e6
    found = []
    for data in (frame, changed):
        task, network = task_of(material_of(data))
        with torch.no_grad():
            scores = task.validate(task.module)
        found.append((scores, float(network.mean_gain), network.units.statistics.use.tolist()))
    assert found[0] == found[1]


def test_of_very_many_windows_some_are_judged_evenly_spaced(frame, monkeypatch):
    material = material_of(frame)
    monkeypatch.setattr(forecast_task, "MOST_JUDGED", 9)
    task, network = task_of(material, "twin")
    some = material.validation.take(evenly_spaced(len(material.validation), 9))
    with torch.no_grad():
        found = task.validate(task.module)
        batch = everything(some)
        nll = network(batch.context).marginal_nll(batch.target).mean()
    assert len(material.validation) > 9
    assert found["val_nll"] == pytest.approx(float(nll), rel=1e-5)


def test_the_module_must_hold_a_forecasting_network():
    from vneuron.forecasting.task import TrajectoryObjective

    objective = TrajectoryObjective(build_network("EVE", CONFIG, "mean", False))
    objective.collected = vn.Collect(torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match="holds a Linear"):
        _ = objective.network


def test_nothing_to_train_or_to_validate_on_is_refused():
    frame = pd.DataFrame({"unique_id": "a", "ds": range(60), "y": np.arange(60.0)})
    panel = Panel.from_frame(frame)
    with pytest.raises(ValueError, match="no validation window"):
        prepare(panel, CONFIG, val_size=0, test_size=0)
    frame.loc[8:50, "y"] = np.nan
    panel = Panel.from_frame(frame, missing="mask")
    with pytest.raises(ValueError, match="no training window"):
        prepare(panel, CONFIG, train_size=13, val_size=47, test_size=0)
