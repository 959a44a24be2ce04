"""The control step: finds units, joins their terms, and runs what is attached."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import vneuron as vn
from vneuron.controls import begin_statistics


class Lower(vn.AbstractControl):
    """Lowers β by a factor where the running KL exceeds a bound, and counts its steps."""

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def penalty(self, term: vn.LocalTerm) -> Tensor:
        return term.kl.new_zeros(())

    def update(self, statistics: vn.UnitStatistics) -> vn.Info:
        self.steps.add_(1)
        self.seen = statistics.updates.item()
        return vn.Info({"steps": self.steps})

    def project(self, unit: vn.AbstractUnit) -> None:
        unit.beta.mul_(0.5)


def model() -> nn.Sequential:
    return nn.Sequential(vn.GaussianUnits(3, 4), vn.GaussianUnits(4, 2))


def test_it_works_without_controls_and_reports_each_layer() -> None:
    m = model()
    _, terms = vn.Collect(m)(torch.randn(8, 3))
    info = vn.control_step(m, terms).fetch()
    assert sorted(info) == ["0/alive", "0/energy", "0/kl", "1/alive", "1/energy", "1/kl"]
    assert info["0/kl"] == pytest.approx(terms[0].kl.sum(-1).mean().item())
    assert info["1/energy"] == pytest.approx(terms[1].loc.square().mean().item())


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_model_may_be_bare_or_wrapped(wrapped: bool) -> None:
    m = model()
    collected = vn.Collect(m)
    _, terms = collected(torch.randn(8, 3))
    vn.control_step(nn.Sequential(collected) if wrapped else m, terms)
    assert m[0].statistics.updates.item() == 1


def test_statistics_begun_before_the_update_are_those_of_the_terms() -> None:
    early, late = model(), model()
    early.load_state_dict(late.state_dict())
    _, terms = vn.Collect(early)(torch.randn(8, 3))
    begun = begin_statistics(terms)
    vn.Collect(late)  # names the layers
    vn.control_step(late, terms)
    for term in terms:  # what is begun does not wait for what becomes of the terms
        term.scale.detach().zero_()
    vn.control_step(early, terms, begun=begun)
    for name, value in late.state_dict().items():
        torch.testing.assert_close(early.state_dict()[name], value, rtol=0, atol=0, equal_nan=True)


def test_micro_batches_and_repeated_calls_are_one_batch() -> None:
    one, many = model(), model()
    many.load_state_dict(one.state_dict())
    x = torch.randn(12, 3)
    for m, parts in ((one, [x]), (many, x.split([2, 4, 6]))):
        collected = vn.Collect(m)
        with vn.deterministic(m):
            vn.control_step(m, [term for part in parts for term in collected(part)[1]])
    for name, value in one.state_dict().items():
        torch.testing.assert_close(many.state_dict()[name], value, equal_nan=True)


def test_controls_run_in_order_after_the_statistics() -> None:
    m = model()
    first, second = Lower(), Lower()
    m[0].controls.extend([first, second])
    collected = vn.Collect(m)
    for step in (1, 2):
        _, terms = collected(torch.randn(8, 3))
        info = vn.control_step(m, terms)
        assert first.seen == step
        assert info.values["0/steps"].item() == step
    assert m[0].beta.tolist() == [0.0625] * 4
    assert m[1].beta.tolist() == [1.0] * 2
    assert "0.controls.1.steps" in m.state_dict()


def test_no_terms_for_a_model_with_units_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no terms were given for the units \['0', '1'\]"):
        vn.control_step(vn.Collect(model()), [])


def test_no_terms_for_a_model_without_units_is_nothing() -> None:
    assert vn.control_step(nn.Linear(2, 2), []).fetch() == {}


def test_terms_of_another_model_are_refused() -> None:
    _, terms = vn.Collect(nn.ModuleDict({"a": vn.GaussianUnits(3, 2)})["a"])(torch.zeros(2, 3))
    m = model()
    vn.Collect(m)
    with pytest.raises(ValueError, match=r"\['GaussianUnits'\] belong to no unit"):
        vn.control_step(m, terms)


def test_layers_that_share_a_name_are_refused() -> None:
    m = model()  # never collected: both carry the name of their class
    term = vn.LocalTerm("GaussianUnits", *torch.ones(5, 1, 1, 1))
    with pytest.raises(ValueError, match="two layers of units are named 'GaussianUnits'"):
        vn.control_step(m, [term])
