"""Single steps that learn by their CRPS beside their likelihood."""

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting import EVEForecaster
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import CONTENDERS, build_network, build_task
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.laws.law import StudentLaw
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.material import prepare
from vneuron.forecasting.task import TrajectoryObjective

NAMED = {"encoder": "mlp", "features": "full", "start": "level", "second": "window"}


@pytest.fixture
def material(make_waves):
    config = ForecasterConfig(6, 24, units=3, hidden=12, dropout=0.0, device="cpu", **NAMED)
    return prepare(Panel.from_frame(make_waves()), config)


def learned(material, contender, weight, observed=None):
    """The objective's nats of a batch, and the gradients of all parameters."""
    network = build_network(contender, material.config, *material.trial_data[3:]).train()
    batch = material.train.gather(torch.arange(16))
    objective = TrajectoryObjective(network, weight)
    nll, *_ = objective(batch.context, batch.target, None, observed, batch.place)
    nll.sum().backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return network, batch, nll.detach(), gradients


@pytest.mark.parametrize("contender", CONTENDERS)
def test_it_is_joined_by_each_readers_own_score(material, contender):
    network, batch, plain, _ = learned(material, contender, 0.0)
    *_, both, _ = learned(material, contender, 3.0)
    with torch.no_grad():
        laws = network(*batch.inputs).pooled
    assert len(laws) == 2
    y = batch.target.double().numpy()
    crps = 0.0
    for law in laws:
        exact = StudentLaw(law.loc.double().numpy(), law.scale.double().numpy(), float(law.df))
        crps = crps + exact.crps(y).sum(-1)
    np.testing.assert_allclose((both - plain).numpy(), 3.0 * crps, rtol=1e-3)


def test_steps_that_are_not_observed_count_nothing(material):
    observed = torch.ones(16, 6, dtype=torch.bool)
    observed[:, 2:] = False
    *_, plain, _ = learned(material, "linear", 0.0, observed)
    network, batch, both, _ = learned(material, "linear", 1.0, observed)
    with torch.no_grad():
        crps = network(*batch.inputs).learned_crps(batch.target)[:, :2].sum(-1)
    torch.testing.assert_close(both - plain, crps, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("contender", ["EVE", "lowrank"])
def test_tails_and_what_ties_steps_learn_by_likelihood_alone(material, contender):
    *_, plain = learned(material, contender, 0.0)
    *_, both = learned(material, contender, 5.0)
    for name in ("loading", "raw_df", "second.raw_df"):
        torch.testing.assert_close(both[name], plain[name])
    for name in ("mean_path.weight", "spread.weight", "second.spread.weight"):
        assert not torch.allclose(both[name], plain[name])


def test_a_task_and_a_fit_learn_by_it(material, make_waves, tiny, tmp_path):
    network = build_network("EVE", material.config, *material.trial_data[3:])
    task = build_task(network, material.train, material.validation, 2.0)
    assert task.module.crps_weight == 2.0
    found = {}
    for weight in (0.0, 10.0):
        f = EVEForecaster(**{**tiny, **NAMED}, crps_weight=weight)
        found[weight] = f.fit(make_waves(), run_dir=tmp_path / str(weight), test_size=48)
    again = EVEForecaster.load(tmp_path / "10.0")
    assert again.config.crps_weight == 10.0
    pd.testing.assert_frame_equal(found[10.0].predict(), again.predict())
    assert not np.allclose(found[10.0].predict()["EVE"], found[0.0].predict()["EVE"])


def test_errors_of_wide_windows_weigh_more():
    """Of two kinds of windows, one ten times as wide, one offset for both: likelihood goes by the
    narrow ones, whose scales it is off by, the CRPS by the wide ones, whose error is larger."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([0.1, 1.0]).repeat(2000)[:, None]
    centre = torch.tensor([0.0, 1.0]).repeat(2000)[:, None]
    y = centre + scale * torch.randn(4000, 1, generator=generator)
    best = {}
    offsets = torch.linspace(-0.5, 1.5, 201)
    for name in ("nll", "crps"):
        losses = []
        for offset in offsets:
            law = TrajectoryDistribution(offset.expand(4000, 1), scale, torch.tensor(5.0))
            loss = law.learned_nll(y) if name == "nll" else law.learned_crps(y)
            losses.append(loss.mean())
        best[name] = float(offsets[int(torch.stack(losses).argmin())])
    squared = float(offsets[int(torch.stack([(y - o).square().mean() for o in offsets]).argmin())])
    assert best["nll"] < best["crps"]
    assert abs(best["crps"] - squared) < abs(best["nll"] - squared)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "much", True])
def test_a_weight_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="crps_weight is"):
        ForecasterConfig(6, 24, crps_weight=value)


@pytest.mark.parametrize("options", [{"network": "reference"}, {"likelihood": "negbinomial"}])
def test_models_that_cannot_are_refused(options):
    with pytest.raises(ValueError, match=r"crps_weight is 1\.0 with network"):
        ForecasterConfig(6, 24, crps_weight=1.0, **options)
    assert ForecasterConfig(6, 24, **options).crps_weight == 0.0


def test_it_is_the_same_for_old_runs(material):
    kept = material.config.as_dict()
    del kept["crps_weight"]
    assert ForecasterConfig(**kept).crps_weight == 0.0
