"""Health: collapse brought about by training, and named; the share that makes a run sick."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import vneuron as vn

UNITS = 20


def observed(beta: float = 1.0) -> tuple[nn.Sequential, vn.Collect]:
    model = nn.Sequential(vn.GaussianUnits(3, UNITS, beta=beta))
    return model, vn.Collect(model)


def step(collected: vn.Collect, x: Tensor) -> None:
    vn.control_step(collected, collected(x)[1])


def healthy() -> nn.Sequential:
    model, collected = observed()
    step(collected, torch.randn(256, 3))
    return model


def test_untrained_and_unmeasured_units_are_unknown() -> None:
    model, _ = observed()
    assert vn.health(model).counts == {"unknown": UNITS}
    assert vn.health(healthy()).counts == {"unknown": UNITS}
    assert vn.health(healthy()).ok


def test_units_of_measured_use_are_living() -> None:
    model = healthy()
    model[0].statistics.use.fill_(0.5)
    health = vn.health(model)
    assert health.counts == {"living": UNITS}
    assert health.ok
    assert str(health) == f"ok: {UNITS} living"


def test_a_weight_too_large_kills_units_and_the_verdict_says_so() -> None:
    """Trained with β = 50 on a task that needs little, every posterior becomes its prior."""
    model, collected = observed(beta=50.0)
    read = nn.Linear(UNITS, 1)
    optimiser = torch.optim.Adam([*model.parameters(), *read.parameters()], lr=0.05)
    for _ in range(300):
        x = torch.randn(64, 3)
        y, terms = collected(x)
        nll = 0.5 * (read(y)[:, 0] - 0.1 * x.sum(-1)).square()
        optimiser.zero_grad()
        vn.free_energy(nll, terms).backward()
        optimiser.step()
        vn.control_step(collected, terms)
        for group in optimiser.param_groups:
            group["lr"] *= 0.98
    health = vn.health(model)
    assert health.counts == {"dead": UNITS}
    assert not health.ok
    assert health.reasons == (
        f"layer '0': {UNITS} of {UNITS} units at fault ({UNITS} dead); "
        "try KLBudget for its lower bound, or Homeostasis (raw)",
    )


def test_units_that_only_have_a_bias_are_constant() -> None:
    model, collected = observed()
    nn.init.zeros_(model[0].loc.weight)
    nn.init.constant_(model[0].loc.bias, 2.0)
    step(collected, torch.randn(64, 3))
    assert vn.health(model).counts == {"constant": UNITS}
    model[0].statistics.use.fill_(0.3)
    health = vn.health(model)
    assert health.counts == {"static": UNITS}
    assert health.ok


@pytest.mark.parametrize(("ignored", "ok"), [(2, True), (3, False)])
def test_more_than_a_tenth_at_fault_is_sick(ignored: int, ok: bool) -> None:
    model = healthy()
    model[0].statistics.use.fill_(0.5)
    model[0].statistics.use[:ignored] = 0.0
    health = vn.health(model)
    assert health.counts == {"ignored": ignored, "living": UNITS - ignored}
    assert health.ok is ok
    assert bool(health.reasons) is not ok


def test_one_sick_layer_among_healthy_ones_is_enough() -> None:
    model = nn.Sequential(vn.GaussianUnits(3, 50), vn.GaussianUnits(50, 2))
    collected = vn.Collect(model)
    step(collected, torch.randn(64, 3))
    for layer in model:
        layer.statistics.use.fill_(0.5)
    model[1].statistics.use[0] = 0.0
    health = vn.health(collected)
    assert not health.ok
    assert health.reasons == (
        "layer '1': 1 of 2 units at fault (1 ignored); try prune, or fewer units",
    )
    assert [layer.ok for layer in health.layers] == [True, False]
    assert health.layers[1].worst[0].startswith("unit 0 is ignored (KL ")


def test_the_frame_has_a_row_per_unit_with_its_vitals() -> None:
    model = nn.Sequential(
        vn.GaussianUnits(3, 4, latent_dim=2, prior=vn.LearnedNormal(4, 2), beta=0.25),
        vn.GaussianUnits(4, 3),
    )
    with torch.no_grad():
        model[0].prior.raw_scale.fill_(0.0)  # σ = 0.1, the centre of its range
    collected = vn.Collect(model)
    x = torch.randn(128, 3)
    _, terms = collected(x)
    vn.control_step(collected, terms)
    units = vn.health(model).units
    assert list(zip(units["layer"], units["unit"], strict=True)) == [
        *(("0", j) for j in range(4)),
        *(("1", j) for j in range(3)),
    ]
    first = units[units["layer"] == "0"]
    assert first["kl"].tolist() == pytest.approx(terms[0].kl.mean(0).tolist(), rel=1e-5)
    assert first["scale_mean"].tolist() == pytest.approx([0.5] * 4, rel=1e-5)
    assert first["contraction"].tolist() == pytest.approx([5.0] * 4, rel=1e-5)
    assert first["beta"].tolist() == [0.25] * 4
    variance = terms[0].loc.var(0, correction=0).sum(-1)
    assert first["loc_variance"].tolist() == pytest.approx(variance.tolist(), rel=1e-4)
    assert first["use"].isna().all()
    assert first["alive"].dtype == bool
    assert first["active"].all()
    assert all(math.isfinite(value) for value in units["rate"])


def test_a_deterministic_model_has_nothing_to_judge() -> None:
    with pytest.raises(ValueError, match="Sequential holds no variational unit"):
        vn.health(nn.Sequential(vn.DeterministicUnits(3, 4)))


def test_deterministic_layers_are_left_out() -> None:
    model = nn.Sequential(vn.DeterministicUnits(3, 4), vn.GaussianUnits(4, 2))
    assert len(vn.health(model).units) == 2
